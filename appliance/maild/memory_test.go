package main_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestMemory: a message is streamed. One of 64 MiB may not cost as much as a third
// of itself, however it comes.
func TestMemory(t *testing.T) {
	t.Parallel()
	if raced() {
		t.Skip("LEFT OUT, because the race detector multiplies memory")
	}
	const (
		messageOctets = 64 << 20
		growthKiB     = 20 << 10
	)
	lines := strings.Repeat(strings.Repeat("0123456789 ", 6)+"\r\n", 1<<20/68)
	oneLine := strings.Repeat("0123456789abcdef", 1<<16)
	for name, tc := range map[string]struct {
		before, block, after string
		chunks               bool
	}{
		"lines":     {"Subject: large\r\n\r\n", lines, "\r\n.\r\n", false},
		"one line":  {"Subject: large\r\n\r\n", oneLine, "\r\n.\r\n", false},
		"header":    {"Subject: large\r\n", strings.Repeat("X-Large: "+strings.Repeat("x", 57)+"\r\n", 1<<20/68), "\r\n.\r\n", false},
		"one field": {"Subject: ", oneLine, "\r\n\r\n.\r\n", false},
		"chunks":    {"Subject: large\r\n\r\n", lines, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "[limits]\nmessage_size = \"100MiB\"\n", "mx")
			d := b.start()
			c := b.dial("mx")
			c.mustSend(t, "zoe@example.com", letter("small@example.com", "small", "\n"), loadAccount)
			before := d.peakKiB()
			c.want(t, "MAIL FROM:<zoe@example.com>", "250")
			c.want(t, "RCPT TO:<"+loadAccount+">", "250")
			if !tc.chunks {
				c.want(t, "DATA", "354")
			}
			c.write(t, tc.chunks, tc.before)
			for sent := 0; sent < messageOctets; sent += len(tc.block) {
				c.write(t, tc.chunks, tc.block)
			}
			if tc.chunks {
				c.want(t, "BDAT 0 LAST", "250")
			} else {
				c.write(t, false, tc.after)
				c.want(t, "", "250")
			}
			growth := d.peakKiB() - before
			t.Logf("%d KiB more for a message of %d KiB", growth, messageOctets>>10)
			if growth > growthKiB {
				t.Errorf("memory grew by %d KiB, want at most %d", growth, growthKiB)
			}
			b.awaitIndex()
			d.stop()
		})
	}
}

// write sends a piece of a message, as a BDAT chunk or as it is.
func (c *client) write(t *testing.T, chunk bool, text string) {
	t.Helper()
	if chunk {
		text = fmt.Sprintf("BDAT %d\r\n%s", len(text), text)
	}
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if chunk {
		c.want(t, "", "250")
	}
}

// peakKiB is the most memory that the daemon has ever had in use.
func (d *daemon) peakKiB() int {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status)
	if match == nil {
		d.t.Fatalf("no VmHWM in %s", status)
	}
	n, err := strconv.Atoi(string(match[1]))
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}
