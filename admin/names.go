package admin

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"maild/appliance/mail"
	"maild/index/query"
)

// accountName is the name that the account of an address has in the index, whether or not accounts.db knows it.
func accountName(a mail.Address) string { return foldedLocal(a.Local) + "@" + a.Domain }

// foldedLocal is a local-part as accounts have it: however its letters were composed and in whatever case.
func foldedLocal(local string) string {
	return norm.NFC.String(strings.ToLower(norm.NFC.String(local)))
}

// canonicalNames gives a query the names of accounts and domains as the index has them: those of domains in A-labels, whichever way they
// were written.
func canonicalNames(x query.Expr) query.Expr {
	switch x := x.(type) {
	case query.And:
		all := make(query.And, len(x))
		for i := range x {
			all[i] = canonicalNames(x[i])
		}
		return all
	case query.Or:
		any := make(query.Or, len(x))
		for i := range x {
			any[i] = canonicalNames(x[i])
		}
		return any
	case query.Not:
		return query.Not{X: canonicalNames(x.X)}
	case query.Domain:
		if d, err := mail.ParseDomain(x.Name); err == nil {
			x.Name = d
		}
		return x
	case query.Account:
		local, domain, ok := cutLast(x.Name, "@")
		if !ok {
			return query.Account{Name: foldedLocal(x.Name)}
		}
		if d, err := mail.ParseDomain(domain); err == nil {
			domain = d
		}
		return query.Account{Name: foldedLocal(local) + "@" + domain}
	}
	return x
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
