package config

import (
	"testing"
	"time"
)

func TestParseOctets(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Octets{
		"0": 0, "1048576": 1 << 20, "25MiB": 25 << 20, "10MB": 10_000_000, "1 GiB": 1 << 30,
		"64kb": 64_000, "512B": 512, "8388607TiB": 8388607 << 40,
	} {
		if got, err := ParseOctets(s); err != nil || got != want {
			t.Errorf("ParseOctets(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1.5GiB", "25M", "25 potatoes", "8388608TiB", "99999999999999999999", "1MiB2"} {
		if got, err := ParseOctets(s); err == nil {
			t.Errorf("ParseOctets(%q) = %d, want an error", s, got)
		}
	}
	for o, want := range map[Octets]string{50 << 20: "50MiB", 10_000_000: "10MB", 1000: "1kB", 999: "999", 0: "0"} {
		if got := o.String(); got != want {
			t.Errorf("Octets(%d) prints as %q, want %q", int64(o), got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "36h": 36 * time.Hour, "5d": 120 * time.Hour,
		"1w": 168 * time.Hour, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond,
	} {
		if got, err := ParseDuration(s); err != nil || time.Duration(got) != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "30", "s", "-30s", "1.5h", "30 s", "5M", "1h30", "99999999w", "99999999999999999999s"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", s, got)
		}
	}
	for d, want := range map[time.Duration]string{
		36 * time.Hour: "36h", 24 * time.Hour: "24h", 120 * time.Hour: "5d", 90 * time.Second: "90s", time.Minute: "1m",
		5 * time.Minute: "5m", 1500 * time.Millisecond: "1500ms", 0: "0s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v prints as %q, want %q", d, got, want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	f.Add("25MiB")
	f.Add("1h30m")
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseOctets(s); err == nil {
			if again, err := ParseOctets(o.String()); o < 0 || err != nil || again != o {
				t.Fatalf("%q is %d, printed %q, read %d, %v", s, int64(o), o, int64(again), err)
			}
		}
		if d, err := ParseDuration(s); err == nil {
			if again, err := ParseDuration(d.String()); d < 0 || err != nil || again != d {
				t.Fatalf("%q is %d, printed %q, read %d, %v", s, int64(d), d, int64(again), err)
			}
		}
	})
}
