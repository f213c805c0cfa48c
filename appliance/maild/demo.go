package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"time"

	"maild/admin"
	"maild/appliance"
	"maild/appliance/config"
	"maild/appliance/process"
	"maild/appliance/smtpd"
)

// demoWait is how long the demo waits for the index, which takes milliseconds.
const demoWait = 10 * time.Second

// demo runs the main job end to end on an appliance of its own: free ports of the
// loopback interface, a folder that goes away at the end unless --dir names it.
func demo(ctx context.Context, opts options, out io.Writer) (err error) {
	dir, cleanUp, err := demoDir(opts.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	cfg := config.Default()
	cfg.Hostname = "mail.demo.example"
	cfg.DataDir = dir
	cfg.Listen = config.Listen{MX: []string{"127.0.0.1:0"}, Submission: []string{"127.0.0.1:0"}}
	ls, err := appliance.Listen(ctx, cfg.Listen, nil)
	if err != nil {
		return err
	}
	mx, submission := ls[smtpd.MX][0].Addr().String(), ls[smtpd.Submission][0].Addr().String()
	logFile, err := os.OpenFile(filepath.Join(dir, "maild.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return errors.Join(err, ls.Close())
	}
	defer logFile.Close()
	a, err := appliance.Start(ctx, cfg, ls, slog.New(slog.NewTextHandler(logFile, nil)))
	if err != nil {
		return err
	}
	d := demonstration{ctx: ctx, out: out, dir: dir, mx: mx, submission: submission}
	err = d.show()
	if err == nil && !opts.once {
		d.say("\nThe appliance stays up until Ctrl-C.")
		select {
		case <-ctx.Done():
		case err = <-a.Failed():
		}
	}
	return errors.Join(err, a.Stop())
}

// demoDir is a folder of the demo's own and how to take it away.
func demoDir(named string) (string, func() error, error) {
	if named == "" {
		dir, err := os.MkdirTemp("", "maild-demo-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	dir, err := filepath.Abs(named)
	if err == nil {
		err = process.MakeDir(dir, 0o750)
	}
	return dir, func() error { return nil }, err
}

// demonstration is a running demo.
type demonstration struct {
	ctx            context.Context
	out            io.Writer
	dir            string
	mx, submission string
}

func (d *demonstration) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// show does the main job and prints each step.
func (d *demonstration) show() error {
	d.say("maild demo: an appliance of its own, SMTP on %s, data in %s", d.mx, d.dir)
	password := rand.Text()
	for _, args := range [][]string{{"user", "add", "ann@demo.example"}, {"user", "add", "bob@demo.example"}} {
		if err := d.mailctl(password+"\n", append(args, "--password-stdin")...); err != nil {
			return err
		}
	}
	d.say("\nSending %d messages to its SMTP port:", len(demoMessages()))
	for _, m := range demoMessages() {
		if err := d.send(m); err != nil {
			return fmt.Errorf("send %q: %w", m.subject, err)
		}
		d.say("  250 accepted: %s -> %s: %s", m.from, strings.Join(m.to, ", "), m.subject)
	}
	d.say("\nThe Maildirs:")
	if err := d.listMail(); err != nil {
		return err
	}
	if err := d.awaitIndex(); err != nil {
		return err
	}
	for _, args := range [][]string{{}, {"--from", "zoe"}, {"--subject", "grüße"}} {
		if err := d.mailctl("", append([]string{"search", "headers"}, args...)...); err != nil {
			return err
		}
	}
	d.hints(password)
	return nil
}

// send puts a message through the SMTP port, as another host would.
func (d *demonstration) send(m demoMessage) error {
	c, err := smtp.Dial(d.mx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(m.from); err != nil {
		return err
	}
	for _, to := range m.to {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, m.wire()); err != nil {
		return err
	}
	return errors.Join(w.Close(), c.Quit())
}

// mailctl runs a command as if typed, and shows it.
func (d *demonstration) mailctl(stdin string, args ...string) error {
	d.say("\n$ mailctl --root %s %s", d.dir, strings.Join(args, " "))
	all := append([]string{"mailctl", "--root", d.dir}, args...)
	if code := admin.Main(d.ctx, all, strings.NewReader(stdin), d.out, d.out); code != 0 {
		return fmt.Errorf("mailctl %s: exit code %d", strings.Join(args, " "), code)
	}
	return nil
}

// listMail shows the message files.
func (d *demonstration) listMail() error {
	root := filepath.Join(d.dir, "mail")
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(d.dir, path)
		d.say("  %s", rel)
		return err
	})
}

// awaitIndex waits until all messages can be found.
func (d *demonstration) awaitIndex() error {
	want := 0
	for _, m := range demoMessages() {
		want += len(m.to)
	}
	ctx, cancel := context.WithTimeout(d.ctx, demoWait)
	defer cancel()
	for {
		var found strings.Builder
		admin.Main(ctx, []string{"mailctl", "--root", d.dir, "search", "headers", "--limit", "0"}, strings.NewReader(""), &found, io.Discard)
		if strings.Count(found.String(), "\n") >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the index shows %d of %d messages: %w", strings.Count(found.String(), "\n"), want, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// hints says what to try from a second terminal.
func (d *demonstration) hints(password string) {
	host, port, _ := strings.Cut(d.mx, ":")
	d.say(`
Try it from a second terminal:

  send      swaks --server %[1]s:%[2]s --to ann@demo.example --h-Subject 'Hello'
  or        printf 'From: me@example.com\r\nSubject: Hello\r\n\r\nHello, Ann\r\n' |
              curl smtp://%[1]s:%[2]s --mail-from me@example.com --mail-rcpt ann@demo.example -T -
  submit    swaks --server %[3]s --tls --auth-user ann@demo.example --auth-password %[4]s \
              --from ann@demo.example --to bob@demo.example
  search    go run ./admin/mailctl --root %[5]s search headers --to ann
  read      mutt -f %[5]s/mail/demo.example/ann
  log       tail -f %[5]s/maild.log`, host, port, d.submission, password, d.dir)
}
