package admin

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"maild/index"
)

const (
	// progressEvery keeps a terminal from being written to all the time.
	progressEvery = 100 * time.Millisecond
	// progressAfter is how long work may take before anything is shown.
	progressAfter = 5 * progressEvery
	// rateMemory is for how long the rate of the past counts: long enough not to jump, short enough to follow the work.
	rateMemory = 5 * time.Second
	// barCells is how wide the bar is.
	barCells = 20
)

// progress shows how long work goes on, doing being what it is called; show is nil where nobody would see it. done clears the line.
func (c *call) progress(doing string) (show func(index.Progress), done func()) {
	if !c.world.animated {
		return nil, func() {}
	}
	m := &meter{doing: doing}
	show = func(p index.Progress) {
		now := time.Now()
		if p.Elapsed < progressAfter || now.Sub(m.last) < progressEvery {
			return
		}
		m.last = now
		columns := defaultWidth
		if c.world.columns != nil {
			columns = c.world.columns()
		}
		m.shown = true
		io.WriteString(c.world.errs, "\r"+m.line(p, columns)+"\x1b[K")
	}
	return show, func() {
		if m.shown {
			io.WriteString(c.world.errs, "\r\x1b[K")
		}
	}
}

// meter remembers what the rate of work is made of.
type meter struct {
	doing   string
	last    time.Time // when a line was written
	shown   bool
	scanned int64 // at the time of the last line
	elapsed time.Duration
	rate    float64 // a second; 0 = not known yet
}

// line is the state of the work in less than so many columns: a terminal that is full to its last column goes on to the next line, where it cannot
// be cleared.
func (m *meter) line(p index.Progress, columns int) string {
	m.measure(p)
	room := columns - 1
	count := fmt.Sprintf("%d messages", p.Scanned)
	tail := fmt.Sprintf(", %.0f/s", m.rate)
	if p.Total <= 0 {
		if p.Folders > 0 {
			count = fmt.Sprintf("%d of %d folders, %s", p.FoldersDone, p.Folders, count)
		}
		return cut(m.doing+": "+count+tail, room)
	}
	done := min(1, float64(p.Scanned)/float64(p.Total))
	if m.rate > 0 {
		tail += ", " + roughly(time.Duration(float64(max(0, p.Total-p.Scanned))/m.rate*float64(time.Second))) + " left"
	}
	share := fmt.Sprintf("%.0f %%", math.Floor(100*done))
	full := int(done * barCells)
	bar := "[" + strings.Repeat("#", full) + strings.Repeat("-", barCells-full) + "] "
	// What is left out first on a narrow terminal is what the eye misses least.
	for _, line := range []string{
		m.doing + ": " + bar + share + fmt.Sprintf(", %d of %d messages", p.Scanned, p.Total) + tail,
		m.doing + ": " + share + fmt.Sprintf(", %d of %d messages", p.Scanned, p.Total) + tail,
		m.doing + ": " + share + tail,
		share + tail,
	} {
		if cells(line) <= room {
			return line
		}
	}
	return cut(share, room)
}

// measure takes up how far the work has come since the last line.
func (m *meter) measure(p index.Progress) {
	span := p.Elapsed - m.elapsed
	if span <= 0 {
		return
	}
	now := max(0, float64(p.Scanned-m.scanned)) / span.Seconds()
	weight := math.Exp(-span.Seconds() / rateMemory.Seconds())
	if m.rate == 0 {
		weight = 0
	}
	m.rate = weight*m.rate + (1-weight)*now
	m.scanned, m.elapsed = p.Scanned, p.Elapsed
}

// roughly is a time that is only guessed.
func roughly(d time.Duration) string {
	switch {
	case d >= 100*time.Hour:
		return "days"
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%ds", int(d.Round(time.Second).Seconds()))
}
