// Package delivery decides where an accepted message goes, and keeps the promise
// behind "250": before Deliver reports a recipient as delivered, the message is
// in the recipient's Maildir and survives a power cut.
//
// A message is delivered in two phases, so that several recipients get it or
// none: first it is prepared for all of them (written once and fsynced, linked into
// each account's tmp/), and then committed (renamed into each new/, the directory
// fsynced). What can go wrong nearly always goes wrong in the first.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/message"
	"maild/appliance/store"
	"maild/maildir"
)

// Delivery takes messages in. Its fields are set once. Safe for concurrent use.
type Delivery struct {
	Accounts    *account.Directory
	Store       *store.Store
	Hostname    string
	MaxReceived int // Received fields; more is a loop
	Quota       Quota
	Log         *slog.Logger

	retold retold
}

// Recipient is a forward-path and the accounts it stands for.
type Recipient struct {
	Path     mail.ForwardPath
	Accounts []string // "user@domain", at least one

	found  []account.Account // the same, as they were when they were found
	exempt bool              // no quota holds
}

// Message is one transaction: an envelope whose recipients are known.
type Message struct {
	ID         string
	Time       time.Time
	Envelope   mail.Envelope
	Recipients []Recipient // one for each of Envelope.To
	Origin     message.Origin
	// Separate says that each recipient gets a reply of its own (LMTP). With
	// one reply for all, all get the message or none.
	Separate bool
}

// Recipient finds who gets the mail for a forward-path. An error carries the
// status for the client: 550 5.1.1 for nobody, 550 5.7.1 for another host's
// address, 451 4.3.5 for an alias that leads to another host. trusted is a client that could send to other hosts, if this one could.
func (d *Delivery) Recipient(ctx context.Context, to mail.ForwardPath, trusted bool) (Recipient, error) {
	res, err := d.Accounts.Resolve(ctx, to.Address)
	if err != nil {
		return Recipient{}, fmt.Errorf("resolve %s: %w", to.Path(), err)
	}
	switch {
	case len(res.Outside) > 0:
		// Put off, for everybody whom the alias names: an administrator has asked for what this server cannot do yet, and that is no
		// fault of the message. None of those gets it twice when the client tries again.
		d.Log.Warn("deliver", "to", to.Path(), "status", "put off: an alias leads to another host, to which this server cannot send yet",
			"outside", res.Outside[0].String())
		return Recipient{}, mail.Reject(451, mail.EnhancedCode{4, 3, 5}, "mail for this address is passed on to another host, which this server cannot do yet")
	case res.Kind == account.Local:
		r := Recipient{Path: to, found: res.Accounts, exempt: isPostmaster(to)}
		for _, a := range res.Accounts {
			r.Accounts = append(r.Accounts, a.Name())
		}
		return r, nil
	case res.Kind == account.Unknown:
		return Recipient{}, mail.Reject(550, mail.EnhancedCode{5, 1, 1}, "no such user here")
	case trusted:
		return Recipient{}, mail.Reject(550, mail.EnhancedCode{5, 7, 1}, "this server does not send mail to other hosts yet: only its own domains can be written to")
	default:
		return Recipient{}, mail.Reject(550, mail.EnhancedCode{5, 7, 1}, "relaying denied: not a domain of this server")
	}
}

// Deliver receives a message by calling read, which writes it with LF line ends,
// and delivers it. There is one result for each recipient, in their order.
func (d *Delivery) Deliver(ctx context.Context, m Message, read func(io.Writer) error) []mail.Result {
	accounts := m.accounts()
	drafts, block, err := d.prepare(m, accounts, read)
	defer func() {
		for _, draft := range drafts {
			if err := draft.Abort(); err != nil {
				d.Log.Warn("abort", "id", m.ID, "account", draft.Account(), "err", err)
			}
		}
	}()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return m.results(err, nil)
	}
	a := d.admit(ctx, m, drafts)
	if err := d.refusalOfAll(m, a); err != nil {
		return m.results(err, nil)
	}
	failed := map[string]error{}
	for _, draft := range drafts {
		name := draft.Account()
		if failed[name] = a.refused[name]; failed[name] != nil {
			continue
		}
		_, err := draft.Commit(block)
		if err == nil {
			err = d.stillThere(ctx, draft)
		}
		if failed[name] = err; err == nil {
			now := a.used[name].Plus(maildir.Size{Octets: draft.Octets(), Messages: 1})
			d.tell(ctx, a.accounts[name], a.used[name], now, a.quotas[name])
		}
	}
	return m.results(nil, failed)
}

