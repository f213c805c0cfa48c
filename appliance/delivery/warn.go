package delivery

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/message"
	"maild/appliance/store"
	"maild/maildir"
)

// tellPatience bounds the work of telling a user, which the client waits for:
// its message is delivered already.
const tellPatience = 3 * time.Second

// tell delivers a warning to an account that has crossed a mark with its last
// message, once: not again until it has been below. What was told is noted
// before, so that of several messages at once one tells it, and taken back when
// it could not be delivered.
func (d *Delivery) tell(ctx context.Context, a account.Account, before, now maildir.Size, q store.Quota) {
	if q.IsNone() || len(d.Quota.Warn) == 0 {
		return
	}
	told := a.WarnedPercent
	if percent := q.Percent(before); percent < told {
		told = d.Quota.mark(percent)
	}
	mark := max(told, d.Quota.mark(q.Percent(now)))
	if mark == a.WarnedPercent {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	defer cancel()
	first, err := d.Accounts.SetWarned(ctx, a, mark)
	if err == nil && first && mark > told {
		if err = d.warn(ctx, a, now, q); err != nil {
			a.WarnedPercent = mark
			if _, undone := d.Accounts.SetWarned(ctx, a, told); undone != nil {
				d.Log.Warn("quota", "account", a.Name(), "err", undone)
			}
		}
	}
	if err != nil {
		d.Log.Warn("quota", "account", a.Name(), "status", "the user was not warned", "err", err)
	}
}

// Look tells the user of an account that is beyond a mark for another reason
// than a delivery, such as a lower limit, and notes that one is below again.
func (d *Delivery) Look(ctx context.Context, a account.Account) error {
	q := d.Quota.For(a)
	if q.IsNone() || len(d.Quota.Warn) == 0 {
		return nil
	}
	used, err := d.Store.Usage(ctx, a.Name(), q, maildir.Size{})
	if err == nil {
		d.tell(ctx, a, used, used, q)
	}
	return err
}

// mark is the highest of the marks that a percentage reaches, 0 for none.
func (q Quota) mark(percent int) int {
	mark := 0
	for _, m := range q.Warn {
		if m <= percent {
			mark = max(mark, m)
		}
	}
	return mark
}

// warn delivers the warning, from "<>", into the INBOX, also beyond the quota.
func (d *Delivery) warn(ctx context.Context, a account.Account, used maildir.Size, q store.Quota) error {
	m := Message{ID: strings.ToLower(rand.Text()[:12]), Time: time.Now(), Origin: message.Origin{Hello: d.Hostname, Protocol: "local"}}
	path := mail.ForwardPath{Address: a.Address}
	m.Envelope.To = []mail.ForwardPath{path}
	m.Recipients = []Recipient{{Path: path, Accounts: []string{a.Name()}}}
	drafts, block, err := d.prepare(m, m.accounts(), func(w io.Writer) error {
		_, err := io.WriteString(w, d.warning(a, m, used, q))
		return err
	})
	for _, draft := range drafts {
		if err == nil {
			_, err = draft.Admit(ctx, q, true)
		}
		if err == nil {
			_, err = draft.Commit(block)
		}
		if err != nil {
			if aborted := draft.Abort(); aborted != nil {
				d.Log.Warn("abort", "id", m.ID, "account", a.Name(), "err", aborted)
			}
		}
	}
	if err == nil {
		d.Log.Info("warned", "id", m.ID, "account", a.Name(), "used", used.Octets, "limit", q.Limit.Octets, "percent", q.Percent(used))
	}
	return err
}

// warning is the message. RFC 3834 §5: nothing shall answer it.
func (d *Delivery) warning(a account.Account, m Message, used maildir.Size, q store.Quota) string {
	percent := q.Percent(used)
	var b strings.Builder
	fmt.Fprintf(&b, "From: Mail system <postmaster@%s>\nTo: %s\nDate: %s\nMessage-ID: <%s@%s>\n", d.Hostname, a.Address, m.Time.Format(time.RFC1123Z), m.ID, d.Hostname)
	fmt.Fprintf(&b, "Subject: Your mailbox is %d %% full\nAuto-Submitted: auto-generated\nPrecedence: bulk\n", percent)
	b.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
	fmt.Fprintf(&b, "The mailbox %s is %d %% full.\n\n", a.Address, percent)
	if q.Limit.Octets > 0 {
		fmt.Fprintf(&b, "It holds %s of at most %s.\n", readable(used.Octets), readable(q.Limit.Octets))
	}
	if q.Limit.Messages > 0 {
		fmt.Fprintf(&b, "It holds %d messages of at most %d.\n", used.Messages, q.Limit.Messages)
	}
	consequence := "senders are told to try again, and after some days that their\nmessage could not be delivered."
	if d.Quota.Permanent {
		consequence = "messages go back to their senders."
	}
	fmt.Fprintf(&b, `
When it is full, new mail is not taken any more: %s

To make room, delete what you do not need any more, above all messages with
large attachments, and empty the trash: what lies there counts, too. If you
need more room, ask postmaster@%s.

You get this message once, and again only if the mailbox has been below the
mark meanwhile.
`, consequence, d.Hostname)
	return b.String()
}

// readable is a size for people, to one decimal.
func readable(octets int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if octets >= u.size {
			return fmt.Sprintf("%.1f %s", float64(octets)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d octets", octets)
}
