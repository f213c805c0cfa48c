package index

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// ErrSQL says that a statement is not one that only reads.
var ErrSQL = errors.New("only one statement that begins with SELECT, WITH, VALUES or EXPLAIN can be run")

// SQL runs one statement that reads and calls fn for each row of its result, or once with no values when there is none; a value is nil,
// int64, float64, string or []byte. Nothing can be written and no other file be opened. It ends when ctx does. See the views of the schema: messages, headers, folders, accounts, usage.
func (ix *Index) SQL(ctx context.Context, text string, fn func(columns []string, values []any) error) error {
	if !readsOnly(text) || strings.TrimSpace(afterStatement(text)) != "" {
		return fmt.Errorf("sql: %w", ErrSQL)
	}
	var rows *sql.Rows
	var mistake error
	err := ix.reading(func(g *generation) (err error) {
		if rows, err = g.read.QueryContext(ctx, text); isMistake(err) {
			mistake, err = err, nil // not the file's fault
		}
		return err
	})
	if err = cmp.Or(err, mistake); err != nil {
		return sqlError(ctx, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return sqlError(ctx, err)
	}
	n := 0
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return sqlError(ctx, err)
		}
		if err := fn(columns, values); err != nil {
			return err
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return sqlError(ctx, err)
	}
	if n == 0 {
		return fn(columns, nil)
	}
	return nil
}

// readsOnly reports whether the first word is one of those of statements that read. SQLite itself refuses what they could write yet.
func readsOnly(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n(")
	end := strings.IndexFunc(text, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' })
	if end < 0 {
		end = len(text)
	}
	return slices.Contains([]string{"SELECT", "WITH", "VALUES", "EXPLAIN"}, strings.ToUpper(text[:end]))
}

// sqlError tells a mistake in the statement from damage to the file, and the end of ctx from both.
func sqlError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case !isMistake(err):
		err = readError(err)
	}
	return fmt.Errorf("sql: %w", err)
}

// isMistake reports whether an error is one of the statement, such as a column that is not there.
func isMistake(err error) bool {
	var se *sqlite.Error
	return errors.As(err, &se) && se.Code()&0xff == sqlitelib.SQLITE_ERROR
}

// afterStatement is what follows the first semicolon outside of quotes and comments.
func afterStatement(text string) string {
	for i := 0; i < len(text); i++ {
		end := ""
		switch c := text[i]; {
		case c == ';':
			return text[i+1:]
		case c == '\'' || c == '"' || c == '`':
			end = string(c)
		case c == '[':
			end = "]"
		case strings.HasPrefix(text[i:], "--"):
			end = "\n"
		case strings.HasPrefix(text[i:], "/*"):
			i, end = i+1, "*/"
		}
		if end == "" {
			continue
		}
		n := strings.Index(text[i+1:], end)
		if n < 0 {
			return ""
		}
		i += n + len(end)
	}
	return ""
}
