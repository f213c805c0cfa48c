package admin

import (
	"context"

	"github.com/urfave/cli/v2"

	"maild/appliance/account"
	"maild/appliance/mail"
)

func passwordFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "generate", Usage: "make a password and print it, this once"},
		&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from the first line of standard input"},
	}
}

// chosen is a password as it is kept, and in clear text where the person does not know it yet.
type chosen struct{ hash, generated string }

// choosePassword gets a new password the way the flags say.
func (c *call) choosePassword(ctx context.Context, who mail.Address) (chosen, error) {
	ways := 0
	for _, flag := range []string{"generate", "password-stdin", "no-password"} {
		if c.Bool(flag) {
			ways++
		}
	}
	var p chosen
	var text string
	var err error
	switch {
	case ways > 1:
		return p, usagef("there is one way to choose a password: give only one of the flags for it")
	case c.Bool("no-password"):
		return p, nil
	case c.Bool("generate"):
		p.generated = account.Generate()
		text = p.generated
	case c.Bool("password-stdin"):
		text, err = c.passwordLine(ctx)
	default:
		text, err = c.newPassword(ctx, who.String())
	}
	if err != nil {
		return p, err
	}
	p.hash, err = account.Hash(text)
	return p, err
}

func setPassword(ctx context.Context, c *call) error {
	a, d, err := c.openUser(ctx, changing)
	if err != nil {
		return err
	}
	u, err := existing(ctx, d, a)
	if err != nil {
		return err
	}
	p, err := c.choosePassword(ctx, u.Address)
	if err != nil {
		return err
	}
	if err := d.SetPassword(ctx, u.Address, p.hash); err != nil {
		return err
	}
	c.note("the password of %s is changed", u.Name())
	return c.finish(doneView{Account: u.Name(), Password: p.generated})
}
