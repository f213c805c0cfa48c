package message

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"

	"maild/index/header"
)

// maxParams is how many parameters of one field are read.
const maxParams = 100

// maxPartName is how much of an attachment's name is kept. File systems take 255.
const maxPartName = 512

// part is what the header of a MIME part says (RFC 2045 §5, RFC 2183).
type part struct {
	info      Attachment
	kind      leafKind
	charset   string
	boundary  string
	encoding  string
	attached  bool // its disposition is "attachment"
	contentID bool // it has a Content-ID, by which another part can show it (RFC 2392)
}

func (p part) isMultipart() bool { return strings.HasPrefix(p.info.Type, "multipart/") }

// parsePart reads the header of a part, or of the whole message.
func parsePart(block []byte) part {
	var contentType, disposition, encoding, id string
	for _, f := range contentFields(block) {
		switch {
		case contentType == "" && strings.EqualFold(f.Name, "Content-Type"):
			contentType = f.Value
		case disposition == "" && strings.EqualFold(f.Name, "Content-Disposition"):
			disposition = f.Value
		case encoding == "" && strings.EqualFold(f.Name, "Content-Transfer-Encoding"):
			encoding = f.Value
		case id == "" && strings.EqualFold(f.Name, "Content-ID"):
			id = f.Value
		}
	}
	mediaType, params := parseParams(contentType)
	if !strings.Contains(mediaType, "/") {
		// RFC 2045 §5.2: the default. QUIRK: old mailers write "text" alone.
		mediaType = "text/plain"
	}
	shown, dparams := parseParams(disposition)
	encoding, _ = parseParams(encoding)
	name := partName(dparams["filename"])
	if name == "" {
		name = partName(params["name"])
	}
	p := part{info: Attachment{Name: name, Type: cleanLine(mediaType)}, charset: params["charset"], boundary: params["boundary"], encoding: encoding,
		attached: shown == "attachment", contentID: id != ""}
	if p.attached || name != "" && shown != "inline" {
		return p
	}
	switch mediaType {
	case "text/plain", "text/markdown", "text/enriched":
		p.kind = leafPlain
	case "text/html":
		p.kind = leafHTML
	}
	return p
}

// contentFields gives the fields of a header whose names begin with "Content-", as header.Fields does. The others, by far the most of a
// message's header, cost no more than their line ends.
func contentFields(block []byte) []header.Field {
	const prefix = "content-"
	var room [1 << 10]byte
	kept, keeping := room[:0], false
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n') + 1
		if end == 0 {
			end = len(block)
		}
		line := block[:end]
		block = block[end:]
		switch line[0] {
		case ' ', '\t':
		case 'C', 'c':
			keeping = len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix))
		default:
			if string(line) == "\n" || string(line) == "\r\n" {
				block = nil
			}
			keeping = false
		}
		if keeping {
			kept = append(kept, line...)
		}
	}
	return header.Fields(kept)
}

// decoder undoes the part's transfer encoding (RFC 2045 §6). One that is unknown is taken as none.
func (p part) decoder() transferDecoder {
	switch p.encoding {
	case "base64":
		return &base64Decoder{}
	case "quoted-printable":
		return &quotedDecoder{}
	}
	return identityDecoder{}
}

// partName decodes the name of an attachment. QUIRK: everybody puts encoded words there, which RFC 2047 §5 forbids.
func partName(raw string) string {
	return strings.TrimSpace(cleanLine(header.Decode(raw)))
}

// cleanLine makes foreign text fit to be kept: short, on one line, valid UTF-8.
func cleanLine(s string) string {
	s = strings.Clone(string(trimRune([]byte(s[:min(len(s), maxPartName)]))))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// parseParams splits a field such as Content-Type into its value, in lower case, and its parameters (RFC 2045 §5.1), those in pieces or in
// another character set put together (RFC 2231). Of a parameter given twice the first counts.
func parseParams(field string) (value string, params map[string]string) {
	first, rest := cutParam(field)
	value = strings.ToLower(strings.TrimSpace(first))
	if i := strings.IndexAny(value, " \t("); i >= 0 {
		value = value[:i] // a comment, or what is no token
	}
	params = map[string]string{}
	extended := map[string]*extendedParam{}
	for n := 0; rest != "" && n < maxParams; n++ {
		var p string
		p, rest = cutParam(rest)
		name, val, ok := strings.Cut(p, "=")
		if !ok {
			continue
		}
		name, val = strings.ToLower(strings.TrimSpace(name)), unquoteParam(strings.TrimSpace(val))
		if base, index, star := strings.Cut(name, "*"); star {
			if extended[base] == nil {
				extended[base] = &extendedParam{pieces: map[string]paramPiece{}}
			}
			extended[base].add(index, val)
			continue
		}
		if _, ok := params[name]; !ok {
			params[name] = val
		}
	}
	for name, e := range extended {
		if s := e.join(); s != "" {
			params[name] = s
		}
	}
	return value, params
}

// cutParam cuts at the first semicolon outside quotes.
func cutParam(s string) (param, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func unquoteParam(s string) string {
	if !strings.HasPrefix(s, `"`) {
		if i := strings.IndexAny(s, " \t"); i >= 0 && !strings.Contains(s, "=?") {
			return s[:i]
		}
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// extendedParam is a parameter in the form of RFC 2231: name*=, name*0=, name*0*=.
type extendedParam struct{ pieces map[string]paramPiece }

type paramPiece struct {
	text    string
	encoded bool // with %XX; the first of them begins with charset'language'
}

// add takes what stood after the first star, "" or "0" or "0*", and the value.
func (e *extendedParam) add(index, value string) {
	number, encoded := strings.CutSuffix(index, "*")
	if index == "" {
		number, encoded = "0", true
	}
	if _, ok := e.pieces[number]; !ok {
		e.pieces[number] = paramPiece{value, encoded}
	}
}

// join puts the pieces together, as far as there is no gap.
func (e *extendedParam) join() string {
	var b []byte
	charset := ""
	for n := 0; ; n++ {
		piece, ok := e.pieces[strconv.Itoa(n)]
		if !ok {
			break
		}
		text := piece.text
		if n == 0 && piece.encoded {
			if parts := strings.SplitN(text, "'", 3); len(parts) == 3 {
				charset, text = parts[0], parts[2]
			}
		}
		if piece.encoded {
			b = append(b, percentDecode(text)...)
		} else {
			b = append(b, text...)
		}
	}
	return header.ToUTF8(charset, b)
}

func percentDecode(s string) []byte {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return b
}
