package header

import "strings"

// MessageIDs reads Message-ID, References and In-Reply-To (RFC 5322 §3.6.4): the ids in order, without angle brackets.
// Where there are no brackets at all, words with an "@" count, or else a single word. Other text (old
// In-Reply-To fields are prose) is left out.
func MessageIDs(raw string) []string {
	return decoder{}.messageIDs(raw)
}

func (d decoder) messageIDs(raw string) []string {
	text := d.decode(raw)
	var ids []string
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			break
		}
		id, tail, ok := strings.Cut(after, ">")
		if !ok {
			id, tail, _ = strings.Cut(after, " ")
		}
		// QUIRK: some programs fold a long id, so white space inside does not count.
		if id = strings.Join(strings.Fields(strings.TrimLeft(id, "<")), ""); id != "" {
			ids = append(ids, id)
		}
		rest = tail
	}
	if ids != nil || strings.Contains(text, "<") {
		return ids
	}
	words := strings.Fields(text)
	if len(words) == 1 {
		return words
	}
	for _, w := range words {
		if i := strings.IndexByte(w, '@'); i > 0 && i < len(w)-1 {
			ids = append(ids, strings.Trim(w, ",;"))
		}
	}
	return ids
}
