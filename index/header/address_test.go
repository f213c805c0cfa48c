package header

import (
	"slices"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	type list = []Address
	for _, c := range []struct {
		raw  string
		want list
	}{
		{"", nil},
		{"a@b.example", list{{"", "a@b.example"}}},
		{"Ann <a@b>, Bob Q. Public <b@c>", list{{"Ann", "a@b"}, {"Bob Q. Public", "b@c"}}},
		{`"Doe, John" <j@x>; Jane <k@x>`, list{{"Doe, John", "j@x"}, {"Jane", "k@x"}}},
		{`"a \"b\" \\c" <j@x>`, list{{`a "b" \c`, "j@x"}}},
		{"a@b (Ann (the first))", list{{"Ann (the first)", "a@b"}}},
		{"Pete(A \\) chap) <pete(his account)@silly.test(his host)>", list{{"Pete", "pete@silly.test"}}},
		{"=?utf-8?Q?M=C3=BCller=2C_J?= <m@x>", list{{"Müller, J", "m@x"}}},
		{"=?utf-8?Q?Müller, J?= <m@x>", list{{"Müller, J", "m@x"}}},
		{`"=?utf-8?Q?M=C3=BCller?=" <m@x>`, list{{"Müller", "m@x"}}},
		{"<=?utf-8?Q?a=40b.c?=>", list{{"", "a@b.c"}}},
		{"Friends: a@x, B <b@x>; c@x", list{{"", "a@x"}, {"B", "b@x"}, {"", "c@x"}}},
		{"undisclosed-recipients:;", list{{"undisclosed-recipients", ""}}},
		{"Desk: Support <s@x>", list{{"Desk: Support", "s@x"}}},
		{"Ann a@b", list{{"Ann", "a@b"}}},
		{"a@b c@d", list{{"", "a@b"}, {"", "c@d"}}},
		{"Ann <a@b", list{{"Ann", "a@b"}}},
		{"<<a@b>>", list{{"", "a@b"}}},
		{"Ann <a@b> Bob <b@c>", list{{"Ann", "a@b"}, {"Bob", "b@c"}}},
		{"<@relay.example,@other:a@b>", list{{"", "a@b"}}},
		{"jdoe @ machine . example", list{{"", "jdoe@machine.example"}}},
		{"Joe < jdoe @ machine. example >", list{{"Joe", "jdoe@machine.example"}}},
		{`"john doe"@example.org`, list{{"", `"john doe"@example.org`}}},
		{`<"a>b"@example.org>`, list{{"", `"a>b"@example.org`}}},
		{"a@[IPv6:2001:db8::1], b@c", list{{"", "a@[IPv6:2001:db8::1]"}, {"", "b@c"}}},
		{"not an address", list{{"not an address", ""}}},
		{"\"never closed <a@b>", list{{"never closed", "a@b"}}},
		{"(never closed a@b", list{{"(never closed", "a@b"}}},
		{"a@b <c@d>", list{{"a@b", "c@d"}}},
		{`"a@b"@c: <d@e>`, list{{"", `"a@b"@c`}, {"", "d@e"}}},
		{"Nobody :(that I know);", list{{"that I know", ""}, {"Nobody", ""}}},
		{"nobody:; (none was given)", list{{"nobody", ""}, {"none was given", ""}}},
		{"<C:`a(b.txt@c>", list{{"", "C:`a(b.txt@c"}}},
		{"<>", nil},
		{",,;,", nil},
	} {
		if got := Addresses(c.raw); !slices.Equal(got, c.want) {
			t.Errorf("Addresses(%q) = %q, want %q", c.raw, got, c.want)
		}
	}
}

func TestFormatAddresses(t *testing.T) {
	t.Parallel()
	list := []Address{{"Ann", "a@b"}, {"", "c@d"}, {`Doe, "J"`, "j@x"}, {"nobody", ""}, {"Jörg M.", "j@m"}}
	text := FormatAddresses(list)
	if want := `Ann <a@b>, c@d, "Doe, \"J\"" <j@x>, nobody, Jörg M. <j@m>`; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if got := Addresses(text); !slices.Equal(got, list) {
		t.Errorf("read again: %q", got)
	}
}
