package maildir

import (
	"slices"
	"strings"
	"testing"
)

func TestFolderNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, dir string }{
		{"INBOX", "."},
		{"Sent", ".Sent"},
		{"Archive.2026", ".Archive.2026"},
		{"Entwürfe", ".Entw&APw-rfe"},
		{"R&D", ".R&-D"},
		{"~peter.mail.台北.日本語", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"}, // the example of RFC 3501 §5.1.3, levels by dots
		{"😀", ".&2D3eAA-"},
		{"a\tb", ".a&AAk-b"},
	} {
		dir, err := EncodeFolder(test.name)
		if err != nil || dir != test.dir {
			t.Errorf("EncodeFolder(%q) = %q, %v; want %q", test.name, dir, err, test.dir)
		}
		name, err := DecodeFolder(test.dir)
		if err != nil || name != test.name {
			t.Errorf("DecodeFolder(%q) = %q, %v; want %q", test.dir, name, err, test.name)
		}
	}
}

func TestDecodeFolderOfOthers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ dir, name string }{
		{".Entwürfe", "Entwürfe"},     // raw UTF-8
		{".R&D", "R&D"},               // an & that begins nothing
		{".&AC4-x", "&AC4-x"},         // an encoded dot would make another level
		{".&AC8-x", "&AC8-x"},         // an encoded slash
		{".&AAA-x", "&AAA-x"},         // an encoded NUL
		{".&2D0-", "&2D0-"},           // half a surrogate pair
		{".&APw-&APw-", "&APw-&APw-"}, // two shifts where one does
		{".&APx-", "&APx-"},           // bits left over
		{"Sent", ""}, {"", ""}, {"..", ""}, {"...", ""}, {"..cmeta", ""},
		{".a..b", ""}, {".a.", ""}, {".INBOX", ""}, {".a/b", ""}, {".\xff", ""},
	} {
		name, err := DecodeFolder(test.dir)
		if name != test.name || (err == nil) != (test.name != "") {
			t.Errorf("DecodeFolder(%q) = %q, %v; want %q", test.dir, name, err, test.name)
		}
	}
}

func TestValidFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"INBOX", "Sent", "a b", "Ä.Ö", "&", "INBOX.x"} {
		if err := ValidFolder(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", ".a", "a.", "a..b", "a/b", "../x", "a\x00", "a\nb", "inbox", "\xff", "a\x1b[2J",
		strings.Repeat("a", 255), strings.Repeat("é", 120)} {
		if ValidFolder(name) == nil {
			t.Errorf("%q is taken for a folder", name)
		}
	}
}

func FuzzFolder(f *testing.F) {
	for _, seed := range []string{"INBOX", ".", "..", ".Sent", ".Entw&APw-rfe", ".R&D", ".&-", ".&&-", ".&AC4-", "Ä.&-.😀", "\xff", ".&2D0-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if dir, err := EncodeFolder(s); err == nil { // s as a name
			if back, err := DecodeFolder(dir); err != nil || back != s {
				t.Fatalf("%q is on disk %q, which is %q, %v", s, dir, back, err)
			}
			if dir == ".." || strings.ContainsAny(dir, "/\x00") || dir[0] != '.' {
				t.Fatalf("%q leaves the tree as %q", s, dir)
			}
		} else if ValidFolder(s) == nil {
			t.Fatalf("%q is valid, but: %v", s, err)
		}
		if name, err := DecodeFolder(s); err == nil { // s as a directory
			dirs, err := folderDirs(name)
			if err != nil || !slices.Contains(dirs, s) {
				t.Fatalf("%q is the folder %q, which is looked for in %q, %v", s, name, dirs, err)
			}
		}
	})
}
