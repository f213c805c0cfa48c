package admin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"maild/appliance/process"
	"maild/maildir"
)

// foreignMaildir makes a Maildir of n messages as another program would.
func foreignMaildir(t testing.TB, path string, n int) {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		name := filepath.Join(path, "cur", fmt.Sprintf("%d.x.host:2,S", i))
		if err := os.WriteFile(name, foreignText(i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func foreignText(i int) []byte {
	return fmt.Appendf(nil, "From: sender <s@example.net>\nSubject: message %d\n\n%s\n", i, strings.Repeat("text ", 100))
}

// foreignMbox makes an mbox of the same messages, in which each tenth stands twice.
func foreignMbox(t testing.TB, path string, n int) {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		for range 1 + (i+1)%10/9 {
			fmt.Fprintf(&b, "From s@example.net Sat Jan 31 08:00:00 2026\n%s\n", foreignText(i))
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// subjects counts the messages of an account by what they are.
func subjects(t *testing.T, root, name string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, s := range snapshot(t, root, name) {
		if s.message {
			found[s.content]++
		}
	}
	return found
}

// TestImportKilled kills imports half way until one comes to its end: then every message is there once.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	bin := build(t)
	const n = 4000
	for kind, make := range map[string]func(testing.TB, string, int){"maildir": foreignMaildir, "mbox": foreignMbox} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			root, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
			make(t, source, n)
			must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
			kills := 0
			for {
				cmd := exec.Command(bin, "--root", root, "import", kind, source, "anna@example.org")
				var errs bytes.Buffer
				cmd.Stderr = &errs
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				done := waitForMail(t, cmd, filepath.Join(root, "mail/example.org/anna"), (kills+1)*1500)
				if done == nil {
					break
				}
				if cmd.ProcessState.ExitCode() >= 0 {
					t.Fatalf("code %d: %s", cmd.ProcessState.ExitCode(), errs.String())
				}
				kills++
			}
			if kills == 0 {
				t.Error("every import was over before it could be killed: the test needs more messages")
			}
			found := subjects(t, root, "anna")
			for i := range n {
				want := 1
				if kind == "mbox" {
					want = 1 + (i+1)%10/9
				}
				if got := found[string(foreignText(i))]; got != want {
					t.Fatalf("message %d is there %d times, want %d, after %d kills", i, got, want, kills)
				}
			}
			if len(found) != n {
				t.Errorf("%d messages, want %d", len(found), n)
			}
			t.Logf("%d kills", kills)
		})
	}
}

// waitForMail kills a command once an account has so many messages, and gives its error; nil when it ended before that.
func waitForMail(t *testing.T, cmd *exec.Cmd, tree string, messages int) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return err
		default:
		}
		count := 0
		for _, sub := range []string{"cur", "new"} {
			list, _ := os.ReadDir(filepath.Join(tree, sub)) // what is not there yet has no files
			count += len(list)
		}
		if count >= messages {
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			return <-ended
		}
	}
}

