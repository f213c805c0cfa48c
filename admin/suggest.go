package admin

import (
	"context"

	"maild/appliance/account"
	"maild/appliance/spelling"
)

// suggest gives the known word nearest to a misspelt one, "" if none is near.
func suggest(word string, known []string) string { return spelling.Nearest(word, known, 2) }

// didYouMean is the remedy for a name that is none: the nearest that is one, or where to look.
func didYouMean(name string, known []string, command string) string {
	if near := suggest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "see \"mailctl " + command + "\""
}

// perhaps is the end of a sentence about a name: the nearest that is one, or nothing.
func perhaps(name string, known []string) string {
	if near := suggest(name, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// accountRemedy is didYouMean for accounts. What cannot be read suggests nothing: the error it stands beside is what counts.
func accountRemedy(ctx context.Context, d *account.Directory, name string) string {
	var known []string
	if d != nil {
		list, err := d.Accounts(ctx, account.Filter{})
		if err == nil {
			for _, a := range list {
				known = append(known, a.Name())
			}
		}
	}
	return didYouMean(name, known, "user list")
}

// domainRemedy is didYouMean for domains.
func domainRemedy(ctx context.Context, d *account.Directory, name string) string {
	var known []string
	if list, err := d.Domains(ctx); err == nil {
		for _, domain := range list {
			known = append(known, domain.Name)
		}
	}
	return didYouMean(name, known, "domain list")
}

// aliasRemedy is didYouMean for aliases.
func aliasRemedy(ctx context.Context, d *account.Directory, name string) string {
	var known []string
	if list, err := d.Aliases(ctx); err == nil {
		for _, a := range list {
			known = append(known, a.Address.String())
		}
	}
	return didYouMean(name, known, "alias list")
}
