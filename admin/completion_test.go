package admin

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCompletionInShells lets each shell that is installed read its script and complete lines.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	bin := build(t)
	root := t.TempDir()
	must(t, "--root", root, "user", "add", "anna@example.org", "--no-password")
	fill(t, root, "anna@example.org", 1)
	if err := os.MkdirAll(filepath.Join(root, "mail", "example.org", "anna", ".Sent Items", "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := filesOf(t, root)
	lines := map[string][]string{
		"mailctl use":                                           {"user"},
		"mailctl user sus":                                      {"suspend"},
		"mailctl search headers --form":                         {"--format"},
		"mailctl search headers --sort s":                       {"sent", "smallest", "subject"},
		"mailctl config explain limits.mess":                    {"limits.message_size"},
		"mailctl --root " + root + " user show an":              {"anna@example.org"},
		"mailctl --root " + root + " index rebuild ":            {"anna@example.org"},
		"mailctl --root " + root + " search headers --folder I": {"INBOX"},
		"mailctl frobnicate ":                                   {},
	}
	for _, shell := range []struct{ name, code string }{
		{"bash", `source <(mailctl completion bash)
			COMP_WORDBREAKS=$' \t\n"\'><=;|&(:@'
			while read -r LINE; do
				LINE=${LINE%.} COMP_LINE=$LINE COMP_POINT=${#LINE}
				_mailctl mailctl
				echo "= $LINE"
				printf '%s\n' "${COMPREPLY[@]}"
			done`},
		{"zsh", `autoload -Uz compinit; compinit -u -D
			source <(mailctl completion zsh)
			[[ $_comps[mailctl] == _mailctl ]] || exit 1
			compadd() { local -a all; all=("$@"); shift $all[(i)--]; print -rl -- "$@" }
			while read -r LINE; do
				LINE=${LINE%.}
				words=("${(z)LINE}"); [[ $LINE == *' ' ]] && words+=('')
				CURRENT=$#words
				print -r -- "= $LINE"
				_mailctl
			done`},
		{"fish", `source (mailctl completion fish | psub)
			while read LINE
				set LINE (string replace -r '\.$' '' -- $LINE)
				echo "= $LINE"
				complete -C "$LINE" | cut -f1
			end`},
	} {
		t.Run(shell.name, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell.name)
			if err != nil {
				t.Skip(shell.name + " is not installed")
			}
			cmd := exec.Command(path, "-c", shell.code)
			home := t.TempDir()
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"), "HOME="+home, "ZDOTDIR="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
			// A full stop keeps the space at the end of a line.
			cmd.Stdin = strings.NewReader(strings.Join(slices.Sorted(maps.Keys(lines)), ".\n") + ".\n")
			out, err := cmd.Output()
			if err != nil {
				t.Logf("%s: %v", shell.name, err) // what it wrote counts
			}
			got := map[string][]string{}
			for block := range strings.SplitSeq(string(out), "= ") {
				line, words, _ := strings.Cut(block, "\n")
				got[line] = strings.Fields(words)
				slices.Sort(got[line])
			}
			for line, want := range lines {
				if list, ok := got[line]; !ok || !slices.Equal(list, want) {
					t.Errorf("%q: got %q, want %q", line, list, want)
				}
			}
		})
	}
	t.Cleanup(func() {
		if after := filesOf(t, root); after != before {
			t.Errorf("completing has changed files:\n%s\nbefore:\n%s", after, before)
		}
	})
}

// snapshot is every file below root with its size and time. What SQLite keeps beside a database while it is open is left out.
func filesOf(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(path + " " + info.ModTime().Format(time.RFC3339Nano) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSplitLine(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"": "", "mailctl": "mailctl", "mailctl ": "mailctl|", "a  'b c' \"d e": "a|b c|d e", `a\ b c\`: "a b|c", "a '' b": "a||b", `a "\"x`: `a|"x`, "a 'b\\": `a|b\`,
	} {
		words, _ := splitLine(line)
		if got := strings.Join(words, "|"); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestChoices(t *testing.T) {
	t.Parallel()
	for usage, want := range map[string]string{
		"write `FORM`: table, tsv, json or jsonl": "table tsv json jsonl", "`ORDER`: newest, oldest": "newest oldest", "only those of `DOMAIN`": "",
		"in `FOLDER`: INBOX, Sent, Archive.2026": "", "`X`: a, b, or c; more": "a b c", "any other field, `NAME=VALUE`: it contains VALUE": "",
	} {
		if got := strings.Join(choices(usage), " "); got != want {
			t.Errorf("%q: %q, want %q", usage, got, want)
		}
	}
}

// FuzzCompletion: whatever is on a line, its last word is completed by words that begin with it, and nothing goes wrong.
func FuzzCompletion(f *testing.F) {
	for _, line := range []string{"mailctl user ", "mailctl search headers --format=j", "mailctl --root x config explain 'li", "mailctl \\", "mailctl -- --", "mailctl help user -"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var out, errs strings.Builder
		w := &world{in: strings.NewReader(""), out: &out, errs: &errs, zone: time.UTC, now: time.Now}
		code := w.run(t.Context(), []string{"mailctl", "__complete", "--breaks= =:", "--", line})
		if code != ExitOK || errs.Len() > 0 {
			t.Fatalf("%q: code %d, %s", line, code, errs.String())
		}
		offer, _, _ := strings.Cut(out.String(), "\n")
		if offer != offerWords && offer != offerFiles && offer != offerDirs {
			t.Fatalf("%q: offers %q", line, offer)
		}
	})
}
