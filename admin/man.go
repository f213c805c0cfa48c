package admin

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
)

// manDate is when the manual pages were last looked through.
const manDate = "November 24, 2026"

// manCommand writes the manual pages, which are committed in packaging/man; a test holds them against this.
func (c *call) manCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "man", Hidden: true, Usage: "write a manual page", ArgsUsage: "mailctl|maild|maild.toml"}, 1, 1, writeMan)
}

func writeMan(ctx context.Context, c *call) error {
	page, ok := map[string]func() string{"mailctl": func() string { return manMailctl(c.app(ctx)) }, "maild": manMaild, "maild.toml": manConfig}[c.Args().First()]
	if !ok {
		return usagef("there is no manual page %q: write mailctl, maild or maild.toml", c.Args().First())
	}
	_, err := c.out.WriteString(page())
	return err
}

// manPage is a manual page in mdoc(7), while it is written.
type manPage struct{ strings.Builder }

func newManPage(name, section, what string) *manPage {
	p := &manPage{}
	fmt.Fprintf(p, ".\\\" Written by \"mailctl man %s\"; change the code, not this.\n", name)
	fmt.Fprintf(p, ".Dd %s\n.Dt %s %s\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", manDate, strings.ToUpper(name), section, name, manWord(what))
	return p
}

func (p *manPage) section(name string) { p.WriteString(".Sh " + name + "\n") }

// subsection has its heading in quotes, as a word of it could be a macro, and ends it with nothing at all, as a bracket could be a delimiter.
func (p *manPage) subsection(name string) {
	p.WriteString(".Ss \"" + strings.ReplaceAll(manWord(name), `"`, `\(dq`) + "\\&\"\n")
}

// manWidth is how long the lines of the source may become.
const manWidth = 78

// prose writes a text: lines that begin with spaces are kept as they are, the others are filled.
func (p *manPage) prose(text string) {
	var filled, literal []string
	flush := func() {
		if len(filled) > 0 {
			p.fill(strings.Join(filled, " "))
		}
		if len(literal) > 0 {
			p.literal(literal)
		}
		filled, literal = nil, nil
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			flush()
			p.WriteString(".Pp\n")
		case line[0] == ' ':
			if len(filled) > 0 {
				flush()
			}
			literal = append(literal, strings.TrimPrefix(line, "  "))
		default:
			if len(literal) > 0 {
				flush()
			}
			filled = append(filled, line)
		}
	}
	flush()
}

// fill writes one paragraph, each sentence on a line of its own.
func (p *manPage) fill(text string) {
	end := regexp.MustCompile(`[.!?]["')]* `) // of a sentence: a new line of the source begins there, as mdoc wants it
	for text != "" {
		sentence := text
		if at := end.FindStringIndex(text); at != nil {
			sentence = text[:at[1]]
		}
		text = text[len(sentence):]
		line := ""
		for word := range strings.FieldsSeq(sentence) {
			word = manWord(word)
			if line != "" && len(line)+1+len(word) > manWidth {
				p.WriteString(line + "\n")
				line = ""
			}
			if line == "" {
				line = protected(word)
			} else {
				line += " " + word
			}
		}
		p.WriteString(line + "\n")
	}
}

func (p *manPage) literal(lines []string) {
	p.WriteString(".Bd -literal -offset indent\n")
	for _, line := range lines {
		p.WriteString(protected(manLiteral(line)) + "\n")
	}
	p.WriteString(".Ed\n")
}

