package admin

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandLine is a command line that was understood.
type commandLine struct {
	path []*cli.Command // the commands named, outermost first
	args []string       // the whole line in the order urfave/cli needs
	help bool           // help is asked for, about the last of path
}

// command is the innermost command named, nil if none is.
func (l commandLine) command() *cli.Command {
	if len(l.path) == 0 {
		return nil
	}
	return l.path[len(l.path)-1]
}

// arranger reads a command line from left to right.
//
// QUIRK: urfave/cli v2 takes flags only before the first argument, and global ones only before the first command; it hands later ones
// to the command as arguments, or ignores them. So each is moved here to the command that knows it, and what nobody knows is an error.
type arranger struct {
	app       *cli.App
	path      []*cli.Command
	flags     [][]string // those of the app, then of each command in path
	arguments []string
	given     map[string]bool
	early     []earlyFlag // given before the command that knows it
	help      bool
}

// earlyFlag is a flag as it was typed, with its name, and as urfave/cli gets it.
type earlyFlag struct{ typed, name, token string }

func arrange(app *cli.App, args []string) (commandLine, error) {
	a := &arranger{app: app, flags: make([][]string, 1), given: map[string]bool{}}
	for len(args) > 0 {
		arg := args[0]
		var err error
		switch {
		case arg == "--":
			a.arguments = append(a.arguments, args[1:]...)
			args = nil
			continue
		case len(arg) > 1 && arg[0] == '-':
			args, err = a.flag(args)
		default:
			err = a.word(arg)
			args = args[1:]
		}
		if err != nil {
			return commandLine{}, err
		}
	}
	if verb := implied(a.below()); verb != nil && len(a.arguments) > 0 {
		a.path, a.flags = append(a.path, verb), append(a.flags, nil)
	}
	for _, e := range a.early {
		level, f := a.find(e.name)
		if f == nil && !a.help {
			return commandLine{}, a.unknownFlag(e.typed, e.name)
		}
		a.flags[level] = append(a.flags[level], e.token)
	}
	line := commandLine{path: a.path, help: a.help, args: slices.Clone(a.flags[0])}
	for i, cmd := range a.path {
		line.args = append(append(line.args, cmd.Name), a.flags[i+1]...)
	}
	line.args = append(append(line.args, "--"), a.arguments...)
	return line, nil
}

// word takes what is no flag: the name of a command where one can be, else an argument.
func (a *arranger) word(word string) error {
	below := a.below()
	if len(below) == 0 {
		a.arguments = append(a.arguments, word)
		return nil
	}
	if word == "help" {
		a.help = true
		return nil
	}
	var names []string
	for _, cmd := range below {
		if cmd.HasName(word) {
			a.path = append(a.path, cmd)
			a.flags = append(a.flags, nil)
			return nil
		}
		if !cmd.Hidden {
			names = append(names, cmd.Name)
		}
	}
	if verb := implied(below); verb != nil && suggest(word, names) == "" {
		a.path = append(a.path, verb)
		a.flags = append(a.flags, nil)
		return a.word(word)
	}
	if len(a.path) == 0 && suggest(word, names) == "" {
		return usagef("there is no command %q: the commands are %s; \"mailctl help\" explains them", word, strings.Join(names, ", "))
	}
	if len(a.path) == 0 {
		return usagef("there is no command %q: did you mean %q?", word, suggest(word, names))
	}
	name := a.name()
	if s := suggest(word, names); s != "" {
		return usagef("there is no command \"%s %s\": did you mean \"%s %s\"?", name, word, name, s)
	}
	return usagef("there is no command \"%s %s\": after %s comes %s", name, word, name, strings.Join(names, ", "))
}

// impliedCategory marks the command that is meant where its noun is followed by no command: "backup DEST" is "backup create DEST".
const impliedCategory = "implied"

func implied(commands []*cli.Command) *cli.Command {
	for _, cmd := range commands {
		if cmd.Category == impliedCategory {
			return cmd
		}
	}
	return nil
}

// name is the command read so far, as it is typed.
func (a *arranger) name() string {
	name := a.app.Name
	for _, cmd := range a.path {
		name += " " + cmd.Name
	}
	return name
}

