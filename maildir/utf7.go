package maildir

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Inbox is the folder that the tree itself is.
const Inbox = "INBOX"

// Reasons why a name is no folder.
var (
	errFolderEmpty   = errors.New("a folder name, and each level of it between dots, needs at least one character")
	errFolderChars   = errors.New("a folder name cannot contain a slash, control characters or invalid UTF-8")
	errFolderLong    = errors.New("the folder name is too long for a file name")
	errFolderInbox   = errors.New("INBOX, in any case, is the name of the tree itself")
	errFolderDir     = errors.New("not the name of a folder's directory")
	errModifiedUTF7  = errors.New("not modified UTF-7")
	errFolderIsInbox = errors.New("INBOX can be neither made, renamed nor removed")
)

// ValidFolder reports why name cannot be given to a new folder, or nil. It is stricter than what is read from disk:
// no control characters, and no other spelling of INBOX, which IMAP could not reach (RFC 3501 §5.1).
func ValidFolder(name string) error {
	if name == Inbox {
		return nil
	}
	err := checkFolder(name)
	switch {
	case err != nil:
	case strings.EqualFold(name, Inbox):
		err = errFolderInbox
	case strings.ContainsFunc(name, isControl):
		err = errFolderChars
	case len(encodeUTF7(name)) >= maxNameOctets:
		err = errFolderLong
	}
	if err != nil {
		return fmt.Errorf("folder %q: %w", name, err)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }

// checkFolder holds what keeps the directory of a folder inside its tree.
func checkFolder(name string) error {
	if !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00") {
		return errFolderChars
	}
	for level := range strings.SplitSeq(name, ".") {
		if level == "" {
			return errFolderEmpty
		}
	}
	return nil
}

// EncodeFolder returns the directory of a folder, relative to the tree: "." for Inbox, else a dot and the name in modified
// UTF-7 (RFC 3501 §5.1.3).
func EncodeFolder(name string) (string, error) {
	if name == Inbox {
		return ".", nil
	}
	if err := checkFolder(name); err != nil {
		return "", fmt.Errorf("folder %q: %w", name, err)
	}
	return "." + encodeUTF7(name), nil
}

// DecodeFolder returns the folder whose directory is called dir; the reverse of [EncodeFolder].
//
// QUIRK: mutt, Dovecot with its UTF-8 option, and people with mkdir make directories that are not modified UTF-7
// (".Entwürfe", ".R&D"). Such a directory is the folder of that very name, so that no mail is hidden; should both
// spellings exist, the encoded one is meant.
func DecodeFolder(dir string) (string, error) {
	if dir == "." {
		return Inbox, nil
	}
	raw, dotted := strings.CutPrefix(dir, ".")
	if !dotted {
		return "", fmt.Errorf("directory %q: %w", dir, errFolderDir)
	}
	name, err := decodeUTF7(raw)
	if err != nil || checkFolder(name) != nil {
		name = raw
	}
	if name == Inbox {
		return "", fmt.Errorf("directory %q: %w", dir, errFolderInbox)
	}
	if err := checkFolder(name); err != nil {
		return "", fmt.Errorf("directory %q: %w", dir, err)
	}
	return name, nil
}

// folderDirs returns the directories that a folder may have, the best first: see the quirk at [DecodeFolder].
func folderDirs(name string) ([]string, error) {
	dir, err := EncodeFolder(name)
	if err != nil {
		return nil, err
	}
	if raw := "." + name; raw != dir && name != Inbox {
		if back, err := DecodeFolder(raw); err == nil && back == name {
			return []string{dir, raw}, nil
		}
	}
	return []string{dir}, nil
}

// encodeUTF7 writes valid UTF-8 in modified UTF-7. RFC 3501 §5.1.3: printable ASCII stands for itself, "&" is "&-",
// all else is UTF-16BE in base64 with a comma for the slash and no padding, between "&" and "-".
func encodeUTF7(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if c := s[i]; isPrintable(c) {
			b.WriteByte(c)
			if c == '&' {
				b.WriteByte('-')
			}
			i++
			continue
		}
		end := i
		for end < len(s) && !isPrintable(s[end]) {
			end++
		}
		var wide []byte
		for _, u := range utf16.Encode([]rune(s[i:end])) {
			wide = append(wide, byte(u>>8), byte(u))
		}
		b.WriteByte('&')
		b.WriteString(strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(wide), "/", ","))
		b.WriteByte('-')
		i = end
	}
	return b.String()
}

// decodeUTF7 reads modified UTF-7 in the one spelling that encodeUTF7 gives, so that no two directories decode alike.
func decodeUTF7(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		plain, shifted, found := strings.Cut(rest, "&")
		b.WriteString(plain)
		if !found {
			break
		}
		code, after, closed := strings.Cut(shifted, "-")
		if !closed {
			return "", errModifiedUTF7
		}
		if code == "" {
			b.WriteByte('&')
		} else if err := decodeShifted(&b, code); err != nil {
			return "", err
		}
		rest = after
	}
	if decoded := b.String(); encodeUTF7(decoded) == s {
		return decoded, nil
	}
	return "", errModifiedUTF7
}

// decodeShifted decodes what stands between "&" and "-". Lone surrogates become U+FFFD, and are refused by the caller's
// comparison.
func decodeShifted(b *strings.Builder, code string) error {
	wide, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(code, ",", "/"))
	if err != nil || len(wide)%2 != 0 {
		return errModifiedUTF7
	}
	units := make([]uint16, 0, len(wide)/2)
	for i := 0; i < len(wide); i += 2 {
		units = append(units, uint16(wide[i])<<8|uint16(wide[i+1]))
	}
	b.WriteString(string(utf16.Decode(units)))
	return nil
}

func isPrintable(c byte) bool { return ' ' <= c && c <= '~' }
