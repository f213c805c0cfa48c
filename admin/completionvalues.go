package admin

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maild/appliance/account"
	"maild/appliance/config"
)

const (
	// completionPatience is how long a shell may have to wait for candidates.
	completionPatience = time.Second
	// completionAccounts is how many accounts' folders are offered where none is named.
	completionAccounts = 50
)

// valuesOf gives what a placeholder of the usage can stand for: it is by these words that a new command is completed without more.
func (x *completer) valuesOf(ctx context.Context, placeholder, usage string) (offer string, list []candidate) {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	is := func(word string) bool { return strings.Contains(placeholder, word) }
	switch {
	case placeholder == "":
		return offerWords, nil
	case is("FILE"), is("PATH"):
		return offerFiles, nil
	case is("DIR"):
		return offerDirs, nil
	case is("KEY"):
		return offerWords, keyCandidates()
	case is("FOLDER"):
		return offerWords, words(x.folders(ctx))
	case is("DOMAIN"):
		return offerWords, words(x.domains(ctx))
	case is("ALIAS"):
		return offerWords, words(x.aliases(ctx))
	case is("TARGET"):
		return offerWords, words(append(x.accountNames(ctx), x.aliases(ctx)...))
	case is("ACCOUNT"), is("ADDRESS"), is("USER"):
		return offerWords, words(x.accountNames(ctx))
	case placeholder == strings.ToLower(placeholder) && strings.Contains(placeholder, "|"):
		return offerWords, words(strings.Split(strings.Trim(placeholder, "[]…"), "|"))
	}
	return offerWords, words(choices(usage))
}

func words(list []string) []candidate {
	var out []candidate
	for _, w := range list {
		out = append(out, candidate{word: w})
	}
	return out
}

// choices reads the values that a flag's usage lists, as in "`FORM`: table, tsv or json".
func choices(usage string) []string {
	_, rest, ok := strings.Cut(usage, "`: ")
	if !ok {
		return nil
	}
	rest, _, _ = strings.Cut(rest, ";")
	var list []string
	for part := range strings.SplitSeq(rest, ", ") {
		for word := range strings.SplitSeq(part, " or ") {
			if word = strings.TrimPrefix(word, "or "); word == "" || strings.ContainsFunc(word, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
				return nil
			}
			list = append(list, word)
		}
	}
	return list
}

func keyCandidates() []candidate {
	var list []candidate
	for _, k := range config.Describe() {
		meaning, _, _ := strings.Cut(k.Doc, "\n")
		list = append(list, candidate{k.Name, meaning})
		if table, _, ok := strings.Cut(k.Name, "."); ok && !slices.ContainsFunc(list, func(c candidate) bool { return c.word == table }) {
			list = append(list, candidate{table, "all keys of [" + table + "]"})
		}
	}
	return list
}

// ready opens the box that the unfinished line names, for reading. Whatever is wrong with it is said when the line is run.
func (x *completer) ready() bool {
	if x.box != nil {
		return true
	}
	root, copied := x.values["root"]
	b := &box{cfg: config.Default(), file: x.values["config"], copied: copied}
	if !copied || b.file != "" {
		cfg, err := config.Load(b.file)
		if err != nil {
			return false
		}
		b.cfg = cfg
	}
	if copied {
		dir, err := filepath.Abs(root)
		if err != nil {
			return false
		}
		b.cfg.DataDir = dir
	}
	if _, err := os.Stat(b.cfg.DataDir); err != nil || b.stepDown(nil) != nil {
		return false
	}
	x.box = b
	return true
}

// directory is accounts.db, never made or changed; nil if it cannot be read.
func (x *completer) directory(ctx context.Context) *account.Directory {
	if !x.ready() {
		return nil
	}
	if x.box.directory == nil {
		d, err := account.Open(ctx, account.Options{Path: x.box.cfg.AccountsDB(), Hostname: x.box.cfg.Hostname, ReadOnly: true})
		if err != nil {
			return nil
		}
		x.box.directory = d
	}
	return x.box.directory
}

func (x *completer) domains(ctx context.Context) (names []string) {
	if d := x.directory(ctx); d != nil {
		list, _ := d.Domains(ctx) // none, then
		for _, domain := range list {
			names = append(names, domain.Name)
		}
	}
	return names
}

func (x *completer) aliases(ctx context.Context) (names []string) {
	if d := x.directory(ctx); d != nil {
		list, _ := d.Aliases(ctx) // none, then
		for _, alias := range list {
			names = append(names, alias.Address.String())
		}
	}
	return names
}

// accountNames are those of accounts.db, and those that only have mail. A new account can have any name, but only in a domain: those are offered after an @.
func (x *completer) accountNames(ctx context.Context) (names []string) {
	cmd := (commandLine{path: x.line.path}).command()
	if cmd != nil && cmd.Name == "add" {
		return x.newAddresses(ctx)
	}
	if d := x.directory(ctx); d != nil {
		list, _ := d.Accounts(ctx, account.Filter{}) // none, then
		for _, a := range list {
			names = append(names, a.Name())
		}
	}
	if x.ready() {
		onDisk, _ := x.mail().Accounts(ctx) // none, then
		names = append(names, onDisk...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// newAddresses complete the part after an @.
func (x *completer) newAddresses(ctx context.Context) (names []string) {
	local, _, ok := strings.Cut(x.current, "@")
	if !ok {
		return nil
	}
	for _, domain := range x.domains(ctx) {
		names = append(names, local+"@"+domain)
	}
	return names
}

// folders are those of the account that the line names, or of all.
func (x *completer) folders(ctx context.Context) (names []string) {
	accounts := x.namedAccounts()
	if len(accounts) == 0 {
		accounts = x.accountNames(ctx)
		accounts = accounts[:min(completionAccounts, len(accounts))]
	}
	if !x.ready() {
		return nil
	}
	for _, name := range accounts {
		list, _ := x.mail().Folders(ctx, name) // none, then
		names = append(names, list...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// namedAccounts are the arguments and values of flags that name an account.
func (x *completer) namedAccounts() (names []string) {
	for _, flag := range []string{"user", "account"} {
		if v := x.values[flag]; strings.Contains(v, "@") {
			names = append(names, v)
		}
	}
	for _, arg := range x.args {
		if strings.Contains(arg, "@") && !strings.HasPrefix(arg, "<") {
			names = append(names, arg)
		}
	}
	return names
}
