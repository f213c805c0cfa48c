package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"
)

// MinPasswordLength is the shortest password that Hash takes, in characters
// (NIST SP 800-63B §5.1.1.2).
const MinPasswordLength = 8

// maxPasswordOctets bounds the work that a peer can ask for.
const maxPasswordOctets = 1024

// phc is an argon2id hash with its parameters, as the PHC string format has it:
// $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH, both in base64 without padding.
type phc struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
	salt    []byte
	hash    []byte
}

// recommended is the second choice of RFC 9106 §4, for when memory is scarce.
func recommended(salt []byte) phc {
	return phc{memory: 64 << 10, time: 3, threads: 4, salt: salt}
}

const (
	saltOctets = 16 // RFC 9106 §4
	hashOctets = 32
)

// Bounds of what a stored hash may ask for. Hashes of other programs come in
// by import, and one must not take the whole machine.
const (
	maxMemory  = 256 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
)

// Hash gives the PHC string of a password, for AddAccount and SetPassword.
// ErrPassword if it is too short, too long, or holds control characters. It
// takes 64 MiB of memory while it runs.
func Hash(password string) (string, error) {
	p, err := normalise(password)
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(p); n < MinPasswordLength {
		return "", fmt.Errorf("%w: it has %d characters: choose one of %d or more", ErrPassword, n, MinPasswordLength)
	}
	salt := make([]byte, saltOctets)
	rand.Read(salt) // never fails, says its documentation
	h := recommended(salt)
	h.hash = h.derive(p, hashOctets)
	return h.String(), nil
}

// normalise makes equal what looks equal: OpaqueString of RFC 8265 §4.2, which
// SASL asks for.
func normalise(password string) (string, error) {
	if len(password) > maxPasswordOctets {
		return "", fmt.Errorf("%w: it has more than %d octets", ErrPassword, maxPasswordOctets)
	}
	if password == "" {
		return "", fmt.Errorf("%w: it is empty: choose one of %d characters or more", ErrPassword, MinPasswordLength)
	}
	p, err := precis.OpaqueString.String(password)
	if err != nil || !utf8.ValidString(password) {
		return "", fmt.Errorf("%w: it holds characters that cannot be typed reliably", ErrPassword)
	}
	return p, nil
}

func (h phc) derive(password string, octets uint32) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, octets)
}

// matches takes the same time for every password.
func (h phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, uint32(len(h.hash))), h.hash) == 1
}

// String is the PHC string.
func (h phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b64(h.salt), b64(h.hash))
}

// checkHash accepts "" and what parsePHC does.
func checkHash(s string) error {
	if s == "" {
		return nil
	}
	_, err := parsePHC(s)
	return err
}

// parsePHC reads a PHC string within our bounds; ErrHash otherwise. The string
// itself stays out of the error: it is a secret.
func parsePHC(s string) (phc, error) {
	refuse := func(why string) (phc, error) { return phc{}, fmt.Errorf("%w: %s", ErrHash, why) }
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return refuse("not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return refuse("not argon2 version 19")
	}
	var h phc
	parameters := strings.Split(parts[3], ",")
	if len(parameters) != 3 {
		return refuse("its parameters are not m, t and p")
	}
	m, okM := parameter(parameters[0], "m=", maxMemory)
	t, okT := parameter(parameters[1], "t=", maxTime)
	p, okP := parameter(parameters[2], "p=", maxThreads)
	if !okM || !okT || !okP || m < 8*p { // RFC 9106 §3.1
		return refuse("its parameters m, t, p are out of bounds")
	}
	h.memory, h.time, h.threads = m, t, uint8(p)
	var okSalt, okHash bool
	h.salt, okSalt = decode(parts[4], 8, 64)
	h.hash, okHash = decode(parts[5], 16, 64)
	if !okSalt || !okHash {
		return refuse("its salt or hash is not base64 of a fair length")
	}
	return h, nil
}

// parameter reads "m=65536", from 1 to most, with no leading zero or sign.
func parameter(s, name string, most uint32) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n >= 1 && uint32(n) <= most && strconv.FormatUint(n, 10) == digits
}

func decode(s string, least, most int) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // which the decoder would skip
		return nil, false
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) >= least && len(b) <= most
}

// Generate makes a password of 100 random bits that can be read out and typed:
// five groups of four, without letters and digits that look alike.
func Generate() string { return generate(5, 4) }

// generate makes groups of so many characters, five random bits each.
func generate(groups, each int) string {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32, no l, o, 0, 1
	random := make([]byte, groups*each)
	rand.Read(random) // never fails, says its documentation
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%each == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[r%32])
	}
	return b.String()
}
