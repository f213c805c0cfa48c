package account

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"maild/appliance/mail"
)

// fold is the form in which local-parts are stored and compared. RFC 5321 §2.4
// leaves their case to the receiving host; for us it does not matter.
func fold(local string) string {
	return norm.NFC.String(strings.ToLower(norm.NFC.String(local)))
}

// folded is a with its local-part folded.
func folded(a mail.Address) mail.Address {
	return mail.Address{Local: fold(a.Local), Domain: a.Domain}
}

// accountLocal gives the folded local-part of an account, or says why it cannot
// be one. It becomes a directory's name, so it is letters, digits and inner
// "._-", at most 64 octets (RFC 5321 §4.5.3.1.1); the separator would make the
// account shadow the subaddresses of another.
func accountLocal(local, separator string) (string, error) {
	l := fold(local)
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("user name %q: %w: %s", local, ErrInvalid, why)
	}
	switch {
	case l == "":
		return refuse("it is empty")
	case len(l) > mail.MaxLocalPartOctets:
		return refuse(fmt.Sprintf("it is longer than %d octets", mail.MaxLocalPartOctets))
	case l[0] == '.' || l[len(l)-1] == '.':
		return refuse("it begins or ends with a dot")
	case strings.Contains(l, ".."):
		return refuse("it has two dots in a row")
	case l[0] == '-':
		return refuse("it begins with a hyphen")
	case separator != "" && strings.Contains(l, separator):
		return refuse(fmt.Sprintf("%q separates a user from a subaddress", separator))
	case l != fold(l):
		return refuse("its letters have no settled lower case")
	}
	for i, r := range l {
		switch {
		case r == utf8.RuneError:
			return refuse("it is not UTF-8")
		case unicode.IsLetter(r), unicode.Is(unicode.Nd, r), r == '.', r == '_', r == '-':
		case unicode.Is(unicode.M, r) && i > 0:
		default:
			return refuse(fmt.Sprintf("%q is no letter, digit, dot, hyphen or underscore", r))
		}
	}
	return l, nil
}

// aliasAddress gives the folded address of an alias. It names no file, so its
// local-part may have any printable characters; none at all is the catch-all.
func aliasAddress(a mail.Address) (mail.Address, error) {
	f := folded(a)
	why := ""
	switch {
	case len(f.Local) > mail.MaxLocalPartOctets:
		why = fmt.Sprintf("a local-part has at most %d octets", mail.MaxLocalPartOctets)
	case !utf8.ValidString(a.Local) || f.Local != fold(f.Local):
		why = "its local-part is not plain text"
	case strings.ContainsFunc(f.Local, func(r rune) bool { return !unicode.IsPrint(r) }):
		why = "its local-part has characters that cannot be printed"
	}
	if why != "" {
		return mail.Address{}, fmt.Errorf("alias %s: %w: %s", a, ErrInvalid, why)
	}
	return f, nil
}

// domainName checks that name is a domain in canonical form; an address
// literal is none.
func domainName(name string) (string, error) {
	d, err := mail.ParseDomain(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return d, nil
}
