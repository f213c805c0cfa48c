package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// layoutRows is how many rows are looked at to find the widths of a table's columns; the rows after them follow suit, so that memory does not
// grow with the table.
const layoutRows = 256

// form is how data is written.
type form int

const (
	formTabs form = iota
	formTable
	formJSON
	formLines // JSON, an object per line
)

// column is one column of a table.
type column struct {
	name   string
	right  bool // numbers
	least  int  // to how many columns of a narrow terminal it may be shortened; 0 = it stays whole
	hidden bool // not on a terminal
}

// list writes rows one after another, in the form asked for. After the last one comes end.
type list struct {
	out     *bufio.Writer
	form    form
	columns []column   // those shown in a table
	hidden  []bool     // for each cell of a row: not in a table
	width   int        // of the terminal
	bold    bool       // the heading is
	waiting [][]string // rows before the layout is known
	widths  []int      // nil until then
	count   int
}

func (c *call) list(columns ...column) *list {
	l := &list{out: c.out, form: c.form(), width: c.world.width, bold: c.world.coloured}
	for _, col := range columns {
		l.hidden = append(l.hidden, col.hidden)
		if !col.hidden {
			l.columns = append(l.columns, col)
		}
	}
	return l
}

// add writes one row: its cells in the order of the columns, and what it is in JSON.
func (l *list) add(row []string, object any) error {
	l.count++
	switch l.form {
	case formJSON:
		before := ",\n"
		if l.count == 1 {
			before = "[\n"
		}
		if _, err := l.out.WriteString(before); err != nil {
			return err
		}
		return writeJSON(l.out, object)
	case formLines:
		if err := writeJSON(l.out, object); err != nil {
			return err
		}
		return l.out.WriteByte('\n')
	case formTabs:
		for i := range row {
			row[i] = safeLine(row[i])
		}
		_, err := l.out.WriteString(strings.Join(row, "\t") + "\n")
		return err
	}
	shown := row[:0]
	for i := range row {
		if !l.hidden[i] {
			shown = append(shown, safeLine(row[i]))
		}
	}
	row = shown
	if l.widths != nil {
		return l.row(row)
	}
	if l.waiting = append(l.waiting, row); len(l.waiting) < layoutRows {
		return nil
	}
	return l.layout()
}

// end writes what is still to be written.
func (l *list) end() error {
	switch {
	case l.form == formJSON && l.count == 0:
		_, err := l.out.WriteString("[]\n")
		return err
	case l.form == formJSON:
		_, err := l.out.WriteString("\n]\n")
		return err
	case l.form == formTable && l.widths == nil && l.count > 0:
		return l.layout()
	}
	return nil
}

// layout finds the widths of the columns and writes the heading and the rows that waited.
func (l *list) layout() error {
	heading := make([]string, len(l.columns))
	for i, c := range l.columns {
		heading[i] = strings.ToUpper(c.name)
	}
	l.widths = make([]int, len(l.columns))
	for _, row := range append(l.waiting, heading) {
		for i, cell := range row {
			l.widths[i] = max(l.widths[i], cells(cell))
		}
	}
	l.shrink()
	top := l.line(heading)
	if l.bold {
		top = boldOn + top + plain
	}
	if _, err := l.out.WriteString(top + "\n"); err != nil {
		return err
	}
	for _, row := range l.waiting {
		if err := l.row(row); err != nil {
			return err
		}
	}
	l.waiting = nil
	return nil
}

