package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"maild/appliance/account"
	"maild/appliance/config"
)

const (
	// leastFreeShare and leastFreeOctets: with less than both, status warns.
	leastFreeShare  = 0.05
	leastFreeOctets = 1 << 30
	// leastFreeFiles is how many files must fit: a message is one.
	leastFreeFiles = 10_000
)

func (c *call) statusCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "status", Usage: "say how the box is, problems first",
		Description: "Nothing is changed. The exit code is 6 when there is a problem. With --root it is none that no daemon runs, and listeners are not looked at\nunless --config names a configuration. The last mail is what the index knows. \"mailctl doctor\" looks deeper.",
		UsageText:   "mailctl status\nmailctl status --json | jq .problems"}, 0, 0, showStatus)
}

// statusView is the state of the box in JSON.
type statusView struct {
	Problems []string `json:"problems"`
	Daemon   string   `json:"daemon"` // running, stopped, unknown
	Config   string   `json:"config"`
	DataDir  string   `json:"data_dir"`
	Domains  int64    `json:"domains"`
	Accounts int64    `json:"accounts"`
	Aliases  int64    `json:"aliases"`
	// Listeners are null where no configuration was read.
	Listeners   []listenerView   `json:"listeners"`
	Certificate *certificateView `json:"certificate"` // null while there is none
	LastMail    *lastMailView    `json:"last_mail"`
	Index       *indexView       `json:"index"`
	Disk        *diskView        `json:"disk"`
	Wrecks      []string         `json:"set_aside"` // what is left of damaged indexes
}

// lastMailView is the newest message in JSON.
type lastMailView struct {
	Arrived time.Time `json:"arrived"`
	Account string    `json:"account"`
	Folder  string    `json:"folder"`
	ID      int64     `json:"id"`
}

type diskView struct {
	FreeOctets  int64 `json:"free_octets"`
	TotalOctets int64 `json:"total_octets"`
	FreeFiles   int64 `json:"free_files"` // -1 = the file system sets no limit
}

// statDisk looks at the file system that path is on.
func statDisk(path string) (diskView, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return diskView{}, err
	}
	d := diskView{FreeOctets: int64(s.Bavail) * int64(s.Bsize), TotalOctets: int64(s.Blocks) * int64(s.Bsize), FreeFiles: int64(s.Ffree)}
	if s.Files == 0 {
		d.FreeFiles = -1
	}
	return d, nil
}

func (v *statusView) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func showStatus(ctx context.Context, c *call) error {
	v := statusView{Problems: []string{}, Daemon: "unknown", Wrecks: []string{}}
	var faults config.Problems
	err := c.open()
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			v.problem("%s", f.Error())
		}
		return c.writeStatus(v)
	case c.box == nil:
		return err
	}
	v.Config, v.DataDir = c.configName(), c.box.cfg.DataDir
	if err != nil {
		v.problem("%s", explain(err, c.owner()))
		return c.writeStatus(v)
	}
	for _, look := range []func(context.Context, *statusView) error{c.lookAtDaemon, c.lookAtListeners, c.lookAtTLS, c.lookAtAccounts, c.lookAtIndexState, c.lookAtDisk} {
		if err := look(ctx, &v); err != nil {
			if ctx.Err() != nil {
				return err
			}
			v.problem("%s", explain(err, c.owner()))
		}
	}
	return c.writeStatus(v)
}

// configName is the configuration that counts.
func (c *call) configName() string {
	switch {
	case c.box.file == "":
		return "none (--root)"
	case c.box.file == config.DefaultPath:
		if _, err := os.Stat(c.box.file); err != nil {
			return c.box.file + " (missing: defaults)"
		}
	}
	return c.box.file
}

func (c *call) lookAtDaemon(_ context.Context, v *statusView) error {
	up, err := c.daemonUp()
	switch {
	case err != nil:
		return err
	case up:
		v.Daemon = "running"
		return nil
	}
	v.Daemon = "stopped"
	if !c.box.copied {
		v.problem("no daemon runs on %s, so no mail comes in: start it with \"systemctl start maild\"", c.box.cfg.DataDir)
	}
	return nil
}

// lookAtListeners sees whether something listens where the configuration says.
func (c *call) lookAtListeners(_ context.Context, v *statusView) error {
	if c.box.file == "" {
		return nil
	}
	list, err := listeners(c.box.cfg.Listen)
	if err != nil {
		return err
	}
	v.Listeners = list
	for _, l := range list {
		switch {
		case l.State == portClosed && v.Daemon == "running" && !handed(list):
			v.problem("the daemon runs, but nothing listens on %s (%s): restart it with \"systemctl restart maild\", and see its log", l.Address, l.Kind)
		case l.State == portOpen && v.Daemon == "stopped" && !c.box.copied:
			v.problem("no daemon runs, but something listens on %s (%s): if it is no socket of systemd's for maild, stop that program", l.Address, l.Kind)
		}
	}
	return nil
}

func (c *call) lookAtTLS(_ context.Context, v *statusView) error {
	certificate, faults, err := c.lookAtCertificate()
	if err != nil {
		return err
	}
	v.Certificate = certificate
	for _, f := range faults {
		v.problem("%s: %s", f.what, f.mend)
	}
	return nil
}

