package admin

import (
	"context"
	"fmt"
	"strings"
)

// removalView is what "user remove --dry-run" gives in JSON.
type removalView struct {
	Account      string   `json:"account"`
	Exists       bool     `json:"exists"`        // false: only its mail is left
	AppPasswords []string `json:"app_passwords"` // which go with the account
	Maildir      string   `json:"maildir"`
	Messages     int64    `json:"messages"`
	Octets       int64    `json:"octets"`
	Purge        bool     `json:"purge"`   // whether the mail would go, too
	Archive      string   `json:"archive"` // where it would be written before; "" = nowhere
	DryRun       bool     `json:"dry_run"`
}

// dry says what would go. The mail is counted in its files.
func (r *removal) dry(ctx context.Context) (err error) {
	v := removalView{Account: r.name, Exists: !r.gone, AppPasswords: []string{}, Maildir: r.path, Purge: r.purge, Archive: validText(r.archive), DryRun: true}
	if !r.gone {
		list, err := r.directory.AppPasswords(ctx, r.account.Address)
		if err != nil {
			return err
		}
		for _, p := range list {
			v.AppPasswords = append(v.AppPasswords, p.Name)
		}
	}
	if v.Messages, v.Octets, err = r.mail().Measure(ctx, r.name); err != nil {
		return err
	}
	fate := "kept"
	switch {
	case r.archive != "":
		fate = "written to " + r.archive + ", then deleted"
	case v.Purge:
		fate = "deleted"
	}
	r.note("nothing is changed: this is what would happen")
	return r.facts([]fact{
		{"account", r.shown(r.account.Address)},
		{"app passwords", strings.Join(v.AppPasswords, ", ")},
		{"mail", fate},
		{"maildir", v.Maildir},
		{"messages", fmt.Sprint(v.Messages)},
		{"size", r.size(v.Octets)},
	}, v)
}
