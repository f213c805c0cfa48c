package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"maild/appliance/account"
	"maild/appliance/mail"
	"maild/appliance/store"
	"maild/maildir"
)

func local(name string) mail.Address { return mail.Address{Local: name, Domain: "example.org"} }

// TestAccountGone removes an account while a message for it is on the wire: the client must not be told that it is delivered.
func TestAccountGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	must(t, f.Accounts.RemoveAlias(context.Background(), local("both")))
	res := f.Deliver(context.Background(), f.message("ann@example.org", "bob@example.org"), func(w io.Writer) error {
		must(t, f.Accounts.RemoveAccount(context.Background(), local("ann")))
		_, err := io.WriteString(w, "Subject: a\n\nb\n")
		return err
	})
	if res[0].Status.Code != 450 || res[0].Action != mail.Delayed || res[1].Status.Code != 250 {
		t.Errorf("results %v, %v", res[0].Status, res[1].Status)
	}
	if ann, bob := f.files("ann", "new"), f.files("bob", "new"); len(ann) != 0 || len(bob) != 1 {
		t.Errorf("ann has %v, bob %v", ann, bob)
	}
}

// TestRenamedBeforeData renames an account after RCPT and before DATA, when its tree would be made anew for the message.
func TestRenamedBeforeData(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.message("ann@example.org")
	other := store.OpenMailboxes(filepath.Dir(filepath.Dir(f.path("ann", ""))))
	defer other.Close()
	rename(t, f.Accounts, other, local("ann"), local("anna"))
	if res := f.deliver(m, "Subject: a\n\nb\n"); res[0].Status.Code != 450 || res[0].Action != mail.Delayed {
		t.Errorf("result %v", res[0].Status)
	}
	if _, err := os.Stat(f.path("ann", "")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old tree: %v", err)
	}
	if res := f.deliver(f.message("both@example.org"), "Subject: a\n\nb\n"); res[0].Status.Code != 250 {
		t.Errorf("again: %v", res[0].Status)
	}
	if list := f.files("anna", "new"); len(list) != 1 {
		t.Errorf("anna has %v", list)
	}
}

// TestAliasOutside: what cannot be passed on is put off as a whole.
func TestAliasOutside(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	must(t, f.Accounts.AddAlias(context.Background(), local("far"), []mail.Address{local("ann"), {Local: "zoe", Domain: "elsewhere.example"}}))
	for _, trusted := range []bool{false, true} {
		_, err := f.Recipient(context.Background(), mail.ForwardPath{Address: local("far")}, trusted)
		if s := mail.StatusOf(err); err == nil || s.Code != 451 || s.Enhanced != (mail.EnhancedCode{4, 3, 5}) {
			t.Errorf("trusted %v: %v", trusted, err)
		}
	}
}

// TestRenameUnderDelivery renames an account again and again while messages come in for it, by an alias. Each that was acknowledged is there in the end.
func TestRenameUnderDelivery(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	must(t, f.Accounts.AddAlias(ctx, local("team"), []mail.Address{local("ann")}))
	must(t, f.Accounts.RemoveAlias(ctx, local("both")))
	var stop atomic.Bool
	var senders sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	for s := range 3 {
		senders.Go(func() {
			for i := 0; !stop.Load(); i++ {
				subject := fmt.Sprintf("message %d of %d", i, s)
				path := mail.ForwardPath{Address: local("team")}
				r, err := f.Recipient(ctx, path, false)
				if err != nil {
					t.Error(err) // there is always such a recipient
					return
				}
				m := Message{ID: "id", Recipients: []Recipient{r}}
				m.Envelope.To = []mail.ForwardPath{path}
				if res := f.deliver(m, "Subject: "+subject+"\n\nx\n"); res[0].Status.IsSuccess() {
					mu.Lock()
					acknowledged[subject] = true
					mu.Unlock()
				} else if !res[0].Status.IsTemporary() {
					t.Error(res[0].Status)
				}
			}
		})
	}
	const rounds = 15
	other := store.OpenMailboxes(filepath.Dir(filepath.Dir(f.path("ann", "")))) // as mailctl has it
	defer other.Close()
	followed := 0
	for i := range rounds {
		from, to := local("ann"), local("anna")
		if i%2 == 1 {
			from, to = to, from
		}
		followed += rename(t, f.Accounts, other, from, to)
	}
	// On a slow machine the renames may be over before much has come.
	for n := 0; n <= rounds && !t.Failed(); runtime.Gosched() {
		mu.Lock()
		n = len(acknowledged)
		mu.Unlock()
	}
	stop.Store(true)
	senders.Wait()
	have := map[string]int{}
	must(t, other.Use("anna@example.org", false, func(tree *maildir.Tree) error {
		return tree.Scan(maildir.Inbox, func(e maildir.Entry) error {
			file, err := tree.OpenMessage(e)
			if err != nil {
				return err
			}
			defer file.Close()
			text, err := io.ReadAll(file)
			_, rest, _ := strings.Cut(string(text), "\nSubject: ")
			subject, _, _ := strings.Cut(rest, "\n")
			have[subject]++
			return err
		})
	}))
	for subject := range acknowledged {
		if have[subject] == 0 {
			t.Errorf("%q was acknowledged and is lost", subject)
		}
	}
	t.Logf("%d acknowledged, %d there, %d had to follow", len(acknowledged), len(have), followed)
}

// rename does what "mailctl user rename" does.
func rename(t *testing.T, d *account.Directory, m *store.Mailboxes, from, to mail.Address) (followed int) {
	t.Helper()
	ctx := context.Background()
	r, err := d.BeginRename(ctx, from, to, false)
	must(t, err)
	must(t, m.Rename(from.String(), to.String()))
	_, err = d.CommitRename(ctx, r)
	must(t, err)
	followed, err = m.Absorb(ctx, from.String(), to.String())
	must(t, err)
	must(t, d.EndRename(ctx, r))
	return followed
}