func (c *call) lookAtAccounts(ctx context.Context, v *statusView) error {
	if _, err := os.Stat(c.box.cfg.AccountsDB()); errors.Is(err, os.ErrNotExist) {
		v.problem("there are no accounts yet: add one with \"mailctl user add\"")
		return nil
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return err
	}
	domains, err := d.Domains(ctx)
	if err != nil {
		return err
	}
	v.Domains = int64(len(domains))
	for _, d := range domains {
		v.Accounts += d.Accounts
		v.Aliases += d.Aliases
	}
	renames, err := d.Renames(ctx)
	if err != nil {
		return err
	}
	for _, r := range renames {
		v.problem("the renaming of %s to %s was interrupted: finish it with \"mailctl user rename %s %s\"", r.From, r.To, r.From, r.To)
	}
	for _, p := range someOf(d.AliasesFileProblems()) {
		v.problem("%s", p)
	}
	users, err := d.Accounts(ctx, account.Filter{})
	if err != nil {
		return err
	}
	return c.lookAtMaildirs(v, users)
}

// someOf gives the first of a list of problems that may be long.
func someOf(list []string) []string {
	const most = 10
	if len(list) <= most {
		return list
	}
	return append(list[:most:most], fmt.Sprintf("and %d more of this kind", len(list)-most))
}

// lookAtMaildirs sees whether the accounts' mail is where it belongs. An account gets its Maildir with its first message at the latest, so a missing one
// is no fault; one that is no directory is.
func (c *call) lookAtMaildirs(v *statusView, users []account.Account) error {
	for _, u := range users {
		path, err := c.mail().Path(u.Name())
		if err != nil {
			return err
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			v.problem("%s is no directory, so %s gets no mail: move it away", path, u.Name())
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *call) lookAtIndexState(ctx context.Context, v *statusView) error {
	state, problem, err := c.lookAtIndex(ctx)
	if err != nil {
		return err
	}
	v.Index = &state
	// While no daemon runs, a missing index is made by the next search.
	if problem != "" && (state.State == "damaged" || state.Followed) {
		v.problem("%s", problem)
	}
	v.Wrecks = state.Aside
	v.LastMail = state.last
	return nil
}

func (c *call) lookAtDisk(_ context.Context, v *statusView) error {
	d, err := c.world.disk(c.box.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("disk of %s: %w", c.box.cfg.DataDir, err)
	}
	v.Disk = &d
	if d.FreeOctets < leastFreeOctets && float64(d.FreeOctets) < leastFreeShare*float64(d.TotalOctets) {
		v.problem("the disk of %s is nearly full, %s are free: mail is refused for a time when it is full", c.box.cfg.DataDir, shortSize(d.FreeOctets))
	}
	if d.FreeFiles >= 0 && d.FreeFiles < leastFreeFiles {
		v.problem("the file system of %s has room for only %d more files (inodes): each message is one", c.box.cfg.DataDir, d.FreeFiles)
	}
	return nil
}

// writeStatus shows the problems, then the rest.
func (c *call) writeStatus(v statusView) error {
	var facts []fact
	for _, p := range v.Problems {
		facts = append(facts, fact{factProblem, strings.ReplaceAll(p, "\n", "; ")})
	}
	if len(v.Problems) == 0 {
		facts = append(facts, fact{factProblem, factNone})
	}
	facts = append(facts, fact{"daemon", v.Daemon})
	if v.DataDir != "" {
		facts = append(facts, fact{"config", v.Config}, fact{"data", v.DataDir}, fact{"domains", fmt.Sprint(v.Domains)},
			fact{"accounts", fmt.Sprint(v.Accounts)}, fact{"aliases", fmt.Sprint(v.Aliases)})
	}
	for _, l := range v.Listeners {
		facts = append(facts, fact{"listener", l.Kind + " " + l.Address + " " + l.State})
	}
	if t := v.Certificate; t != nil {
		facts = append(facts, fact{"certificate", t.Subject}, fact{"issuer", t.issuer()}, fact{"expires", c.term(t)})
	}
	if v.LastMail != nil {
		facts = append(facts, fact{"last mail", c.moment(v.LastMail.Arrived) + ", " + v.LastMail.Account})
	}
	if v.Index != nil {
		facts = append(facts, fact{"index", v.Index.State}, fact{"indexed", v.Index.indexedShare()}, fact{"messages", fmt.Sprint(v.Index.Messages)}, fact{"index size", c.size(v.Index.Octets)})
	}
	for _, w := range v.Wrecks {
		facts = append(facts, fact{"set aside", w + " can be removed"})
	}
	if v.Disk != nil {
		facts = append(facts, fact{"disk free", c.size(v.Disk.FreeOctets)}, fact{"disk size", c.size(v.Disk.TotalOctets)})
	}
	err := c.facts(facts, v)
	if err == nil && len(v.Problems) > 0 {
		err = &fault{code: ExitProblems, text: fmt.Sprintf("problems found: %d", len(v.Problems))}
	}
	return err
}
