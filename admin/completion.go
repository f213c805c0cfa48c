package admin

import (
	"context"
	"embed"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completionScripts are those of the shells.
//
//go:embed completion
var completionScripts embed.FS

const completionHelp = `The script goes to where the shell looks for it, or is sourced: see the examples. It completes commands, flags, accounts, domains,
aliases, folders and keys of the configuration. Accounts and folders are only there for who may read the data directory: root and maild's
user. Nothing is ever changed. The script is no data, so --json makes no difference.`

func (c *call) completionCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "completion", Usage: "write what lets a shell complete command lines", ArgsUsage: "bash|zsh|fish", Description: completionHelp,
		UsageText: "source <(mailctl completion bash)\nmailctl completion zsh > ~/.zfunc/_mailctl\nmailctl completion fish > ~/.config/fish/completions/mailctl.fish"},
		1, 1, writeCompletion)
}

func writeCompletion(_ context.Context, c *call) error {
	shell := c.Args().First()
	if !slices.Contains([]string{"bash", "zsh", "fish"}, shell) {
		return usagef("there is no completion for %q: write bash, zsh or fish", shell)
	}
	script, err := completionScripts.ReadFile("completion/mailctl." + shell)
	if err != nil {
		return err
	}
	_, err = c.out.Write(script)
	return err
}

// completeCommand is what the scripts call. It says nothing about errors, since nobody could read that.
func (c *call) completeCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "__complete", Hidden: true, Usage: "for the completion of shells",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "words", Usage: "the arguments are words, and candidates come with what they mean"},
			&cli.StringFlag{Name: "breaks", Usage: "the argument is a line, and the shell begins a new word after each of `CHARACTERS`"}}},
		0, -1, completeLine)
}

// What a shell shall offer beside the candidates.
const (
	offerWords = "words"
	offerFiles = "files"
	offerDirs  = "dirs"
)

// candidate is one way to go on, and what it means.
type candidate struct{ word, meaning string }