// TestImportInterrupted holds that Ctrl-C keeps what was taken, and that the next import goes on.
func TestImportInterrupted(t *testing.T) {
	t.Parallel()
	root, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
	foreignMaildir(t, source, 50)
	must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The context ends when a file that cannot be taken is named, which is in the middle.
	if err := os.Symlink("x", filepath.Join(source, "cur", "link")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	said := &cancelling{cancel: cancel}
	code := Main(ctx, []string{"mailctl", "import", "maildir", source, "anna@example.org", "--root", root}, strings.NewReader(""), &out, said)
	if code != ExitFailed || !strings.Contains(said.String(), "mailctl: interrupted: nothing is half done; the same command goes on from here") {
		t.Errorf("code %d: %s", code, said.String())
	}
	taken := len(subjects(t, root, "anna"))
	if want := fmt.Sprintf("taken\t%d\n", taken); !strings.HasPrefix(out.String(), want) {
		t.Errorf("%d are there: %s", taken, out.String())
	}
	left := must(t, "import", "maildir", source, "anna@example.org", "--root", root)
	if want := fmt.Sprintf("taken\t%d\n", 50-taken); !strings.HasPrefix(left, want) || len(subjects(t, root, "anna")) != 50 {
		t.Errorf("the next import: %s, want %s", left, want)
	}
}

// cancelling ends a context when something is said.
type cancelling struct {
	bytes.Buffer
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	c.cancel()
	return c.Buffer.Write(p)
}

// TestImportDestinationFails holds that what cannot be written ends an import, with nothing half done.
func TestImportDestinationFails(t *testing.T) {
	t.Parallel()
	root, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
	foreignMaildir(t, source, 5)
	foreignMaildir(t, filepath.Join(source, ".Sent"), 5)
	must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
	inTheWay := filepath.Join(root, "mail/example.org/anna/.Sent")
	write(t, inTheWay, "")
	code, out, errs := mailctl(t, "import", "maildir", source, "anna@example.org", "--root", root)
	if code != ExitFailed || !strings.Contains(errs, inTheWay) {
		t.Errorf("code %d: %s", code, errs)
	}
	if want := fmt.Sprintf("taken\t%d\n", len(subjects(t, root, "anna"))); !strings.HasPrefix(out, want) {
		t.Errorf("%s, want %s", out, want)
	}
	if left := mustReadDir(t, filepath.Join(root, "mail/example.org/anna/tmp")); len(left) > 0 {
		t.Errorf("tmp/ has %d files", len(left))
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	must(t, "import", "maildir", source, "anna@example.org", "--root", root)
	if n := subjects(t, root, "anna")[string(foreignText(1))]; n != 2 {
		t.Errorf("a message is there %d times", n)
	}
}

// TestImportLocked holds that two imports into one account do not run at once.
func TestImportLocked(t *testing.T) {
	t.Parallel()
	root, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
	foreignMaildir(t, source, 1)
	must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
	lock, err := process.TakeLock(filepath.Join(root, "mail/example.org/anna", importLock))
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := mailctl(t, "import", "maildir", source, "anna@example.org", "--root", root)
	if code != ExitLocked || !strings.Contains(errs, "wait for it to end") {
		t.Errorf("code %d: %s", code, errs)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	must(t, "import", "maildir", source, "anna@example.org", "--root", root)
}

// TestImportGzip reads a compressed mbox, and one that is cut off.
func TestImportGzip(t *testing.T) {
	t.Parallel()
	root, dir := t.TempDir(), t.TempDir()
	must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
	plain := filepath.Join(dir, "plain")
	foreignMbox(t, plain, 1000)
	text, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for name, octets := range map[string]int{"cut/box.gz": packed.Len() / 2, "whole/box.gz": packed.Len()} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, packed.Bytes()[:octets], 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := mailctl(t, "import", "mbox", filepath.Join(dir, "cut"), "anna@example.org", "--root", root)
	if code != ExitPartial || !strings.Contains(errs, "failed: box.gz: ") || strings.HasPrefix(out, "taken\t0\n") {
		t.Errorf("one that is cut off: code %d: %s%s", code, out, errs)
	}
	must(t, "import", "mbox", filepath.Join(dir, "whole"), "anna@example.org", "--dedup", "--root", root)
	if n := len(subjects(t, root, "anna")); n != 1000 {
		t.Errorf("%d messages", n)
	}
}

// TestImportLarge takes a message that is not held in memory, by both ways, and knows it again.
func TestImportLarge(t *testing.T) {
	t.Parallel()
	root, dir := t.TempDir(), t.TempDir()
	must(t, "user", "add", "anna@example.org", "--no-password", "--root", root)
	text := "Subject: large\n\n" + strings.Repeat("0123456789 From here\n", smallOctets/10)
	box := filepath.Join(dir, "box")
	write(t, box, "From a@b Sat Jan 31 08:00:00 2026\n"+text+"\nFrom a@b Sat Jan 31 08:00:00 2026\n"+text)
	for i, want := range []string{"taken\t2\n", "taken\t0\n"} {
		if out := must(t, "import", "mbox", box, "anna@example.org", "--root", root); !strings.HasPrefix(out, want) {
			t.Errorf("import %d: %s", i, out)
		}
	}
	if out := must(t, "import", "mbox", box, "anna@example.org", "--root", root, "--into", "Copy", "--dedup"); !strings.Contains(out, "duplicates\t2\n") {
		t.Errorf("--dedup: %s", out)
	}
	if out := must(t, "import", "mbox", box, "anna@example.org", "--root", root, "--into", "Copy", "--dry-run"); !strings.HasPrefix(out, "would be taken\t2\n") {
		t.Errorf("--dry-run: %s", out)
	}
	if found := subjects(t, root, "anna"); len(found) != 1 || found[text] != 2 {
		t.Errorf("%d different messages", len(found))
	}
	if left := mustReadDir(t, filepath.Join(root, "mail/example.org/anna/tmp")); len(left) > 0 {
		t.Errorf("tmp/ has %d files", len(left))
	}
}

// TestImportRights holds that root can give mail that its owner alone may read, and write an export where root alone may.
func TestImportRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const nobody, somebody = 65534, 12345
	bin, top := build(t), t.TempDir()
	root, home := filepath.Join(top, "data"), filepath.Join(top, "home")
	for _, dir := range []string{filepath.Dir(top), top} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	foreignMaildir(t, filepath.Join(home, "Maildir"), 3)
	err := errors.Join(os.Mkdir(root, 0o750), os.Chown(root, nobody, nobody), os.Mkdir(filepath.Join(top, "secret"), 0o700), filepath.Walk(home, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chown(path, somebody, somebody))
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"user", "add", "anna@example.org", "--no-password"},
		{"import", "maildir", filepath.Join(home, "Maildir"), "anna@example.org"},
		{"import", "maildir", filepath.Join(home, "Maildir"), "anna@example.org", "--into", "Linked", "--link"},
		{"export", "anna@example.org", "tar", filepath.Join(top, "secret/anna.tar")},
		{"export", "anna@example.org", "maildir", filepath.Join(top, "secret/anna")},
	} {
		if out, err := exec.Command(bin, append(args, "--root", root)...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	err = filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Nlink > 1 && !info.IsDir() {
			t.Errorf("%s belongs to %d and has %d names", path, st.Uid, st.Nlink)
		}
		return nil
	})
	if n := subjects(t, root, "anna")[string(foreignText(1))]; err != nil || n != 2 {
		t.Errorf("a message is there %d times, error %v", n, err)
	}
}

// TestDigestSet holds the set against a map, across several sizes of its table.
func TestDigestSet(t *testing.T) {
	t.Parallel()
	set, err := newDigestSet()
	if err != nil {
		t.Fatal(err)
	}
	defer set.close()
	const n = 3 * firstSlots
	for i := range n {
		if first, err := set.add(digestOf("x", fmt.Sprint(i))); err != nil || !first {
			t.Fatalf("%d: %v, %v", i, first, err)
		}
	}
	for i := range 2 * n {
		has, err := set.has(digestOf("x", fmt.Sprint(i)))
		if err != nil || has != (i < n) {
			t.Fatalf("%d: %v, %v", i, has, err)
		}
	}
	if first, err := set.add(digestOf("x", "7")); err != nil || first {
		t.Errorf("added again: %v, %v", first, err)
	}
	if digestOf("a", "bc") == digestOf("ab", "c") {
		t.Error("the digest does not tell where one text ends")
	}
}

// TestImportName holds that a name tells the digest it was made of, whatever stands behind it, and that no other name does.
func TestImportName(t *testing.T) {
	t.Parallel()
	d := digestOf("x")
	name := importName(d, time.Unix(1769846400, 123456789))
	if want := fmt.Sprintf("1769846400.M123456I%x.import", d[:]); name != want {
		t.Errorf("%s, want %s", name, want)
	}
	for _, key := range []string{name, name + ",S=3,W=4", importName(d, time.Unix(-5, 0))} {
		if got, ok := importedDigest(maildir.Key(key)); !ok || got != d {
			t.Errorf("%s: %x, %v", key, got, ok)
		}
	}
	for _, key := range []string{"", ".import", "1.M2P3Q4.host,S=1", "1.M2I00.import", strings.Replace(name, "I", "J", 1), name[:len(name)-8] + "g.import"} {
		if got, ok := importedDigest(maildir.Key(key)); ok {
			t.Errorf("%q: %x", key, got)
		}
	}
}

// TestMap holds which folder a folder goes to.
func TestMap(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ into, from, want string }{
		{"", "INBOX", "INBOX"}, {"", "a.b", "a.b"}, {"Old", "INBOX", "Old"}, {"Old", "a.b", "Old.a.b"}, {"INBOX", "a", "a"},
		{"", "Sent", "Out"}, {"", "Sent.2026", "Out.2026"}, {"", "Sent.2025.x", "Past.x"}, {"Old", "Sent", "Out"}, {"", "Sentry", "Sentry"},
		{"", "Top", "INBOX"}, {"", "Top.x.y", "x.y"},
	} {
		im := &importer{importOptions: importOptions{into: tc.into, renames: map[string]string{"Sent": "Out", "Sent.2025": "Past", "Top": "INBOX"}}}
		if got := im.target(tc.from); got != tc.want {
			t.Errorf("%s with --into %q goes to %s, want %s", tc.from, tc.into, got, tc.want)
		}
	}
}

func mustReadDir(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}
