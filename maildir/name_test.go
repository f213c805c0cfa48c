package maildir

import (
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestParseFileName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base  string
		key   Key
		flags Flags
		ok    bool
	}{
		{"1.M2P3Q4.host,S=5,W=6", "1.M2P3Q4.host,S=5,W=6", "", true},
		{"1.x:2,", "1.x", "", true},
		{"1.x:2,SR", "1.x", "RS", true},
		{"1.x:2,RSab", "1.x", "RSab", true},
		{"1.x:2,SS", "1.x", "S", true},
		{"1.x:2,QXz9", "1.x", "9QXz", true},
		{"1.x:1,exp", "1.x:1,exp", "", true},
		{"1.x:2,S:2,R", "1.x:2,S", "R", true},
		{"1.x:2,\xc3\xa9", "1.x:2,\xc3\xa9", "", true},
		{":2,S", "", "S", false},
		{".hidden", ".hidden", "", false},
		{"", "", "", false},
		{"a/b:2,S", "a/b", "S", false},
	} {
		key, flags, ok := ParseFileName(test.base)
		if key != test.key || flags != test.flags || ok != test.ok {
			t.Errorf("ParseFileName(%q) = %q, %q, %t; want %q, %q, %t", test.base, key, flags, ok, test.key, test.flags, test.ok)
		}
	}
}

func FuzzParseFileName(f *testing.F) {
	for _, seed := range []string{"1.x:2,S", "1.x", ":2,", "a:2,:2,", "a:2,b:2,c", "..", "x,S=1,W=99999999999999999999", "a:2,\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, base string) {
		key, flags, ok := ParseFileName(base)
		if !ok {
			return
		}
		if strings.ContainsAny(string(key), "/\x00") || key[0] == '.' {
			t.Fatalf("key %q can leave the directory", key)
		}
		for _, isNew := range []bool{true, false} {
			e := Entry{Key: key, Flags: flags, New: isNew}
			key2, flags2, ok := ParseFileName(e.FileName())
			if key2 != key || flags2 != flags || !ok {
				t.Fatalf("%q is %q %q, but its name %q is %q %q", base, key, flags, e.FileName(), key2, flags2)
			}
		}
		if n, ok := (Entry{Key: key}).Octets(); ok && n < 0 {
			t.Fatalf("%q has %d octets", key, n)
		}
	})
}

func TestEntrySizes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key          Key
		octets, wire int64
		okS, okW     bool
	}{
		{"1.M2P3Q4.host,S=5,W=6", 5, 6, true, true},
		{"1.host,W=6,S=5", 5, 6, true, true},
		{"1.host,S=5,W=x", 5, 0, true, false},
		{"1.S=7.host", 0, 0, false, false},
		{"1.host,S=-5,W=99999999999999999999", 0, 0, false, false},
		{"1.host,S=", 0, 0, false, false},
	} {
		e := Entry{Key: test.key}
		octets, okS := e.Octets()
		wire, okW := e.WireOctets()
		if okS != test.okS || okW != test.okW || okS && octets != test.octets || okW && wire != test.wire {
			t.Errorf("%s: %d %t, %d %t", test.key, octets, okS, wire, okW)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	f := ParseFlags("SRa/b\x00é S")
	if f != "RSab" {
		t.Fatalf("parsed %q", f)
	}
	if !f.Has(Seen) || !f.Has("Ra") || f.Has(Trashed) || !f.Has("") || f.Has("Rx") {
		t.Errorf("Has is wrong about %q", f)
	}
	if got := f.With("TzA"); got != "ARSTabz" {
		t.Errorf("With: %q", got)
	}
	if got := f.Without("Sbq"); got != "Ra" {
		t.Errorf("Without: %q", got)
	}
}

func TestGuessFlagsAreAllOfThem(t *testing.T) {
	t.Parallel()
	seen := make(map[Flags]bool)
	for mask := range uint(64) {
		flags := guessFlags(mask)
		if seen[flags] || flags != ParseFlags(string(flags)) {
			t.Errorf("%d: %q is repeated or unsorted", mask, flags)
		}
		seen[flags] = true
	}
	if guessFlags(0) != "" || guessFlags(1) != Seen {
		t.Errorf("the likely ones come late: %q %q", guessFlags(0), guessFlags(1))
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 2000
	// Two generators stand for a process started again with the same id within the same microsecond.
	generators := []*Names{NewNames("h"), NewNames("h")}
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				name := generators[i%2].Next()
				mu.Lock()
				if seen[name] {
					t.Errorf("%s came twice", name)
				}
				seen[name] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestNamesForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^\d+\.M\d+P\d+Q\d+\.mail\\057\\072\\054\\040\\134x,S=10,W=12$`)
	key := sized(NewNames(`mail/:, \x`).Next(), 10, 12)
	if !form.MatchString(string(key)) {
		t.Errorf("name %s", key)
	}
	for _, host := range []string{"", strings.Repeat("é", 500), strings.Repeat("a", 500)} {
		name := NewNames(host).Next()
		if got, _, ok := ParseFileName(name); !ok || string(got) != name || len(name) > 180 {
			t.Errorf("host %q gives %q", host, name)
		}
	}
}
