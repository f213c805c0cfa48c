package admin

import "strings"

const (
	boldOn = "\x1b[1m"
	redOn  = "\x1b[31m"
	plain  = "\x1b[0m"
)

// leastWrap is the narrowest column that text is wrapped in; in less, it is left to the terminal.
const leastWrap = 20

// wrapped breaks a text that begins in column indent, so that it ends before column width and goes on below its beginning. With width 0 it stays
// as it is. Words are never broken.
func wrapped(text string, width, indent int) string {
	room := width - indent
	if width == 0 || room < leastWrap || cells(text) <= room {
		return text
	}
	var b strings.Builder
	at := 0
	for word := range strings.FieldsSeq(text) {
		n := cells(word)
		switch {
		case at > 0 && at+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = 0
		case at > 0:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// filled lays out paragraphs for a terminal of so many columns. Lines that begin with spaces are kept as they are, with what does not fit below.
func filled(text string, width int) string {
	if width == 0 {
		return text
	}
	var out, paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			out = append(out, wrapped(strings.Join(paragraph, " "), width, 0))
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			flush()
			out = append(out, "")
		case line[0] == ' ':
			flush()
			if cells(line) > width {
				line = "  " + wrapped(strings.TrimSpace(line), width, 6)
			}
			out = append(out, line)
		default:
			paragraph = append(paragraph, line)
		}
	}
	flush()
	return strings.Join(out, "\n")
}
