package index

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// rowAt reads the row of a file.
func (g *generation) rowAt(ctx context.Context, k fileKey) (folder, id int64, r row, found bool, err error) {
	r.place, r.key = k.place, k.key
	t := &r.texts
	var date sql.NullInt64
	err = g.read.QueryRowContext(ctx, `SELECT m.folder, m.id, m.flags, m.new, m.attachment, m.octets, m.arrived, m.date, m.message_id, m.in_reply_to, m.refs,
		m.subject, m.sender, m.recipients, m.cc, m.reply_to, m.list_id, coalesce((SELECT fields FROM extra WHERE extra.id = m.id), '')
		FROM message m WHERE m.folder = (SELECT id FROM folder WHERE account = ? AND name = ?) AND m.key = ?`, k.account, k.folder, k.key).
		Scan(&folder, &id, &r.flags, &r.new, &r.attachment, &r.octets, &r.arrived, &date, &t.messageID, &t.inReplyTo, &t.refs, &t.subject, &t.sender,
			&t.recipients, &t.cc, &t.replyTo, &t.listID, &r.extra)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, r, false, nil
	}
	if date.Valid {
		r.date = &date.Int64
	}
	return folder, id, r, err == nil, err
}

// difference says in which columns two rows of one file differ.
func (r *row) difference(want *row) string {
	var list []string
	compare := func(name string, have, want any) {
		if have != want {
			list = append(list, fmt.Sprintf("%s is %.60q, should be %.60q", name, fmt.Sprint(have), fmt.Sprint(want)))
		}
	}
	date := func(d *int64) any {
		if d == nil {
			return "none"
		}
		return *d
	}
	compare("flags", r.flags, want.flags)
	compare("new", r.new, want.new)
	compare("attachment", r.attachment, want.attachment)
	compare("octets", r.octets, want.octets)
	compare("arrived", r.arrived, want.arrived)
	compare("date", date(r.date), date(want.date))
	compare("message_id", r.messageID, want.messageID)
	compare("in_reply_to", r.inReplyTo, want.inReplyTo)
	compare("refs", r.refs, want.refs)
	compare("subject", r.subject, want.subject)
	compare("sender", r.sender, want.sender)
	compare("recipients", r.recipients, want.recipients)
	compare("cc", r.cc, want.cc)
	compare("reply_to", r.replyTo, want.replyTo)
	compare("list_id", r.listID, want.listID)
	compare("fields", r.extra, want.extra)
	return strings.Join(list, "; ")
}

// maxCheckedWords is how much of a column is looked for by its words: a phrase of thousands of them is slow.
const maxCheckedWords = 200

// wrongWords looks a row up by its own words, and its references.
func (g *generation) wrongWords(ctx context.Context, folder, id int64, r *row, body bool) (what string, err error) {
	var match []string
	for column, text := range map[string]string{"subject": spaced(r.subject), "sender": addressText(r.sender), "recipients": addressText(r.recipients), "cc": addressText(r.cc)} {
		if text = beginning(text); hasToken(text) {
			match = append(match, column+" : ^ "+ftsString(text))
		}
	}
	match = append(match, "state : ^ "+ftsString(stateText(folder, r.flags, r.new, r.attachment)))
	var n int64
	if err := g.read.QueryRowContext(ctx, `SELECT count(*) FROM terms WHERE terms MATCH ? AND rowid = ?`, strings.Join(match, " AND "), id).Scan(&n); err != nil {
		return "", err
	}
	if n != 1 {
		return "the message is not found by its own words", nil
	}
	for _, hash := range references(r.refs, r.inReplyTo) {
		if err := g.read.QueryRowContext(ctx, `SELECT count(*) FROM reference WHERE hash = ? AND id = ?`, hash, id).Scan(&n); err != nil {
			return "", err
		}
		if n != 1 {
			return "a reference is missing", nil
		}
	}
	for _, w := range r.words {
		if err := g.read.QueryRowContext(ctx, `SELECT count(*) FROM word WHERE text = ?`, w).Scan(&n); err != nil {
			return "", err
		}
		if n != 1 {
			return fmt.Sprintf("the word %q of an address is missing", w), nil
		}
	}
	if body && r.body != "" {
		if err := g.read.QueryRowContext(ctx, `SELECT count(*) FROM bodies_docsize WHERE id = ?`, id).Scan(&n); err != nil {
			return "", err
		}
		if n != 1 {
			return "the text is missing", nil
		}
	}
	return "", nil
}

// beginning cuts a long text at a space.
func beginning(text string) string {
	fields := strings.Fields(text)
	if len(fields) > maxCheckedWords {
		return strings.Join(fields[:maxCheckedWords], " ")
	}
	return text
}