func completeLine(ctx context.Context, c *call) error {
	words, quote := c.Args().Slice(), rune(0)
	if !c.Bool("words") {
		words, quote = splitLine(c.Args().First())
		words = words[min(1, len(words)):]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	x := &completer{call: c, values: map[string]string{}}
	x.line.app = c.app(ctx)
	offer, list := x.complete(ctx, words)
	if _, err := c.out.WriteString(offer + "\n"); err != nil {
		return err
	}
	current := words[len(words)-1]
	for _, cand := range list {
		if !strings.HasPrefix(cand.word, current) || strings.ContainsFunc(cand.word, isHarmful) {
			continue
		}
		line := cand.word
		if c.Bool("words") {
			if cand.meaning != "" {
				line += "\t" + safeLine(cand.meaning)
			}
		} else {
			line = c.afterBreak(line, current, quote)
		}
		if _, err := c.out.WriteString(line + "\n"); err != nil {
			return err
		}
	}
	return nil
}

// afterBreak is the part of a candidate that bash replaces its own last word with.
func (c *call) afterBreak(word, current string, quote rune) string {
	if quote != 0 {
		return word // what stands in quotes is one word
	}
	if i := strings.LastIndexAny(current, c.String("breaks")); i >= 0 {
		word = word[i+1:]
	}
	return escapeWord(word)
}

// escapeWord puts a backslash before what bash would not take as it is.
func escapeWord(s string) string {
	var b strings.Builder
	for i, r := range s {
		if strings.ContainsRune(" \t\"'\\$`&|;<>()*?[]{}!#", r) || r == '~' && i == 0 {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// splitLine splits the beginning of a command line into words as a shell does, without expanding anything. The last word is the one the cursor is in; it is
// empty after a space. quote is the quotation mark that is still open there.
func splitLine(line string) (words []string, quote rune) {
	var word strings.Builder
	inside, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inside, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inside = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			inside = true
			word.WriteRune(r)
		}
	}
	return append(words, word.String()), quote
}

// completer reads an unfinished command line.
type completer struct {
	*call
	line    arranger
	values  map[string]string // of flags, by name
	args    []string
	current string // the word to be completed
}

// complete gives what can stand in the place of the last word.
func (x *completer) complete(ctx context.Context, words []string) (offer string, list []candidate) {
	current := words[len(words)-1]
	x.current = current
	var waiting cli.Flag // for its value
	noFlags := false
	for _, word := range words[:len(words)-1] {
		switch {
		case waiting != nil:
			x.values[waiting.Names()[0]] = word
			waiting = nil
		case word == "--" && !noFlags:
			noFlags = true
		case !noFlags && len(word) > 1 && word[0] == '-':
			waiting = x.takeFlag(word)
		case len(x.line.below()) > 0 && !noFlags:
			if !x.descend(word) {
				return offerWords, nil
			}
		default:
			x.args = append(x.args, word)
		}
	}
	switch name, _, hasValue := strings.Cut(current, "="); {
	case waiting != nil:
		return x.valuesOf(ctx, flagPlaceholder(waiting), flagUsage(waiting))
	case !noFlags && strings.HasPrefix(current, "--") && hasValue:
		return x.valuesAfter(ctx, name)
	case !noFlags && strings.HasPrefix(current, "-"):
		return offerWords, x.flagCandidates()
	case len(x.line.below()) > 0:
		return offerWords, x.commandCandidates()
	}
	return x.valuesOf(ctx, x.argumentPlaceholder(), "")
}

// descend goes down to the command that a word names.
func (x *completer) descend(word string) bool {
	if word == "help" {
		return true
	}
	for _, cmd := range x.line.below() {
		if cmd.HasName(word) && !cmd.Hidden {
			x.line.path = append(x.line.path, cmd)
			return true
		}
	}
	return false
}

// takeFlag notes a flag, and gives it back where its value is the next word.
func (x *completer) takeFlag(word string) (waiting cli.Flag) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
	f := x.flagNamed(name)
	switch {
	case f == nil:
		return nil
	case takesValue(f) && !hasValue:
		return f
	}
	x.values[f.Names()[0]] = value
	return nil
}

func (x *completer) flagNamed(name string) cli.Flag {
	if _, f := x.line.find(name); f != nil {
		return f
	}
	return findBelow(x.line.below(), name)
}

// valuesAfter completes --flag=VALUE.
func (x *completer) valuesAfter(ctx context.Context, flag string) (offer string, list []candidate) {
	f := x.flagNamed(strings.TrimLeft(flag, "-"))
	if f == nil || !takesValue(f) {
		return offerWords, nil
	}
	offer, list = x.valuesOf(ctx, flagPlaceholder(f), flagUsage(f))
	for i := range list {
		list[i].word = flag + "=" + list[i].word
	}
	return offer, list
}

func (x *completer) flagCandidates() []candidate {
	list := []candidate{{"--help", "explain the command"}}
	for level := len(x.line.path); level >= 0; level-- {
		for _, f := range x.line.flagsAt(level) {
			list = append(list, candidate{"--" + f.Names()[0], strings.ReplaceAll(flagUsage(f), "`", "")})
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return strings.Compare(a.word, b.word) })
	return list
}

func (x *completer) commandCandidates() []candidate {
	var list []candidate
	for _, cmd := range x.line.below() {
		if !cmd.Hidden {
			list = append(list, candidate{cmd.Name, cmd.Usage})
		}
	}
	if len(x.line.path) == 0 {
		list = append(list, candidate{"help", "explain a command"})
	}
	return list
}

func flagUsage(f cli.Flag) string {
	if d, ok := f.(cli.DocGenerationFlag); ok {
		return d.GetUsage()
	}
	return ""
}

// flagPlaceholder is the word in a flag's usage that stands for its value.
func flagPlaceholder(f cli.Flag) string {
	_, rest, _ := strings.Cut(flagUsage(f), "`")
	word, _, _ := strings.Cut(rest, "`")
	return word
}

// argumentPlaceholder is what the next argument is called in the command's usage; the last one may be repeated.
func (x *completer) argumentPlaceholder() string {
	cmd := (commandLine{path: x.line.path}).command()
	if cmd == nil {
		return ""
	}
	words := strings.Fields(cmd.ArgsUsage)
	n := len(x.args)
	switch {
	case n < len(words):
		return words[n]
	case len(words) > 0 && strings.Contains(words[len(words)-1], "…"):
		return words[len(words)-1]
	}
	return ""
}
