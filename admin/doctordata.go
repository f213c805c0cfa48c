package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/index"
)

// patient is the box while it is looked at, with what one check learns for another.
type patient struct {
	*call
	show     func(index.Progress) // nil where nobody sees it
	uid      uint32               // the owner of the data directory
	owner    string               // by name
	closed   bool                 // nobody but the owner and its group gets into the data directory
	folders  int64                // of all Maildirs
	accounts []string             // that accounts.db knows; nil while it does not tell
	opened   bool                 // accounts.db is open
	missing  bool                 // there is no data directory
}

// dataDirectory looks at the directory itself and what stands at its top.
func (p *patient) dataDirectory(_ context.Context, u *checkup) error {
	dir, wanted := p.box.cfg.DataDir, p.box.cfg.User
	p.owner = wanted
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.fault(fmt.Sprintf("sudo install -d -m 700 -o %s -g %[1]s %s", shellWord(wanted), shellWord(dir)), "%s does not exist", dir)
		p.missing = true
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		u.fault("sudo mv -i "+shellWord(dir)+" "+shellWord(dir+".file"), "%s is no directory", dir)
		p.missing = true
		return nil
	}
	p.uid = info.Sys().(*syscall.Stat_t).Uid
	p.owner = loginName(p.uid)
	p.closed = info.Mode().Perm()&0o007 == 0
	u.seen = fmt.Sprintf("%s, of user %s", dir, p.owner)
	if !p.box.copied {
		p.rightUser(u, dir, wanted)
	}
	if !p.closed {
		u.fault("sudo chmod o-rwx "+shellWord(dir), "everybody on this machine gets into %s (mode %04o)", dir, info.Mode().Perm())
	}
	if err := p.box.stepDown(nil); err != nil {
		return err
	}
	return p.topFiles(u, dir)
}

// rightUser sees that the directory is the configured user's, who must exist.
func (p *patient) rightUser(u *checkup, dir, wanted string) {
	if _, err := user.Lookup(wanted); err != nil {
		u.fault(fmt.Sprintf("sudo adduser --system --group --home %s %s", shellWord(dir), shellWord(wanted)), "there is no user %s, whom maild is to become", wanted)
		return
	}
	if p.owner != wanted {
		u.fault(fmt.Sprintf("sudo chown -R %s: %s", shellWord(wanted), shellWord(dir)), "%s belongs to %s, and maild runs as %s", dir, p.owner, wanted)
	}
}

// topFiles looks at the databases and what else is not mail.
func (p *patient) topFiles(u *checkup, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || e.Name() == "lost+found" {
			continue
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, e.Name())
		if st := info.Sys().(*syscall.Stat_t); st.Uid != p.uid {
			u.fault(fmt.Sprintf("sudo chown -R %s: %s", shellWord(p.owner), shellWord(path)), "%s belongs to %s, not to %s", path, loginName(st.Uid), p.owner)
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
			u.fault("sudo chmod o-rwx "+shellWord(path), "%s is open to everybody on this machine (mode %04o)", path, info.Mode().Perm())
		}
	}
	return nil
}

// loginName is whose uid it is.
func loginName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// accountsFile opens accounts.db, which checks it, and never makes one.
func (p *patient) accountsFile(ctx context.Context, u *checkup) error {
	cfg := p.box.cfg
	d, err := account.Open(ctx, account.Options{Path: cfg.AccountsDB(), Hostname: cfg.Hostname, Separator: cfg.Delivery.SubaddressSeparator, Postmaster: cfg.Postmaster, ReadOnly: true})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		u.fault(p.self()+" user add anna@example.org", "there are no accounts yet: %s does not exist", cfg.AccountsDB())
		return nil
	case errors.Is(err, account.ErrOlder):
		u.fault("sudo systemctl restart maild", "%v", err)
		return nil
	case errors.Is(err, account.ErrDamaged), errors.Is(err, account.ErrNotOurs):
		u.fault(fmt.Sprintf("sudo systemctl stop maild && sudo mv -i %s %s   # then put the file of a backup in its place", shellWord(cfg.AccountsDB()), shellWord(cfg.AccountsDB()+".damaged")), "%v", err)
		return nil
	case err != nil:
		return err
	}
	p.box.directory, p.opened = d, true // close ends it
	orphans, err := d.Orphans(ctx)
	if err != nil {
		return err
	}
	if orphans > 0 {
		u.fault(fmt.Sprintf("sqlite3 %s 'PRAGMA foreign_key_check'   # names them; put the file of a backup in its place", shellWord(cfg.AccountsDB())), "%d rows of accounts.db refer to rows that are not there", orphans)
	}
	list, err := d.Accounts(ctx, account.Filter{})
	if err != nil {
		return err
	}
	p.accounts = []string{}
	for _, a := range list {
		p.accounts = append(p.accounts, a.Name())
	}
	u.seen = fmt.Sprintf("%d accounts, and the database is whole", len(list))
	return p.homes(ctx, u)
}

