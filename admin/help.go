package admin

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// help writes the help of the last command in path, or of the whole. A command's examples stand in its UsageText, one a line.
func (c *call) help(w io.Writer, app *cli.App, path []*cli.Command) error {
	var b strings.Builder
	if len(path) == 0 {
		helpApp(&b, app)
	} else {
		helpCommand(&b, app, path)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func helpApp(b *strings.Builder, app *cli.App) {
	fmt.Fprintf(b, "mailctl - %s\n\nUsage: mailctl [flags] COMMAND …\n\nCommands:\n", app.Usage)
	var rows [][2]string
	for _, cmd := range visible(app.Commands) {
		if len(cmd.Subcommands) == 0 {
			rows = append(rows, [2]string{cmd.Name, cmd.Usage})
		}
		for _, sub := range visible(cmd.Subcommands) {
			rows = append(rows, [2]string{cmd.Name + " " + sub.Name, sub.Usage})
		}
	}
	helpRows(b, rows)
	b.WriteString("\nFlags, which may stand anywhere:\n")
	helpFlags(b, append(app.Flags[:len(app.Flags):len(app.Flags)], &cli.BoolFlag{Name: "help", Usage: "explain a command: mailctl user add --help"}))
	b.WriteString("\nExit codes:\n")
	rows = rows[:0]
	for _, e := range exitTable() {
		rows = append(rows, [2]string{fmt.Sprint(e.code), e.text})
	}
	helpRows(b, rows)
	b.WriteString("\nExamples:\n" +
		"  sudo mailctl user add anna@example.org\n" +
		"  sudo mailctl search headers --from bill --since 7d\n" +
		"  mailctl --root /backup/maild user list --json\n")
}

// visible are the commands that people type.
func visible(commands []*cli.Command) []*cli.Command {
	var list []*cli.Command
	for _, cmd := range commands {
		if !cmd.Hidden {
			list = append(list, cmd)
		}
	}
	return list
}

func helpCommand(b *strings.Builder, app *cli.App, path []*cli.Command) {
	cmd, name := path[len(path)-1], app.Name
	for _, p := range path {
		name += " " + p.Name
	}
	fmt.Fprintf(b, "%s - %s\n\n", name, cmd.Usage)
	if len(cmd.Subcommands) > 0 {
		fmt.Fprintf(b, "Usage: %s COMMAND …\n\nCommands:\n", name)
		var rows [][2]string
		for _, sub := range visible(cmd.Subcommands) {
			rows = append(rows, [2]string{sub.Name, sub.Usage})
		}
		helpRows(b, rows)
	} else {
		fmt.Fprintf(b, "Usage: %s\n", formOf(name, cmd))
	}
	if cmd.Description != "" {
		fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(cmd.Description))
	}
	if len(cmd.Flags) > 0 {
		b.WriteString("\nFlags:\n")
		helpFlags(b, cmd.Flags)
	}
	b.WriteString("\nFlags of every command:\n")
	helpFlags(b, app.Flags)
	if cmd.UsageText != "" {
		b.WriteString("\nExamples:\n")
		for line := range strings.Lines(cmd.UsageText) {
			b.WriteString("  " + strings.TrimSpace(line) + "\n")
		}
	}
}

func helpFlags(b *strings.Builder, flags []cli.Flag) {
	var rows [][2]string
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		usage, value := d.GetUsage(), ""
		if before, rest, ok := strings.Cut(usage, "`"); ok {
			word, after, _ := strings.Cut(rest, "`")
			usage, value = before+word+after, " "+word
		}
		var names []string
		for _, n := range f.Names() {
			if len(n) == 1 {
				names = append(names, "-"+n)
			} else {
				names = append(names, "--"+n)
			}
		}
		rows = append(rows, [2]string{strings.Join(names, ", ") + value, usage})
	}
	helpRows(b, rows)
}

// helpRows writes a name and what it means on each line.
func helpRows(b *strings.Builder, rows [][2]string) {
	wide := 0
	for _, r := range rows {
		wide = max(wide, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", wide, r[0], r[1])
	}
}
