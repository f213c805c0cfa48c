package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Octets is a size. It is written as a whole number with a unit, "25MiB",
// "10MB", or without one.
type Octets int64

// Duration is a length of time. It is written as whole numbers with units,
// "30s", "1h30m", "5d"; a number without a unit is an error.
type Duration time.Duration

type unit struct {
	name string
	size int64
}

// octetUnits: largest first, so that printing finds the shortest text.
func octetUnits() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9},
		{"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3}, {"B", 1},
	}
}

func timeUnits() []unit {
	return []unit{
		{"w", int64(7 * 24 * time.Hour)}, {"d", int64(24 * time.Hour)}, {"h", int64(time.Hour)},
		{"m", int64(time.Minute)}, {"s", int64(time.Second)}, {"ms", int64(time.Millisecond)},
		{"us", int64(time.Microsecond)}, {"ns", 1},
	}
}

// ParseOctets reads "50MiB", "10MB", "512B" or "1048576". Case does not matter.
func ParseOctets(s string) (Octets, error) {
	number, name := cutNumber(s)
	name = strings.TrimSpace(name)
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf(`%q is not a size: write it like "25MiB" or "10MB"`, s)
	}
	if name == "" {
		return Octets(n), nil
	}
	for _, u := range octetUnits() {
		if !strings.EqualFold(u.name, name) {
			continue
		}
		if n > math.MaxInt64/u.size {
			return 0, fmt.Errorf("%q is too large: the largest size is %s", s, Octets(math.MaxInt64>>40<<40))
		}
		return Octets(n * u.size), nil
	}
	return 0, fmt.Errorf(`%q has no unit that is known: write it like %q or %q`, s, number+"MiB", number+"MB")
}

// String is the shortest text that ParseOctets reads back as o.
func (o Octets) String() string {
	for _, u := range octetUnits() {
		if o != 0 && int64(o)%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(int64(o)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(o), 10)
}

// ParseDuration reads one or more whole numbers with their units: w, d, h, m,
// s, ms, us, ns. A day has 24 hours.
func ParseDuration(s string) (Duration, error) {
	var total int64
	rest := s
	for first := true; first || rest != ""; first = false {
		number, after := cutNumber(rest)
		name, next := cutLetters(after)
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf(`%q is not a duration: write it like "30s", "5m" or "36h"`, s)
		}
		size, err := timeUnit(name)
		if err != nil {
			return 0, fmt.Errorf(`%q %w: write it like %q or %q`, s, err, number+"s", number+"m")
		}
		if n > (math.MaxInt64-total)/size {
			return 0, fmt.Errorf("%q is too long: the longest duration is %s", s, Duration(math.MaxInt64).truncate())
		}
		total += n * size
		rest = next
	}
	return Duration(total), nil
}

func timeUnit(name string) (int64, error) {
	for _, u := range timeUnits() {
		if u.name == name {
			return u.size, nil
		}
	}
	if name == "" {
		return 0, fmt.Errorf("has no unit")
	}
	return 0, fmt.Errorf("has the unknown unit %q", name)
}

// String is text that ParseDuration reads back as d, "36h" rather than "1d12h".
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	if d < 0 {
		return time.Duration(d).String()
	}
	for _, u := range timeUnits() {
		if int64(d)%u.size == 0 && (int64(d) >= 2*u.size || u.size <= int64(time.Hour)) {
			return strconv.FormatInt(int64(d)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// truncate drops what is less than a day, for messages.
func (d Duration) truncate() Duration {
	return d - d%Duration(24*time.Hour)
}

func cutNumber(s string) (digits, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

func cutLetters(s string) (letters, rest string) {
	i := 0
	for i < len(s) && (s[i] < '0' || s[i] > '9') {
		i++
	}
	return s[:i], s[i:]
}