// flag takes the flag at the front, with its value, and gives the rest.
func (a *arranger) flag(args []string) ([]string, error) {
	arg, rest := args[0], args[1:]
	name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	if name == "help" || name == "h" {
		a.help = true
		return rest, nil
	}
	if name == "version" && len(a.path) == 0 {
		return rest, a.word("version")
	}
	level, f := a.find(name)
	keep := func(token string) { a.flags[level] = append(a.flags[level], token) }
	if f == nil && a.takesFlagWords() && !strings.HasPrefix(arg, "--") {
		a.arguments = append(a.arguments, arg)
		return rest, nil
	}
	if f == nil {
		if f = findBelow(a.below(), name); f == nil {
			return nil, a.unknownFlag(arg, name)
		}
		keep = func(token string) { a.early = append(a.early, earlyFlag{arg, name, token}) }
	}
	canonical := f.Names()[0]
	token := "--" + canonical
	if !takesValue(f) {
		if hasValue {
			token += "=" + value
		}
		keep(token)
		return rest, nil
	}
	if !hasValue {
		if len(rest) == 0 {
			return nil, usagef("%s needs a value", arg)
		}
		value, rest = rest[0], rest[1:]
		if a.isFlag(value) {
			return nil, usagef("%s needs a value, and %s is a flag: write %s=%s if it is meant", arg, value, arg, value)
		}
	}
	if a.given[canonical] && !isRepeatable(f) {
		return nil, usagef("--%s is given twice", canonical)
	}
	a.given[canonical] = true
	keep(token + "=" + value)
	return rest, nil
}

// takesFlagWords reports whether the command takes -seen and the like as arguments, as its usage says.
func (a *arranger) takesFlagWords() bool {
	cmd := (commandLine{path: a.path}).command()
	return cmd != nil && strings.Contains(cmd.ArgsUsage, flagWords)
}

// below gives the commands that can come next.
func (a *arranger) below() []*cli.Command {
	if n := len(a.path); n > 0 {
		return a.path[n-1].Subcommands
	}
	return a.app.Commands
}

// findBelow looks for a flag of a command that is yet to be named. Flags of one name are alike in all commands in whether they take a value.
func findBelow(commands []*cli.Command, name string) cli.Flag {
	for _, cmd := range commands {
		for _, f := range cmd.Flags {
			if slices.Contains(f.Names(), name) {
				return f
			}
		}
		if f := findBelow(cmd.Subcommands, name); f != nil {
			return f
		}
	}
	return nil
}

// find looks for a flag at the innermost command first.
func (a *arranger) find(name string) (level int, f cli.Flag) {
	for level := len(a.path); level >= 0; level-- {
		for _, f := range a.flagsAt(level) {
			if slices.Contains(f.Names(), name) {
				return level, f
			}
		}
	}
	return 0, nil
}

func (a *arranger) flagsAt(level int) []cli.Flag {
	if level == 0 {
		return a.app.Flags
	}
	return a.path[level-1].Flags
}

// isFlag reports whether a word is exactly one of the flags known here.
func (a *arranger) isFlag(word string) bool {
	name, ok := strings.CutPrefix(word, "--")
	if !ok {
		return false
	}
	_, f := a.find(name)
	return f != nil
}

func (a *arranger) unknownFlag(arg, name string) error {
	var names []string
	for level := range len(a.path) + 1 {
		for _, f := range a.flagsAt(level) {
			names = append(names, f.Names()[0])
		}
	}
	arg, _, _ = strings.Cut(arg, "=")
	if s := suggest(name, names); s != "" {
		return usagef("%s has no flag %s: did you mean --%s?", a.name(), arg, s)
	}
	hint := "see \"" + a.name() + " --help\""
	if cmd := (commandLine{path: a.path}).command(); cmd != nil && len(cmd.Subcommands) == 0 && cmd.ArgsUsage != "" {
		hint += ", or write -- before an argument that begins with a dash"
	}
	return usagef("%s has no flag %s: %s", a.name(), arg, hint)
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

func isRepeatable(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationSliceFlag)
	return ok && d.IsSliceFlag()
}
