package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"maild/appliance/account"
	"maild/appliance/config"
	"maild/appliance/mail"
	"maild/appliance/store"
	"maild/maildir"
)

// Quota is what holds for accounts without limits of their own, and how an
// account that is full is dealt with. The zero value is no limits.
//
// The room is judged twice. At RCPT an account is refused when it is full, or
// when the size that MAIL declared does not fit: the other recipients go on. At
// the end of the message its real size is judged, with the room kept until it
// is delivered, so that any number of messages at once stay within limit and
// grace. Where each recipient has a reply of its own (LMTP), only the full one
// is refused then. SMTP has one reply for all: nobody gets the message, the
// client is asked to try again, and is then told of the full one at RCPT.
//
// An alias of several accounts takes a message as long as one of them does;
// the full ones are passed over, for else one of them could keep mail from all.
// A suspended account is like any other. Mail to postmaster is taken beyond any
// limit (RFC 5321 §4.5.1), whoever gets it.
type Quota struct {
	Octets, Messages int64 // 0 = no limit
	GraceOctets      int64 // how far a message may go beyond Octets
	Permanent        bool  // a full account is refused for good
	Warn             []int // per cent, ascending, at which the user is told
}

// QuotaOf is what the configuration says.
func QuotaOf(c config.Quota) Quota {
	return Quota{Octets: int64(c.Octets), Messages: int64(c.Messages), GraceOctets: int64(c.Grace), Permanent: c.Over == "permanent", Warn: c.Warn}
}

// For is what holds for an account.
func (q Quota) For(a account.Account) store.Quota {
	return store.Quota{GraceOctets: q.GraceOctets,
		Limit: maildir.Size{Octets: a.Quota.Octets.Or(q.Octets), Messages: a.Quota.Messages.Or(q.Messages)}}
}

// isPostmaster: RFC 5321 §4.5.1.
func isPostmaster(p mail.ForwardPath) bool { return strings.EqualFold(p.Local, "postmaster") }

// overQuota is the error for a full account.
func (q Quota) overQuota() error {
	status := mail.Status{Code: 452, Enhanced: mail.EnhancedCode{4, 2, 2}, Text: "the mailbox is full, try again later"}
	if q.Permanent {
		status = mail.Status{Code: 552, Enhanced: mail.EnhancedCode{5, 2, 2}, Text: "the mailbox is full"}
	}
	return &mail.Error{Status: status, Cause: store.ErrOverQuota}
}

// Room is an error with the status for the client if none of a recipient's
// accounts has room for the message that the envelope declares. Where nobody
// can tell, there is room.
func (d *Delivery) Room(ctx context.Context, e mail.Envelope, r Recipient) error {
	if r.exempt {
		return nil
	}
	more := maildir.Size{Octets: e.SizeOctets, Messages: 1}
	answer := d.Quota
	for _, a := range r.found {
		q := d.Quota.For(a)
		if q.IsNone() {
			return nil
		}
		if d.retold.take(e.From, a.Name()) {
			answer.Permanent = false // this may be another message, which fits
			continue
		}
		used, err := d.Store.Usage(ctx, a.Name(), q, more)
		if err != nil {
			d.Log.Warn("quota", "account", a.Name(), "status", "not known, mail is taken", "err", err)
			return nil
		}
		if q.Takes(used, more) {
			return nil
		}
	}
	return answer.overQuota()
}

// admission is who has room for a message.
type admission struct {
	accounts map[string]account.Account
	quotas   map[string]store.Quota
	used     map[string]maildir.Size // before it
	refused  map[string]error
}

// admit asks for room in every account.
func (d *Delivery) admit(ctx context.Context, m Message, drafts []*store.Draft) admission {
	a := admission{map[string]account.Account{}, map[string]store.Quota{}, map[string]maildir.Size{}, map[string]error{}}
	exempt := map[string]bool{}
	for _, r := range m.Recipients {
		for _, found := range r.found {
			name := found.Name()
			a.accounts[name], a.quotas[name] = found, d.Quota.For(found)
			exempt[name] = exempt[name] || r.exempt
		}
	}
	for _, draft := range drafts {
		name := draft.Account()
		used, err := draft.Admit(ctx, a.quotas[name], exempt[name])
		a.used[name] = used
		switch {
		case errors.Is(err, store.ErrOverQuota):
			a.refused[name] = d.Quota.overQuota()
			d.Log.Warn("over quota", "id", m.ID, "account", name, "octets", draft.Octets(), "used", used.Octets, "limit", a.quotas[name].Limit.Octets)
		case err != nil:
			a.quotas[name] = store.Quota{} // nothing to tell the user of
			d.Log.Warn("quota", "id", m.ID, "account", name, "status", "not known, mail is taken", "err", err)
		}
	}
	return a
}

// refusalOfAll is the one reply for a message that some recipients have room
// for, and others not. It is temporary, whatever the configuration says: for
// good it would cost those their mail who have room.
func (d *Delivery) refusalOfAll(m Message, a admission) error {
	if m.Separate || len(a.refused) == 0 {
		return nil
	}
	var full []Recipient
	for _, r := range m.Recipients {
		if _, cause := r.outcome(a.refused); cause != nil {
			full = append(full, r)
		}
	}
	if len(full) == 0 || len(full) == len(m.Recipients) {
		return nil
	}
	for _, r := range full {
		for _, name := range r.Accounts {
			d.retold.put(m.Envelope.From, name)
		}
	}
	return &mail.Error{Cause: store.ErrOverQuota, Status: mail.Status{Code: 452, Enhanced: mail.EnhancedCode{4, 2, 2},
		Text: "the mailbox of one recipient is full and nobody has got the message: try again, and that recipient will be refused alone"}}
}

// retold remembers whom a client is to be told of at RCPT, once: who was full
// when a message with other recipients had come. Without, a client that does
// not declare sizes would send that message to all of them in vain until it
// gives up. What is forgotten costs one more round.
type retold struct {
	mu   sync.Mutex
	list []retelling
}

type retelling struct {
	from    mail.ReversePath
	account string
}

// maxRetold bounds the memory; the oldest are forgotten.
const maxRetold = 1000

func (t *retold) put(from mail.ReversePath, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := retelling{from, name}
	if slices.Contains(t.list, r) {
		return
	}
	if len(t.list) >= maxRetold {
		t.list = slices.Delete(t.list, 0, 1)
	}
	t.list = append(t.list, r)
}

// take reports whether the client is to be told, and forgets it.
func (t *retold) take(from mail.ReversePath, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.list, retelling{from, name})
	if i < 0 {
		return false
	}
	t.list = slices.Delete(t.list, i, i+1)
	return true
}
