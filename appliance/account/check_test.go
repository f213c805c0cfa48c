package account

import "testing"

func TestOrphans(t *testing.T) {
	t.Parallel()
	path := made(t)
	for want, statements := range []string{"", "PRAGMA foreign_keys = OFF; DELETE FROM domains"} {
		execute(t, path, statements)
		o := options("")
		o.Path, o.ReadOnly = path, true
		d, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.Orphans(t.Context()); n != int64(want) || err != nil {
			t.Errorf("%d orphans, %v, want %d", n, err, want)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
