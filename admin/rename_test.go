package admin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/process"
	"maild/appliance/store"
)

// TestRenameInterrupted stops a renaming after each of its steps, with mail that comes to the old name meanwhile, and holds that the same command
// finishes it.
func TestRenameInterrupted(t *testing.T) {
	t.Parallel()
	for steps := range 6 {
		root := t.TempDir()
		must(t, "--root", root, "user", "add", "anna@example.org", "--no-password")
		must(t, "--root", root, "alias", "add", "team@example.org", "anna@example.org")
		fill(t, root, "anna@example.org", 20)
		must(t, "--root", root, "search", "headers", "--count", "account:anna@example.org")
		interruptRename(t, root, steps)

		// Nobody takes the names, and another renaming has to wait.
		if steps > 0 {
			for _, args := range [][]string{
				{"user", "add", "anne@other.example", "--no-password"}, {"user", "rename", "anna@example.org", "anja@example.org"},
				{"alias", "add", "anne@other.example", "team@example.org"}, {"user", "remove", "anna@example.org", "--purge", "--yes"},
			} {
				if code, _, errs := mailctl(t, append([]string{"--root", root}, args...)...); code == ExitOK || steps < 4 && !strings.Contains(errs, "finish that first") {
					t.Errorf("after %d steps: %q: code %d, %s", steps, args, code, errs)
				}
			}
			if _, out, _ := mailctl(t, "--root", root, "status"); !strings.Contains(out, "finish it with \"mailctl user rename anna@example.org anne@other.example\"") {
				t.Errorf("after %d steps: status says %s", steps, out)
			}
		}
		must(t, "--root", root, "user", "rename", "anna@example.org", "anne@other.example", "--json")
		want := "20\n"
		if steps >= 3 {
			want = "22\n" // with those that came meanwhile
		}
		if n := must(t, "--root", root, "search", "headers", "--count", "account:anne@other.example"); n != want {
			t.Errorf("after %d steps: %s messages, want %s", steps, n, want)
		}
		if out := must(t, "--root", root, "alias", "list"); !strings.HasPrefix(out, "team@example.org\tanne@other.example\t") || strings.Count(out, "\n") != 1 {
			t.Errorf("after %d steps: aliases %s", steps, out)
		}
		if left, err := os.ReadDir(filepath.Join(root, "mail", "example.org")); err != nil || len(left) > 0 {
			t.Errorf("after %d steps: left %v, %v", steps, left, err)
		}
		must(t, "--root", root, "user", "add", "anna@example.org", "--no-password")
		if code, _, _ := mailctl(t, "--root", root, "index", "verify"); code != ExitOK {
			t.Errorf("after %d steps: index verify: code %d", steps, code)
		}
	}
}

// interruptRename goes so many steps of a renaming as "user rename" takes them.
func interruptRename(t *testing.T, root string, steps int) {
	t.Helper()
	ctx := context.Background()
	d, err := account.Open(ctx, account.Options{Path: filepath.Join(root, "accounts.db"), Hostname: "box.example", Separator: "+"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m := store.OpenMailboxes(filepath.Join(root, "mail"))
	defer m.Close()
	const old, next = "anna@example.org", "anne@other.example"
	var r account.Rename
	aside := filepath.Join(root, "mail", "example.org", ".renamed-anna")
	for i, step := range []func() error{
		func() (err error) {
			r, err = d.BeginRename(ctx, mail.Address{Local: "anna", Domain: "example.org"}, mail.Address{Local: "anne", Domain: "other.example"}, false)
			return err
		},
		func() error { return m.Rename(old, next) },
		func() error { fill(t, root, old, 2); return nil }, // a daemon delivers
		func() error { _, err := d.CommitRename(ctx, r); return err },
		func() error {
			return errors.Join(os.Rename(filepath.Join(root, "mail", "example.org", "anna"), aside), os.MkdirAll(filepath.Join(aside, "tmp", "x"), 0o700))
		},
	} {
		if i == steps {
			return
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRenameRefused holds that a renaming that cannot be done leaves all as it was.
func TestRenameRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	must(t, "--root", root, "user", "add", "anna@example.org", "--no-password")
	fill(t, root, "anna@example.org", 1)
	rename := []string{"--root", root, "user", "rename", "anna@example.org", "anne@other.example"}

	lock, err := process.TakeLock(filepath.Join(root, "rename.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := mailctl(t, rename...); code != ExitLocked || !strings.Contains(errs, "another \"mailctl user rename\" is at work") {
		t.Errorf("beside another: code %d, %s", code, errs)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}

	link := filepath.Join(root, "mail", "other.example")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := mailctl(t, rename...); code != ExitFailed || !strings.Contains(errs, "is a symbolic link") {
		t.Errorf("over a link: code %d, %s", code, errs)
	}
	// It is given up, so that the account is free for anything else.
	must(t, "--root", root, "user", "rename", "anna@example.org", "anja@example.org")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	must(t, "--root", root, "user", "rename", "anja@example.org", "anne@other.example")
	if n := must(t, "--root", root, "search", "headers", "--count", "account:anne@other.example"); n != "1\n" {
		t.Errorf("messages: %s", n)
	}
}
