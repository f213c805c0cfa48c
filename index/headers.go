package index

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"maild/index/header"
)

// origin is where the value of a field is found.
type origin uint8

const (
	originColumn origin = iota // in the row
	originExtra                // in the table extra
	originFile                 // in the message itself
)

// fieldsFrom gives the decoded fields of a message.
func (ix *Index) fieldsFrom(ctx context.Context, from origin, m *Message) ([]header.Field, error) {
	switch from {
	case originColumn:
		return columnFields(&m.Header), nil
	case originExtra:
		return ix.extraOf(ctx, m.ID)
	}
	if ix.opt.Source == nil {
		return nil, nil
	}
	content, _, err := ix.opt.Source.Read(ctx, m.Account, m.Folder, File{Key: m.Key, Flags: m.Flags, New: m.New}, WantHeader)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fields := header.Fields(content.Header)
	for i := range fields {
		fields[i].Value = header.Decode(fields[i].Value)
	}
	return fields, nil
}

func (ix *Index) extraOf(ctx context.Context, id int64) ([]header.Field, error) {
	var text string
	err := ix.current().read.QueryRowContext(ctx, `SELECT coalesce((SELECT fields FROM extra WHERE id = ?), '')`, id).Scan(&text)
	if err != nil {
		return nil, err
	}
	var fields []header.Field
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok {
			fields = append(fields, header.Field{Name: name, Value: value})
		}
	}
	return fields, nil
}

// columnFields gives the fields that have a column, as far as the message has them. Ids stand in brackets, as in the message.
func columnFields(h *header.Header) []header.Field {
	ids := func(list ...string) string {
		for i, id := range list {
			if id != "" {
				list[i] = "<" + id + ">"
			}
		}
		return strings.Join(list, " ")
	}
	var fields []header.Field
	for _, f := range []header.Field{
		{Name: "Subject", Value: h.Subject}, {Name: "From", Value: h.From}, {Name: "To", Value: h.To}, {Name: "Cc", Value: h.Cc},
		{Name: "Reply-To", Value: h.ReplyTo}, {Name: "List-Id", Value: h.ListID}, {Name: "Message-ID", Value: ids(h.MessageID)},
		{Name: "In-Reply-To", Value: ids(append([]string(nil), h.InReplyTo...)...)},
		{Name: "References", Value: ids(append([]string(nil), h.References...)...)},
	} {
		if f.Value != "" {
			fields = append(fields, f)
		}
	}
	return fields
}
