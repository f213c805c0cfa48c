package admin

import (
	"strings"
	"testing"
	"time"

	"maild/index"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		p       index.Progress
		columns int
		want    string
	}{
		{"too early to tell", index.Progress{Total: 1000, Scanned: 1, Elapsed: progressEvery}, 80, ""},
		{"rate and time left", index.Progress{Total: 5000, Scanned: 1000, Elapsed: 2 * time.Second}, 80, "reading: [####----------------] 20 %, 1000 of 5000 messages, 500/s, 8s left"},
		{"narrower", index.Progress{Total: 5000, Scanned: 1000, Elapsed: 2 * time.Second}, 60, "reading: 20 %, 1000 of 5000 messages, 500/s, 8s left"},
		{"narrow", index.Progress{Total: 5000, Scanned: 1000, Elapsed: 2 * time.Second}, 40, "reading: 20 %, 500/s, 8s left"},
		{"very narrow", index.Progress{Total: 5000, Scanned: 1000, Elapsed: 2 * time.Second}, 24, "20 %, 500/s, 8s left"},
		{"hardly a terminal", index.Progress{Total: 5000, Scanned: 1000, Elapsed: 2 * time.Second}, 8, "20 %"},
		{"more than there were", index.Progress{Total: 900, Scanned: 1000, Elapsed: 2 * time.Second}, 80, "reading: [####################] 100 %, 1000 of 900 messages, 500/s, 0s left"},
		{"neither total nor folders", index.Progress{Scanned: 1000, Elapsed: 2 * time.Second}, 80, "reading: 1000 messages, 500/s"},
		{"no total", index.Progress{Folders: 4, FoldersDone: 1, Scanned: 1000, Elapsed: 2 * time.Second}, 80, "reading: 1 of 4 folders, 1000 messages, 500/s"},
		{"no total, narrow", index.Progress{Folders: 4, FoldersDone: 1, Scanned: 1000, Elapsed: 2 * time.Second}, 30, "reading: 1 of 4 folders, 100…"},
	} {
		var errs strings.Builder
		c := &call{world: &world{errs: &errs, animated: true, columns: func() int { return tt.columns }}}
		show, done := c.progress("reading")
		show(tt.p)
		want := ""
		if tt.want != "" {
			want = "\r" + tt.want + "\x1b[K"
		}
		if got := errs.String(); got != want {
			t.Errorf("%s: %q, want %q", tt.name, got, want)
		}
		done()
		if got := errs.String(); tt.want != "" && !strings.HasSuffix(got, "\r\x1b[K") {
			t.Errorf("%s: the line stays: %q", tt.name, got)
		}
	}
	if show, _ := (&call{world: &world{}}).progress("reading"); show != nil {
		t.Error("progress where nobody sees it")
	}
}

// TestProgressFits holds that no line reaches the last column of a terminal, however narrow, and says it all where there is room.
func TestProgressFits(t *testing.T) {
	t.Parallel()
	for columns := 1; columns < 150; columns++ {
		for _, p := range []index.Progress{{Total: 1_000_000, Scanned: 123_456, Elapsed: time.Hour}, {Folders: 100, FoldersDone: 7, Scanned: 123_456, Elapsed: time.Minute}} {
			m := &meter{doing: "読み取り中"} // two columns each
			line := m.line(p, columns)
			if cells(line) >= max(2, columns) {
				t.Errorf("%d columns: %q takes %d", columns, line, cells(line))
			}
			if columns > 100 && !strings.Contains(line, "123456") {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}

// TestProgressIsSeldom holds that a terminal is written to ten times a second at most.
func TestProgressIsSeldom(t *testing.T) {
	t.Parallel()
	var errs strings.Builder
	c := &call{world: &world{errs: &errs, animated: true}}
	show, _ := c.progress("reading")
	begin := time.Now()
	for i := range 100_000 {
		show(index.Progress{Total: 100_000, Scanned: int64(i), Elapsed: time.Second + time.Since(begin)})
	}
	if n, most := strings.Count(errs.String(), "\r"), int(time.Since(begin)/progressEvery)+1; n == 0 || n > most {
		t.Errorf("%d lines in %v, at most %d", n, time.Since(begin), most)
	}
}

// TestRate holds that the rate follows the work, and does not jump.
func TestRate(t *testing.T) {
	t.Parallel()
	m := &meter{}
	var scanned int64
	var elapsed time.Duration
	run := func(perSecond int64, seconds int) {
		for range seconds * 10 {
			scanned, elapsed = scanned+perSecond/10, elapsed+100*time.Millisecond
			m.measure(index.Progress{Scanned: scanned, Elapsed: elapsed})
		}
	}
	run(1000, 10)
	if m.rate < 990 || m.rate > 1010 {
		t.Errorf("a steady 1000: %f", m.rate)
	}
	run(100, 1)
	if m.rate < 600 || m.rate > 950 {
		t.Errorf("after a second of 100: %f", m.rate)
	}
	run(100, 30)
	if m.rate < 99 || m.rate > 105 {
		t.Errorf("after half a minute of 100: %f", m.rate)
	}
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 200 * time.Second: "3m20s", 3*time.Hour + 5*time.Minute: "3h05m", 1000 * time.Hour: "days"} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
