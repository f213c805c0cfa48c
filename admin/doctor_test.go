package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maild/appliance/config"
	"maild/appliance/process"
)

// doctored runs doctor on a data directory with a configuration, some hours from now.
func doctored(t *testing.T, root, toml string, later time.Duration) doctorView {
	t.Helper()
	file := filepath.Join(t.TempDir(), "maild.toml")
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	w := &world{in: strings.NewReader(""), out: &out, errs: &errs, zone: time.UTC, now: func() time.Time { return time.Now().Add(later) },
		disk: func(string) (diskView, error) { return diskView{1 << 40, 1 << 41, -1}, nil }}
	w.run(context.Background(), []string{"mailctl", "--root", root, "--config", file, "doctor", "--json"})
	var v doctorView
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s %s", err, out.String(), errs.String())
	}
	return v
}

// found gives what one check found, each as "state: what | mend".
func (v doctorView) found(check string) (list []string) {
	for _, f := range v.Findings {
		if f.Check == check {
			list = append(list, f.State+": "+f.What+" | "+f.Mend)
		}
	}
	return list
}

// expect holds that each finding contains what is wanted, in any order, and that there are no others.
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, w) }) {
			t.Errorf("%q is not found, but %q", w, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// greeter listens on a free port of the loopback interface and greets whoever comes.
func greeter(t *testing.T, greeting string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "%s\r\n", greeting)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// closedPort is a port of the loopback interface that nothing listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDoctorListeners(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ours, others, closed := greeter(t, "220 mail.example.org ESMTP ready"), greeter(t, "220 other.example.net ESMTP Postfix"), closedPort(t)
	toml := fmt.Sprintf("hostname = \"mail.example.org\"\nlisten = { mx = %q, submission = [%q, %q], submissions = [\"203.0.113.7:465\", \":0\"] }\n", ours, others, closed)
	expect(t, doctored(t, root, toml, 0).found("listeners"), "notice: maild does not run, and something listens on "+ours, "notice: maild does not run, and something listens on "+others,
		"fault: 203.0.113.7:465 (submissions) is no address of this machine")

	lock, err := process.TakeLock(filepath.Join(root, "maild.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	file := filepath.Join(root, "maild.toml")
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := mailctl(t, "--root", root, "--config", file, "status"); code != ExitProblems || !strings.Contains(out, "nothing listens on "+closed) || strings.Contains(out, "nothing listens on "+ours) {
		t.Errorf("status: code %d: %s", code, out)
	}
	expect(t, doctored(t, root, toml, 0).found("listeners"), "fault: what listens on "+others+" (submission) is not this maild", "nothing listens on "+closed,
		"fault: 203.0.113.7:465 (submissions) is no address of this machine")
}

func TestListeners(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "a socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open, closed := greeter(t, "220 x"), closedPort(t)
	_, port, _ := net.SplitHostPort(open)
	got, err := listeners(config.Listen{MX: []string{open, closed}, Submission: []string{":0", "localhost:" + port}, Submissions: []string{"[::1]:" + port}, LMTP: socket})
	want := []listenerView{{"mx", open, portOpen}, {"mx", closed, portClosed}, {"submission", ":0", portUnknown}, {"submission", "localhost:" + port, portOpen},
		{"submissions", "[::1]:" + port, portClosed}, {"lmtp", socket, portOpen}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := listeners(config.Listen{LMTP: socket + "s"}); err != nil || got[0].State != portClosed {
		t.Errorf("a socket that is not there: %v, %v", got, err)
	}
}

func TestParseListening(t *testing.T) {
	t.Parallel()
	table := "  sl  local_address rem_address   st tx_queue\n" +
		"   0: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n" +
		"   1: 0100007F:0050 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n" +
		"   2: 00000000000000000000000001000000:01D1 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n" +
		"   3: 0000000000000000FFFF00000100007F:024B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n" +
		"   4: zz:0019 0:0 0A\n   5: 01:0019 0:0 0A\n   6: 0100007F:99999 0:0 0A\n\n"
	want := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:25"), netip.MustParseAddrPort("[::1]:465"), netip.MustParseAddrPort("[::ffff:127.0.0.1]:587")}
	if got := parseListening(table); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzParseListening(f *testing.F) {
	f.Add("   0: 0100007F:0019 00000000:0000 0A 0")
	f.Fuzz(func(t *testing.T, table string) {
		for _, a := range parseListening(table) {
			if !a.IsValid() {
				t.Errorf("%q: %v", table, a)
			}
		}
	})
}

const quietConfig = "hostname = \"mail.example.org\"\nlisten = { mx = [], submission = [], submissions = [] }\n"

// TestDoctorFindsWhatWasLeft: files in tmp/ count when they are old, links to folders are no folders, and open directories are open.
func TestDoctorFindsWhatWasLeft(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	fill(t, root, "anna@example.org", 3)
	tree := filepath.Join(root, "mail", "example.org", "anna")
	for path, mode := range map[string]os.FileMode{"tmp/1.M1P1.host": 0o600, "new/2.M2P2.host": 0o644, "tmp/3.M3P3.host": 0o600} {
		if err := os.WriteFile(filepath.Join(tree, path), []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(tree, ".Nothing")); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.Mkdir(filepath.Join(elsewhere, "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(tree, ".Linked")); err != nil {
		t.Fatal(err)
	}
	expect(t, doctored(t, root, quietConfig, 0).found("maildirs"), ".Linked is a link to a folder")
	if err := os.Chmod(root, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(tree, "new", "2.M2P2.host"), 0o644); err != nil {
		t.Fatal(err)
	}
	v := doctored(t, root, quietConfig, 50*time.Hour)
	expect(t, v.found("maildirs"), ".Linked is a link to a folder", "is what a delivery left 50 hours ago", "2.M2P2.host is open to everybody on this machine (mode 0644) | sudo chmod -R o-rwx "+tree)
	expect(t, v.found("data directory"), "everybody on this machine gets into "+root)
}

// TestDoctorMends runs the lines that it gives, and looks again.
func TestDoctorMends(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, "--root", root, "user", "add", "anna@example.org", "--no-password")
	fill(t, root, "anna@example.org", 1)
	tree := filepath.Join(root, "mail", "example.org", "anna")
	for _, dir := range []string{".It's a folder/cur", ".Half/new", ".Half/cur"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "cur", ":2,S"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "mail", "stray $(touch x)"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found := doctored(t, root, quietConfig, 0)
	if len(found.found("maildirs")) != 4 {
		t.Fatalf("found %q", found.found("maildirs"))
	}
	for _, f := range found.Findings {
		if f.Check == "maildirs" {
			shell(t, strings.NewReplacer("sudo -u "+loginName(uint32(os.Geteuid()))+" ", "", "sudo ", "").Replace(f.Mend))
		}
	}
	expect(t, doctored(t, root, quietConfig, 0).found("maildirs"))
}

// TestDoctorOwner finds what belongs to somebody else.
func TestDoctorOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	fill(t, root, "anna@example.org", 2)
	tree := filepath.Join(root, "mail", "example.org", "anna")
	for _, path := range []string{filepath.Join(tree, "cur"), filepath.Join(tree, "new")} {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, doctored(t, root, quietConfig, 0).found("maildirs"), fmt.Sprintf("belongs to %s, not to root | sudo chown -R root: %s", loginName(65534), tree))
}

// TestDoctorIsBrief: a check that finds much says so, in few lines.
func TestDoctorIsBrief(t *testing.T) {
	t.Parallel()
	var u checkup
	for i := range 120 {
		u.fault("mend", "fault %d", i)
	}
	u.notice("", "notice")
	var v doctorView
	v.add("x", u)
	if len(v.Findings) != maxFindings+2 || v.Findings[maxFindings+1].What != "70 more such" || v.Checks[0].State != stateFault {
		t.Errorf("%d findings, the last %v", len(v.Findings), v.Findings[len(v.Findings)-1])
	}
}

func TestEnoughWatches(t *testing.T) {
	t.Parallel()
	for folders, want := range map[int64]bool{0: true, 290: true, 300: false, 3000: false} {
		var u checkup
		(&patient{folders: folders}).enoughWatches(&u, 1000)
		if (len(u.findings) == 0) != want {
			t.Errorf("%d folders, 1000 watches: %v", folders, u.findings)
		}
	}
}

func TestIsPublicName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"mail.maild.dev": true, "a.b.co.uk": true, "localhost": false, "vm": false, "mx.local": false, "mail.example.org": false, "example.com": false,
		"x.example": false, "box.home.arpa": false, "1.2.in-addr.arpa": true, "mail.lan": false, "examples.org": true} {
		if isPublicName(name) != want {
			t.Errorf("%s: public is %v", name, !want)
		}
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"", "plain/path-1.txt", "two words", "it's", "$(reboot)", "a\nb", "*", "~", "ünï", "a;b", "#x"} {
		if got := shell(t, "printf %s "+shellWord(word)); got != word {
			t.Errorf("%q: the shell reads %s as %q", word, shellWord(word), got)
		}
	}
}