// protected keeps a line of text from being taken for a request.
func protected(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// manWord escapes running text: a dash that begins a flag is a minus, others are hyphens.
func manWord(s string) string {
	s = strings.ReplaceAll(s, `\`, `\e`)
	s = regexp.MustCompile(`(^|[\s"(])(-{1,2})([A-Za-z])`).ReplaceAllStringFunc(s, func(m string) string { return strings.ReplaceAll(m, "-", `\-`) })
	return manRunes(s)
}

// manLiteral escapes what must be copied as it stands.
func manLiteral(s string) string {
	return manRunes(strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s))
}

// manRunes writes what is not ASCII by its number.
func manRunes(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// manArgument is one word in a macro's line.
func manArgument(s string) string {
	s = strings.ReplaceAll(manLiteral(s), `"`, `\(dq`)
	if strings.ContainsAny(s, " |") || len(s) <= 3 && s != "" { // short words could be macros, and | is a delimiter
		return `"` + s + `"`
	}
	return s
}

// flags writes a list of flags with their meaning.
func (p *manPage) flags(flags []cli.Flag) {
	p.WriteString(".Bl -tag -width Ds\n")
	for _, f := range flags {
		p.WriteString(".It ")
		for i, name := range f.Names() {
			if i > 0 {
				p.WriteString(" , ")
			}
			if len(name) > 1 {
				p.WriteString("Fl Fl " + manArgument(name))
			} else {
				p.WriteString("Fl " + manArgument(name))
			}
		}
		if takesValue(f) {
			p.WriteString(" Ar " + manArgument(flagPlaceholder(f)))
		}
		p.WriteString("\n")
		p.fill(sentence(strings.ReplaceAll(flagUsage(f), "`", "")))
	}
	p.WriteString(".El\n")
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	first, rest := s[:1], s[1:]
	if word, _, _ := strings.Cut(s, " "); word == strings.ToLower(word) && !strings.ContainsAny(word, `=@"`) {
		first = strings.ToUpper(first)
	}
	return strings.TrimSuffix(first+rest, ".") + "."
}

// manMailctl is mailctl(1), made from the commands.
func manMailctl(app *cli.App) string {
	p := newManPage("mailctl", "1", app.Usage)
	p.section("SYNOPSIS")
	p.WriteString(".Nm\n.Op Ar flags\n.Ar command\n.Op Ar argument ...\n.Nm\n.Cm help\n.Op Ar command\n")
	p.section("DESCRIPTION")
	p.prose(manIntroduction)
	p.WriteString(".Pp\nThese flags may stand anywhere:\n")
	p.flags(append(app.Flags[:len(app.Flags):len(app.Flags)], &cli.BoolFlag{Name: "help", Usage: "explain the command"}))
	p.section("COMMANDS")
	for _, path := range commandPaths(app) {
		p.command(path)
	}
	p.shapes(app)
	p.section("ENVIRONMENT")
	p.WriteString(".Bl -tag -width Ds\n.It Ev NO_COLOR\nWhere it is set and not empty, nothing is coloured.\n.It Ev TERM\nWith the value dumb, nothing is coloured.\n.El\n")
	p.files()
	p.section("EXIT STATUS")
	p.WriteString(".Bl -tag -width Ds\n")
	for _, e := range exitTable() {
		fmt.Fprintf(p, ".It %d\n", e.code)
		p.fill(sentence(e.text))
	}
	p.WriteString(".El\n")
	p.section("SIGNALS")
	p.prose(manSignals)
	p.section("SEE ALSO")
	p.WriteString(".Xr maild.toml 5 ,\n.Xr maild 8\n")
	return p.String()
}

const manIntroduction = `A box that runs maild is administered with mailctl: its domains, accounts and aliases, its mail, and the index of all mail. It opens
the files of maild itself, so it works with the daemon up, down, or on a copy of the data directory. Run by root, it becomes the owner
of the data directory first.

Data is written to standard output: as a table on a terminal, as lines with tabs between the fields and without a heading when piped, and as
JSON with --json. Everything else is written to standard error.`

const manSignals = `SIGINT and SIGTERM end a command at the next point where nothing is half done; the same command, run again, goes on from there.
Where the reader of a pipe has seen enough, the command ends with 0.`

// commandPaths gives every command that does something, as the way down to it.
func commandPaths(app *cli.App) [][]*cli.Command {
	var list [][]*cli.Command
	var walk func(path, below []*cli.Command)
	walk = func(path, below []*cli.Command) {
		for _, cmd := range visible(below) {
			way := append(path[:len(path):len(path)], cmd)
			if len(cmd.Subcommands) > 0 {
				walk(way, cmd.Subcommands)
				continue
			}
			list = append(list, way)
		}
	}
	walk(nil, app.Commands)
	return list
}

// pathName is the name of a command without mailctl, as in "user add".
func pathName(path []*cli.Command) string {
	var names []string
	for _, cmd := range path {
		names = append(names, cmd.Name)
	}
	return strings.Join(names, " ")
}

func (p *manPage) command(path []*cli.Command) {
	cmd := path[len(path)-1]
	p.subsection(formOf(pathName(path), cmd))
	p.fill(sentence(cmd.Usage))
	if cmd.Description != "" {
		p.WriteString(".Pp\n")
		p.prose(cmd.Description)
	}
	if len(cmd.Flags) > 0 {
		p.flags(cmd.Flags)
	}
	if cmd.UsageText != "" {
		p.WriteString(".Pp\nExamples:\n")
		p.literal(strings.Split(strings.TrimSpace(cmd.UsageText), "\n"))
	}
}

// shapes writes what each command gives with --json.
func (p *manPage) shapes(app *cli.App) {
	shapes := jsonShapes()
	p.section("JSON")
	p.prose(manShapes)
	for _, path := range commandPaths(app) {
		if shape := shapes[pathName(path)]; shape != "" {
			p.subsection(pathName(path))
			p.WriteString(".Bd -literal -offset indent -compact\n")
			for line := range strings.SplitSeq(shape, "\n") {
				p.WriteString(protected(manLiteral(line)) + "\n")
			}
			p.WriteString(".Ed\n")
		}
	}
}

const manShapes = `With --json, commands write one value each, and nothing where a command fails. In what follows, text, number, true/false, time (as in RFC 3339) and null
stand for values; a name with a question mark is left out where there is nothing to say, and [ X ] is a list of X, possibly empty. More names may
come with later versions.`

func (p *manPage) files() {
	p.section("FILES")
	p.WriteString(".Bl -tag -width Ds\n")
	for _, f := range [][2]string{
		{"/etc/maild.toml", "The configuration: see maild.toml(5). It may be missing."},
		{"/var/lib/maild/accounts.db", "Domains, accounts, aliases and password hashes. Back this up."},
		{"/var/lib/maild/index.db", "The index of all mail. It may be removed at any moment, and is made again."},
		{"/var/lib/maild/mail/DOMAIN/USER/", "The mail of an account, a Maildir++ tree. Back this up."},
		{"/var/lib/maild/tls/", "A self-signed certificate, while the configuration names none."},
		{"/var/lib/maild/maild.lock", "Held by the running daemon."},
	} {
		p.WriteString(".It Pa " + manArgument(f[0]) + "\n")
		p.fill(f[1])
	}
	p.WriteString(".El\n")
}