// stillThere takes a message back that was committed for an account which is gone
// by now. An account is renamed or removed first in accounts.db and then looked
// after for mail that came to it meanwhile; so mail that is committed while the
// account is still there is found by that, and what comes later the client
// brings again, to whoever has the address then.
func (d *Delivery) stillThere(ctx context.Context, draft *store.Draft) error {
	there, err := d.Accounts.Exists(context.WithoutCancel(ctx), draft.Account())
	if there || err != nil {
		// Whatever hinders the question, the message is in its place.
		if err != nil {
			d.Log.Warn("deliver", "account", draft.Account(), "err", err)
		}
		return nil
	}
	return &mail.Error{Status: mail.Status{Code: 450, Enhanced: mail.EnhancedCode{4, 2, 1}, Text: "mailbox is being moved or removed, try again"},
		Cause: errors.Join(fmt.Errorf("account %s is gone", draft.Account()), draft.TakeBack(), d.tidy(draft.Account()))}
}

// tidy removes the empty tree that was made for an account that is gone.
func (d *Delivery) tidy(account string) error {
	_, err := d.Store.RemoveEmpty(account)
	return err
}

// prepare receives the message into a file and links it for every account.
func (d *Delivery) prepare(m Message, accounts []string, read func(io.Writer) error) (drafts []*store.Draft, block []byte, err error) {
	first, err := d.Store.Stage(accounts[0])
	if err != nil {
		return nil, nil, skip(read, err)
	}
	drafts = []*store.Draft{first}
	in, err := message.NewIntake(first, d.trace(m, accounts), d.MaxReceived)
	if err != nil {
		return drafts, nil, skip(read, err)
	}
	if err := read(in); err != nil {
		return drafts, nil, refusal(err)
	}
	if err := in.Close(); err != nil {
		return drafts, nil, err
	}
	if err := first.Seal(); err != nil {
		return drafts, nil, err
	}
	for _, a := range accounts[1:] {
		draft, err := first.Link(a)
		if err != nil {
			return drafts, nil, err
		}
		drafts = append(drafts, draft)
	}
	return drafts, in.Header(), nil
}

// skip takes the message off the wire although there is nowhere to put it.
func skip(read func(io.Writer) error, cause error) error {
	if err := read(io.Discard); err != nil {
		return refusal(err)
	}
	return cause
}

// trace is the trace fields of a message. Only where it has one recipient and goes
// to one account does it name them.
func (d *Delivery) trace(m Message, accounts []string) []byte {
	t := message.Trace{From: m.Envelope.From, Origin: m.Origin, Host: d.Hostname, ID: m.ID, Time: m.Time}
	if len(m.Envelope.To) == 1 {
		t.For = m.Envelope.To[0]
		if len(accounts) == 1 {
			t.Account = accounts[0]
		}
	}
	return t.AppendTo(nil)
}

// refusal gives the faults of a message their status; others stay as they are.
func refusal(err error) error {
	var status mail.Status
	switch {
	case errors.Is(err, message.ErrTooBig):
		status = mail.Status{Code: 552, Enhanced: mail.EnhancedCode{5, 3, 4}, Text: "message too large for this server"}
	case errors.Is(err, message.ErrBareLineEnd):
		status = mail.Status{Code: 550, Enhanced: mail.EnhancedCode{5, 6, 0}, Text: "message has a CR or LF that is not part of CRLF (RFC 5321 section 2.3.8)"}
	case errors.Is(err, message.ErrLoop):
		status = mail.Status{Code: 554, Enhanced: mail.EnhancedCode{5, 4, 6}, Text: "too many Received fields: the message is in a loop"}
	default:
		return err
	}
	return &mail.Error{Status: status, Cause: err}
}

// accounts is who gets the message, each once.
func (m Message) accounts() []string {
	var list []string
	for _, r := range m.Recipients {
		for _, a := range r.Accounts {
			if !slices.Contains(list, a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// results puts what became of the accounts into what became of the recipients. A
// recipient that stands for several accounts is delivered if all are that had
// room: else the client tries again, and those who have it get it twice rather
// than another not at all.
func (m Message) results(err error, failed map[string]error) []mail.Result {
	results := make([]mail.Result, len(m.Recipients))
	for i, r := range m.Recipients {
		cause, reached := err, r.Accounts
		if cause == nil {
			reached, cause = r.outcome(failed)
		}
		results[i] = mail.Result{Recipient: r.Path, Accounts: reached, Action: mail.Delivered,
			Status: mail.Status{Code: 250, Enhanced: mail.EnhancedCode{2, 0, 0}, Text: "accepted as " + m.ID}}
		if cause != nil {
			results[i].Status, results[i].Err, results[i].Action = mail.StatusOf(cause), cause, mail.Failed
			if results[i].Status.IsTemporary() {
				results[i].Action = mail.Delayed
			}
		}
	}
	return results
}

// outcome is which accounts of a recipient have the message, and what kept it
// from the others. Those that are full are passed over if any is not.
func (r Recipient) outcome(failed map[string]error) (reached []string, cause error) {
	var full error
	for _, a := range r.Accounts {
		switch err := failed[a]; {
		case err == nil:
			reached = append(reached, a)
		case errors.Is(err, store.ErrOverQuota):
			full = err
		case cause == nil:
			cause = err
		}
	}
	if cause == nil && len(reached) == 0 {
		cause = full
	}
	if cause != nil {
		return r.Accounts, cause
	}
	return reached, nil
}