// homes holds the accounts against the directories of mail.
func (p *patient) homes(ctx context.Context, u *checkup) error {
	onDisk, err := p.mail().Accounts(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, name := range onDisk {
		there[name] = true
	}
	known := map[string]bool{}
	for _, name := range p.accounts {
		known[name] = true
		if there[name] || name == "postmaster@"+p.box.cfg.Hostname {
			continue // that one is made with the first message to it
		}
		path, err := p.mail().Path(name)
		if err != nil {
			return err
		}
		u.notice(p.makeFolder(path), "%s has no Maildir; it is made with the first message", name)
	}
	for _, name := range onDisk {
		if !known[name] {
			u.notice(p.self()+" user add --no-password "+shellWord(name)+"   # or: "+p.self()+" user remove --purge "+shellWord(name), "there is mail of %s, which is no account", name)
		}
	}
	return nil
}

// makeFolder is the line that makes the directories of a folder.
func (p *patient) makeFolder(path string) string {
	return fmt.Sprintf("sudo -u %s mkdir -p -m 700 %s %s %s", shellWord(p.owner), shellWord(path+"/cur"), shellWord(path+"/new"), shellWord(path+"/tmp"))
}

// maxAliases is how many aliases are resolved.
const maxAliases = 10_000

// aliases sees that each leads to somebody.
func (p *patient) aliases(ctx context.Context, u *checkup) error {
	if !p.opened {
		u.left = "accounts.db cannot be asked"
		return nil
	}
	list, err := p.box.directory.Aliases(ctx)
	if err != nil {
		return err
	}
	local, err := p.localDomains(ctx)
	if err != nil {
		return err
	}
	u.seen = fmt.Sprintf("%d aliases", len(list))
	if len(list) > maxAliases {
		list = list[:maxAliases]
		u.seen += fmt.Sprintf(", the first %d of them resolved", maxAliases)
	}
	for _, a := range list {
		r, err := p.box.directory.Resolve(ctx, a.Address)
		if err != nil {
			return err
		}
		if len(r.Accounts) == 0 && !hasForeign(a.Targets, local) {
			u.fault(p.self()+" alias remove "+shellWord(a.Address.String()), "alias %s leads to nobody: its targets are %s", a.Address, strings.Join(texts(a.Targets), ", "))
		}
	}
	return nil
}

// localDomains are those that mail is taken for.
func (p *patient) localDomains(ctx context.Context) (map[string]bool, error) {
	list, err := p.box.directory.Domains(ctx)
	local := map[string]bool{}
	for _, d := range list {
		local[d.Name] = true
	}
	return local, err
}

// hasForeign reports whether mail goes to another host, too.
func hasForeign(targets []mail.Address, local map[string]bool) bool {
	return slices.ContainsFunc(targets, func(a mail.Address) bool { return !local[a.Domain] })
}

// postmaster sees that somebody gets the mail that every domain must take: RFC 5321 §4.5.1.
func (p *patient) postmaster(ctx context.Context, u *checkup) error {
	switch {
	case !p.opened:
		u.left = "accounts.db cannot be asked"
		return nil
	case p.box.file == "":
		u.left = "it depends on the host name, which is this machine's"
		return nil
	}
	domains, err := p.localDomains(ctx)
	if err != nil {
		return err
	}
	domains[p.box.cfg.Hostname] = true
	var lost []string
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		r, err := p.box.directory.Resolve(ctx, mail.Address{Local: "postmaster", Domain: domain})
		if err != nil {
			return err
		}
		if len(r.Accounts) == 0 {
			lost = append(lost, domain)
		}
	}
	u.seen = fmt.Sprintf("of %d domains", len(domains))
	if len(lost) > 0 {
		u.fault(p.self()+" user add "+shellWord("postmaster@"+p.box.cfg.Hostname), "mail for postmaster reaches nobody in %s", strings.Join(lost, ", "))
	}
	return nil
}
