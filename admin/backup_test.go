package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBackupAsRoot holds that root makes a backup for the owner of the data, and that what that one cannot read is named.
func TestBackupAsRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const nobody = 65534
	bin, top := build(t), t.TempDir()
	root, conf := filepath.Join(top, "data"), filepath.Join(top, "maild.toml")
	for _, dir := range []string{filepath.Dir(top), top} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, conf, fmt.Sprintf("data_dir = %q\nuser = \"nobody\"\n", root))
	if err := errors.Join(os.Mkdir(root, 0o750), os.Chown(root, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command(bin, append([]string{"--config", conf}, args...)...)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Fatalf("%q: code %d, %v: %s", args, code, err, out)
		}
		return string(out)
	}
	run(ExitOK, "user", "add", "anna@example.org", "--no-password")
	box := filepath.Join(root, "mail/example.org/anna")
	write(t, filepath.Join(box, "cur/1.M1P1.h:2,S"), "Subject: a\n\n")
	if err := os.Chown(filepath.Join(box, "cur/1.M1P1.h:2,S"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	// Of root's alone.
	write(t, filepath.Join(box, "cur/2.M1P1.h:2,S"), "Subject: b\n\n")
	if err := errors.Join(os.Mkdir(filepath.Join(box, ".Closed"), 0o700), os.Mkdir(filepath.Join(box, ".Closed/cur"), 0o700)); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(top, "backups", "one")
	out := run(ExitPartial, "backup", dest, "--copy")
	for _, want := range []string{"cannot read " + filepath.Join(box, "cur/2.M1P1.h:2,S"), "cannot read " + filepath.Join(box, ".Closed"), "2 files or folders", "messages\t1\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in: %s", want, out)
		}
	}
	run(ExitOK, "backup", "verify", dest)
	if text, err := os.ReadFile(filepath.Join(dest, "maild.toml")); err != nil || !strings.HasPrefix(string(text), "data_dir") {
		t.Errorf("%q, %v", text, err)
	}
	err := filepath.Walk(dest, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s belongs to %d, mode %v", path, st.Uid, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBackupInterrupted holds that Ctrl-C leaves what the same command goes on with.
func TestBackupInterrupted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fill(t, root, "anna@example.org", 60)
	dest := filepath.Join(t.TempDir(), "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	w := &world{in: strings.NewReader(""), out: &out, errs: &errs, zone: time.UTC, now: time.Now, disk: statDisk}
	if code := w.run(ctx, []string{"mailctl", "backup", dest, "--root", root}); code != ExitFailed || !strings.Contains(errs.String(), "interrupted") {
		t.Fatalf("code %d: %s", code, errs.String())
	}
	if out := must(t, "backup", "list", dest); !strings.Contains(out, "\tincomplete\t") {
		t.Errorf("list: %s", out)
	}
	if out := must(t, "backup", dest, "--root", root); !strings.Contains(out, "messages\t60\n") {
		t.Errorf("%s", out)
	}
	if out := must(t, "backup", "list", dest); !strings.Contains(out, "\tcomplete\t") {
		t.Errorf("list: %s", out)
	}
}
