package header

import "testing"

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, raw, want string }{
		{"plain", "  Hello  world ", "Hello  world"},
		{"q", "=?utf-8?Q?J=C3=B6rg_M=c3=bcller?=", "Jörg Müller"},
		{"b", "=?UTF-8?b?R3LDvMOfZQ==?=", "Grüße"},
		{"language", "=?utf-8*de?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"},
		{"adjacent words lose the space", "=?utf-8?Q?a?=  =?utf-8?Q?b?= c", "ab c"},
		{"adjacent in different sets", "=?utf-8?Q?=C3=A4?= =?iso-8859-1?Q?=F6?=", "äö"},
		{"character split over words", "=?utf-8?Q?=E6=97?= =?utf-8?Q?=A5?=", "日"},
		{"character split over b and q", "=?utf-8?B?5pc=?= =?UTF-8?Q?=A5?=", "日"},
		{"double-octet set split", "=?gb2312?B?1g==?= =?gb2312?B?0M7E?=", "中文"},
		{"inside a word", "H=?iso-8859-1?Q?=F6?=hn", "Höhn"},
		{"inside quotes", `"=?utf-8?Q?=C3=A4?="`, `"ä"`},
		{"spaces inside", "=?utf-8?Q?a b?=", "a b"},
		{"question mark inside", "=?utf-8?Q?what?!?=", "what?!"},
		{"equals sign at the end", "=?utf-8?Q?a=?=", "a="},
		{"no padding", "=?utf-8?B?R3LDvMOfZQ?=", "Grüße"},
		{"padding in the middle", "=?utf-8?B?YQ==Yg==?=", "ab"},
		{"not base64 at all", "=?utf-8?B?!!!not!!!?=", "!!!not!!!"},
		{"never closed", "=?utf-8?Q?abc", "=?utf-8?Q?abc"},
		{"cut off, then another", "=?utf-8?Q?ab =?utf-8?Q?cd?=", "=?utf-8?Q?ab cd"},
		{"no such encoding", "=?utf-8?X?abc?=", "=?utf-8?X?abc?="},
		{"unknown set", "=?x-nonsense?Q?caf=C3=A9?=", "café"},
		{"unknown set, not UTF-8", "=?x-nonsense?Q?caf=E9?=", "café"},
		{"latin1 is windows-1252", "=?iso-8859-1?Q?=93x=94?=", "“x”"},
		{"ascii is not", "=?us-ascii?Q?=93x=94?=", "“x”"},
		{"UTF-8 label belied", "=?utf-8?Q?caf=E9?=", "café"},
		{"UTF-8 cut short", "=?utf-8?Q?caf=C3=A9_=C3?=", "café \uFFFD"},
		{"utf-7", "=?utf-7?Q?Fr+APY-sche +- x?=", "Frösche + x"},
		{"iso-2022-jp", "=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "日本語"},
		{"raw iso-2022-jp", "\x1b$BF|K\\8l\x1b(B", "日本語"},
		{"shift_jis", "=?shift_jis?B?k/qWe4zq?=", "日本語"},
		{"koi8-r", "=?koi8-r?Q?=F0=D2=C9=D7=C5=D4?=", "Привет"},
		{"raw UTF-8", "Grüße", "Grüße"},
		{"raw 8-bit", "caf\xe9", "café"},
		{"raw UTF-8, damaged", "日本語 \xff 日本語", "日本語 \uFFFD 日本語"},
		{"controls", "a\x00b\r\n\tc\x1b[31m\u009b\u2028d", "a b   c [31m  d"},
		{"line end smuggled in a word", "=?utf-8?Q?a=0D=0ABcc:_x?=", "a  Bcc: x"},
	} {
		if got := Decode(c.raw); got != c.want {
			t.Errorf("%s: Decode(%q) = %q, want %q", c.name, c.raw, got, c.want)
		}
	}
}

func TestToUTF8(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ charset, in, want string }{
		{"", "caf\xe9", "café"}, {"us-ascii", "café", "café"}, {"ISO-8859-1", "\x80", "€"}, {"iso-8859-15", "\xa4", "€"}, {"cp1251", "\xcf", "П"},
		{"windows-31j", "\x93\xfa", "日"}, {"cp932", "\x93\xfa", "日"}, {"GBK", "\xd6\xd0", "中"}, {"cp936", "\xd6\xd0", "中"}, {"hz-gb-2312", "~{VP~}", "中"},
		{"utf-16le", "a\x00b\x00", "ab"}, {"iso-2022-kr", "text", "text"}, {"cp437", "\x81", "ü"}, {`"utf-8"`, "ä", "ä"}, {"cp949", "\xb1\xa4", "광"}, {"ms950", "\xa4\xa4", "中"},
	} {
		if got := ToUTF8(c.charset, []byte(c.in)); got != c.want {
			t.Errorf("ToUTF8(%q, %q) = %q, want %q", c.charset, c.in, got, c.want)
		}
	}
}

// TestDeclaredCharset: raw octets are read in the set the body has.
func TestDeclaredCharset(t *testing.T) {
	t.Parallel()
	h := Parse([]byte("Subject: \xf0\xd2\xc9\xd7\xc5\xd4\nFrom: \xf0\xd2\xc9\xd7\xc5\xd4 <a@example.org>\nContent-Type: text/plain; format=flowed;\n charset = \"KOI8-R\"\n"))
	if h.Subject != "Привет" || h.From != "Привет <a@example.org>" {
		t.Errorf("Subject %q, From %q", h.Subject, h.From)
	}
}
