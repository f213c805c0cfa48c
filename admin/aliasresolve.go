package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"maild/appliance/account"
	"maild/appliance/mail"
)

// What becomes of the mail for an address.
const (
	outcomeDelivered = "delivered"
	outcomeDeferred  = "deferred" // it would have to be sent to another host, too
	outcomeNobody    = "nobody"
	outcomeForeign   = "foreign" // not a domain of this box
)

// resolveView is what "alias resolve" gives in JSON.
type resolveView struct {
	Address  string     `json:"address"`
	Outcome  string     `json:"outcome"`  // delivered, deferred, nobody or foreign
	Accounts []string   `json:"accounts"` // who gets the mail, or would
	Outside  []string   `json:"outside"`  // to whom it would have to be sent
	Steps    []stepView `json:"steps"`
}

type stepView struct {
	Depth   int      `json:"depth"`
	Address string   `json:"address"`
	Step    string   `json:"step"`
	To      []string `json:"to"`
	Refused []string `json:"refused,omitempty"`
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
}

func resolveAlias(ctx context.Context, c *call) error {
	name := c.Args().First()
	if err := c.open(); err != nil {
		return err
	}
	a, err := c.resolvable(name)
	if err != nil {
		return err
	}
	d, err := c.accounts(ctx, reading)
	if err != nil {
		return err
	}
	r, steps, err := d.Explain(ctx, a)
	if err != nil {
		return errors.Join(c.writeSteps(steps), err)
	}
	if r.Kind == account.Unknown && a.Domain == c.box.cfg.Hostname {
		for _, p := range someOf(d.AliasesFileProblems()) {
			c.note("%s", p)
		}
	}
	v := resolveView{Address: a.String(), Outcome: outcomeOf(r), Accounts: []string{}, Outside: texts(r.Outside), Steps: []stepView{}}
	for _, u := range r.Accounts {
		v.Accounts = append(v.Accounts, u.Name())
	}
	for _, s := range steps {
		v.Steps = append(v.Steps, stepView{s.Depth, s.Address.String(), string(s.Kind), texts(s.To), s.Refused, s.File, s.Line})
	}
	if c.form() == formJSON {
		err = c.object(v)
	} else {
		err = c.writeSteps(steps)
	}
	if err != nil {
		return err
	}
	return notDelivered(v, a)
}

// resolvable reads an address, or a name of this host.
func (c *call) resolvable(name string) (mail.Address, error) {
	if !strings.Contains(name, "@") {
		if a, err := mail.ParseAddress(name + "@" + c.box.cfg.Hostname); err == nil {
			return a, nil
		}
	}
	return address(name)
}

func outcomeOf(r account.Resolution) string {
	switch {
	case r.Kind == account.Foreign:
		return outcomeForeign
	case len(r.Outside) > 0:
		return outcomeDeferred
	case r.Kind == account.Local:
		return outcomeDelivered
	}
	return outcomeNobody
}

// notDelivered says why nobody gets the mail; nil if somebody does.
func notDelivered(v resolveView, a mail.Address) error {
	switch v.Outcome {
	case outcomeForeign:
		return notFoundf("nobody gets it: %s is not a domain of this box: \"mailctl domain add\" makes it one", a.Domain)
	case outcomeDeferred:
		return notFoundf("nobody gets it yet: it is put off (451) as long as maild cannot send to other hosts: %s", strings.Join(v.Outside, ", "))
	case outcomeNobody:
		return notFoundf("nobody gets it: it is refused (550): add an account or an alias")
	}
	return nil
}

// writeSteps writes them as rows. On a terminal the addresses are set in by their depth.
func (c *call) writeSteps(steps []account.Step) error {
	l := c.list(column{name: "depth", hidden: true}, column{name: "address"}, column{name: "step"}, column{name: "leads to", least: 16}, column{name: "where"})
	row := func(s account.Step, kind, to, where string) error {
		address := c.shown(s.Address)
		if c.form() == formTable {
			address = strings.Repeat("  ", s.Depth) + address
		}
		return l.add([]string{fmt.Sprint(s.Depth), address, kind, to, where}, nil)
	}
	for _, s := range steps {
		where := ""
		if s.File != "" {
			where = fmt.Sprintf("%s:%d", s.File, s.Line)
		}
		if err := row(s, string(s.Kind), strings.Join(c.allShown(s.To), ","), where); err != nil {
			return err
		}
		for _, r := range s.Refused {
			if err := row(s, "refused", r, where); err != nil {
				return err
			}
		}
	}
	return l.end()
}
