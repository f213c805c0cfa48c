package account

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestHash(t *testing.T) {
	t.Parallel()
	s, err := Hash("correct horse")
	errorless(t, err)
	if !strings.HasPrefix(s, "$argon2id$v=19$m=65536,t=3,p=4$") {
		t.Errorf("parameters: %s", s)
	}
	h, err := parsePHC(s)
	errorless(t, err)
	if !h.matches("correct horse") || h.matches("correct horsf") || h.matches("") {
		t.Error("it matches what it should not, or does not match what it should")
	}
	for _, tt := range []struct{ password, words string }{
		{"", "it is empty"},
		{"seven77", "it has 7 characters: choose one of 8 or more"},
		{"pässwor", "it has 7 characters"},
		{"tab\tand\nline", "cannot be typed reliably"},
		{"\xff\xfe\xff\xfe\xff\xfe\xff\xfe", "cannot be typed reliably"},
		{strings.Repeat("x", 1025), "more than 1024 octets"},
	} {
		_, err := Hash(tt.password)
		wants(t, err, ErrPassword, tt.words)
	}
}

// TestKnownHash is a vector of another implementation: the reference argon2
// command with -id -t 2 -m 16 -p 1, as its own tests have it.
func TestKnownHash(t *testing.T) {
	t.Parallel()
	h, err := parsePHC("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	errorless(t, err)
	if !h.matches("password") || h.matches("Password") {
		t.Error("the reference implementation disagrees")
	}
}

func TestParsePHC(t *testing.T) {
	t.Parallel()
	good := quickHash("password")
	if h, err := parsePHC(good); err != nil || h.String() != good {
		t.Errorf("%s became %v, %v", good, h, err)
	}
	for _, s := range []string{
		"", "password", "$", "$1$salt$hash", "{PLAIN}x", "$2y$10$abcdefghijklmnopqrstuv",
		strings.Replace(good, "argon2id", "argon2i", 1),
		strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "v=19$", "", 1),
		strings.Replace(good, "m=8", "m=7", 1),
		strings.Replace(good, "m=8", "m=08", 1),
		strings.Replace(good, "m=8", "m=+8", 1),
		strings.Replace(good, "m=8", "m=262145", 1),
		strings.Replace(good, "m=8", "m=4294967304", 1),
		strings.Replace(good, "m=8", "m=-8", 1),
		strings.Replace(good, "p=1", "p=2", 1), // needs m=16
		strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "p=1", "p=257", 1),
		strings.Replace(good, "t=1", "t=0", 1),
		strings.Replace(good, "t=1", "t=17", 1),
		strings.Replace(good, "m=8,t=1", "t=1,m=8", 1),
		strings.Replace(good, ",p=1", "", 1),
		strings.Replace(good, "p=1", "p=1,x=1", 1),
		good + "$", good + "=", good + "\n", good[:len(good)-30], good + strings.Repeat("A", 100),
	} {
		_, err := parsePHC(s)
		wants(t, err, ErrHash)
		if len(s) > 10 && strings.Contains(err.Error(), s) {
			t.Errorf("the hash stands in %q", err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(quickHash("password"))
	f.Add("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.memory > maxMemory || h.memory < 8*uint32(h.threads) || h.time < 1 || h.time > maxTime || h.threads < 1 ||
			h.threads > maxThreads || len(h.salt) < 8 || len(h.hash) < 16 || len(h.hash) > 64 {
			t.Fatalf("%q is out of bounds: %+v", s, h)
		}
		if h.String() != s {
			t.Fatalf("%q reads as %q", s, h)
		}
	})
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^([a-km-np-z2-9]{4}-){4}[a-km-np-z2-9]{4}$`)
	seen := map[string]bool{}
	for range 100 {
		p := Generate()
		if !form.MatchString(p) || seen[p] {
			t.Errorf("%q", p)
		}
		seen[p] = true
	}
	if n, err := normalise(Generate()); err != nil || n == "" {
		t.Error(err)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := open(t, options(t.TempDir()))
	errorless(t, d.EnsureLocal(ctx))
	for _, name := range []string{"anna@a.example", "bob@box.example", "sue@a.example", "amélie@a.example"} {
		_, err := d.AddAccount(ctx, addr(t, name), quickHash("pässword of "+name[:3]))
		errorless(t, err)
	}
	add(t, d, "none@a.example")
	alias(t, d, "team@a.example", "anna@a.example")
	errorless(t, d.Suspend(ctx, addr(t, "sue@a.example")))

	var verified atomic.Int64
	d.onVerify = func() { verified.Add(1) }
	for _, tt := range []struct {
		name, password, want string
		err                  error
	}{
		{"anna@a.example", "pässword of ann", "anna@a.example", nil},
		{"ANNA@A.example", "pa\u0308ssword of ann", "anna@a.example", nil}, // composed by RFC 8265 §4.2
		{"bob", "pässword of bob", "bob@box.example", nil},
		{"bob@box.example", "pässword of bob", "bob@box.example", nil},
		{"ame\u0301lie@a.example", "pässword of am\u00c3", "", ErrBadCredentials},
		{"anna@a.example", "pässword of anN", "", ErrBadCredentials},
		{"anna@a.example", "", "", ErrBadCredentials},
		{"anna@a.example", "tab\t", "", ErrBadCredentials},
		{"anna@a.example", strings.Repeat("x", 5000), "", ErrBadCredentials},
		{"anna", "pässword of ann", "", ErrBadCredentials},
		{"anna+x@a.example", "pässword of ann", "", ErrBadCredentials},
		{"team@a.example", "pässword of ann", "", ErrBadCredentials},
		{"eve@a.example", "pässword of ann", "", ErrBadCredentials},
		{"eve@foreign.example", "pässword of ann", "", ErrBadCredentials},
		{"none@a.example", "", "", ErrBadCredentials},
		{"none@a.example", "pässword of ann", "", ErrBadCredentials},
		{"postmaster", "", "", ErrBadCredentials},
		{"", "", "", ErrBadCredentials},
		{"a\x00b@@", "x", "", ErrBadCredentials},
		{"sue@a.example", "pässword of sue", "", ErrSuspended},
		{"sue@a.example", "wrong", "", ErrBadCredentials},
	} {
		before := verified.Load()
		a, err := d.Authenticate(ctx, tt.name, tt.password)
		if err != tt.err || tt.err == nil && a.Name() != tt.want {
			t.Errorf("%q with %q: %v, %v, want %q, %v", tt.name, tt.password, a, err, tt.want, tt.err)
		}
		if tt.err != nil && a != (Login{}) {
			t.Errorf("%q was told of %v", tt.name, a)
		}
		// What is refused must have cost as much as what is taken.
		if n := verified.Load() - before; n != 1 {
			t.Errorf("%q with %q: %d hashes verified, want 1", tt.name, tt.password, n)
		}
	}
}

// TestVerificationsBounded holds that no more than two passwords are verified
// at once, and that whoever waits gives up with its context.
func TestVerificationsBounded(t *testing.T) {
	t.Parallel()
	d := open(t, options(t.TempDir()))
	_, err := d.AddAccount(t.Context(), addr(t, "anna@a.example"), quickHash("password"))
	errorless(t, err)
	inside, release := make(chan struct{}, 3), make(chan struct{})
	d.onVerify = func() { inside <- struct{}{}; <-release }
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			if _, err := d.Authenticate(t.Context(), "anna@a.example", "password"); err != nil {
				t.Error(err)
			}
		})
	}
	<-inside
	<-inside // both slots are taken now
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var third sync.WaitGroup
	third.Go(func() {
		if _, err := d.verify(ctx, quickHash("password"), "password"); !errors.Is(err, context.Canceled) {
			t.Errorf("the third: %v", err)
		}
	})
	select { // either it gave up, or it got in
	case <-inside:
		t.Error("three passwords are verified at once")
	case <-gone(&third):
	}
	close(release)
	done.Wait()
}

func gone(wg *sync.WaitGroup) <-chan struct{} {
	c := make(chan struct{})
	go func() { wg.Wait(); close(c) }()
	return c
}

func BenchmarkVerify(b *testing.B) {
	s, err := Hash("correct horse")
	if err != nil {
		b.Fatal(err)
	}
	h, err := parsePHC(s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.matches("correct horse")
	}
}