// shrink takes from the widest of the columns that give way until the table fits.
func (l *list) shrink() {
	if l.width == 0 {
		return // a table in a file has room
	}
	total := 2 * (len(l.widths) - 1)
	for _, w := range l.widths {
		total += w
	}
	for ; total > l.width; total-- {
		widest := -1
		for i, c := range l.columns {
			if c.least > 0 && l.widths[i] > c.least && (widest < 0 || l.widths[i] > l.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		l.widths[widest]--
	}
}

func (l *list) row(row []string) error {
	_, err := l.out.WriteString(l.line(row) + "\n")
	return err
}

// line is a row with its columns side by side.
func (l *list) line(row []string) string {
	var b strings.Builder
	for i, cell := range row {
		if l.columns[i].least > 0 {
			cell = cut(cell, l.widths[i])
		}
		pad := strings.Repeat(" ", max(0, l.widths[i]-cells(cell)))
		if i > 0 {
			b.WriteString("  ")
		}
		if l.columns[i].right {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// member is one name of a JSON object, and its value.
type member struct {
	name  string
	value any
}

// ordered is a JSON object whose names keep their order.
type ordered []member

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// formatFlag is --format, where there is more to choose from than --json.
func formatFlag(forms string) cli.Flag {
	return &cli.StringFlag{Name: "format", Usage: "write `FORM`: " + forms}
}

// format is what --format asks for, one of those that are lists of lines or among more.
func (c *call) format(more ...string) (string, error) {
	f := c.String("format")
	known := append([]string{"table", "tsv", "json", "jsonl"}, more...)
	if f != "" && !slices.Contains(known, f) {
		return "", usagef("--format %q is none: write one of %s", f, strings.Join(known, ", "))
	}
	if f != "" && f != "json" && c.Bool("json") {
		return "", usagef("--json and --format %s do not go together: leave one out", f)
	}
	return f, nil
}

// fact is one line about a single thing.
type fact struct{ name, value string }

// facts writes what is known about one thing: lines of name and value, or the object as JSON.
func (c *call) facts(list []fact, object any) error {
	if c.form() == formJSON {
		return c.object(object)
	}
	wide := 0
	for _, f := range list {
		wide = max(wide, cells(f.name))
	}
	for _, f := range list {
		line := f.name + "\t" + safeLine(f.value)
		if c.form() == formTable {
			line = c.factLine(f, wide)
		}
		if _, err := c.out.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	return nil
}

// factLine is one fact on a terminal, red where something is wrong. Only prose is wrapped: from the rest people copy.
func (c *call) factLine(f fact, wide int) string {
	value := safeLine(f.value)
	if f.name == factMeaning {
		value = wrapped(value, c.world.width, wide+2)
	}
	line := f.name + strings.Repeat(" ", wide-cells(f.name)) + "  " + value
	if c.world.coloured && (f.name == factProblem && f.value != factNone || f.name == stateFault) {
		line = redOn + line + plain
	}
	return line
}

// The names of facts that are shown in a way of their own.
const (
	factProblem = "problem"
	factNone    = "none"
	factMend    = "mend"
	factMeaning = "meaning"
)

// object writes one JSON object, and nothing unless --json is given.
func (c *call) object(object any) error {
	if c.form() != formJSON {
		return nil
	}
	if err := writeJSON(c.out, object); err != nil {
		return err
	}
	return c.out.WriteByte('\n')
}

// writeJSON writes v on one line. What could do harm on a terminal is escaped beyond what JSON asks for; it can stand in
// strings only.
func writeJSON(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if strings.ContainsFunc(text, isHarmful) {
		b.Reset()
		for _, r := range text {
			if isHarmful(r) {
				fmt.Fprintf(&b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
		text = b.String()
	}
	_, err := io.WriteString(w, text)
	return err
}

// validText gives s without octets that are no UTF-8, which JSON cannot hold.
func validText(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

// moment is a time for people on a terminal (their own zone, to the minute), and for programs elsewhere (RFC 3339, UTC).
func (c *call) moment(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case c.form() == formTable:
		return t.In(c.world.zone).Format("2006-01-02 15:04")
	}
	return t.UTC().Format(time.RFC3339)
}

// shortMoment is moment for tables that need the room: without the year if it is this one, else without the time of day.
func (c *call) shortMoment(t time.Time) string {
	if c.form() != formTable {
		return c.moment(t)
	}
	t = t.In(c.world.zone)
	if t.Year() == c.world.now().In(c.world.zone).Year() {
		return t.Format("01-02 15:04")
	}
	return t.Format(time.DateOnly)
}

// size is a number of octets: short for people on a terminal, exact elsewhere.
func (c *call) size(octets int64) string {
	if c.form() != formTable {
		return fmt.Sprint(octets)
	}
	return shortSize(octets)
}

// shortSize is a number of octets as people read it, in steps of 1024.
func shortSize(octets int64) string {
	if octets < 1024 {
		return fmt.Sprintf("%d B", octets)
	}
	f, unit := float64(octets), ' '
	for _, u := range "KMGTPE" {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %ciB", f, unit)
	}
	return fmt.Sprintf("%.0f %ciB", f, unit)
}
