package admin

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// maxHelpWidth is the widest that help is laid out on a terminal: longer lines are hard to read.
const maxHelpWidth = 100

// help writes the help of the last command in path, or of the whole, for a terminal of so many columns; 0 is none. A command's examples stand in its UsageText,
// one a line; a group shows the first of each command.
func (c *call) help(w io.Writer, columns int, app *cli.App, path []*cli.Command) error {
	t := helpText{width: min(columns, maxHelpWidth), bold: columns > 0 && c.world.coloured}
	if len(path) == 0 {
		t.app(app)
	} else {
		t.command(app, path)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// helpText is help while it is written.
type helpText struct {
	strings.Builder
	width int // 0 = lines stay as long as they are
	bold  bool
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

// verbsOf gives the commands that do something, in cmd or it alone, by their names from above down.
func verbsOf(above string, cmd *cli.Command) [][2]string {
	if len(cmd.Subcommands) == 0 {
		return [][2]string{{above + cmd.Name, cmd.Usage}}
	}
	var rows [][2]string
	for _, sub := range visible(cmd.Subcommands) {
		rows = append(rows, verbsOf(above+cmd.Name+" ", sub)...)
	}
	return rows
}

func (t *helpText) heading(text string) {
	if t.bold {
		text = boldOn + text + plain
	}
	t.WriteString("\n" + text + "\n")
}

func (t *helpText) app(app *cli.App) {
	fmt.Fprintf(t, "mailctl - %s\n\nUsage: mailctl [flags] COMMAND …\n", app.Usage)
	t.heading("Commands:")
	var rows [][2]string
	for _, cmd := range visible(app.Commands) {
		rows = append(rows, verbsOf("", cmd)...)
	}
	t.rows(rows)
	t.heading("Flags, which may stand anywhere:")
	t.flags(append(app.Flags[:len(app.Flags):len(app.Flags)], &cli.BoolFlag{Name: "help", Usage: "explain a command: mailctl user add --help"}))
	t.heading("Exit codes:")
	rows = rows[:0]
	for _, e := range exitTable() {
		rows = append(rows, [2]string{fmt.Sprint(e.code), e.text})
	}
	t.rows(rows)
	t.heading("Examples:")
	t.WriteString("  sudo mailctl user add anna@example.org\n" +
		"  sudo mailctl search headers --from bill --since 7d\n" +
		"  mailctl --root /backup/maild user list --json\n")
}

func (t *helpText) command(app *cli.App, path []*cli.Command) {
	cmd, name := path[len(path)-1], app.Name+" "+pathName(path)
	t.WriteString(wrapped(name+" - "+cmd.Usage, t.width, 0) + "\n\n")
	if len(cmd.Subcommands) > 0 {
		fmt.Fprintf(t, "Usage: %s COMMAND …\n", name)
		t.heading("Commands:")
		var rows [][2]string
		for _, sub := range visible(cmd.Subcommands) {
			rows = append(rows, verbsOf("", sub)...)
		}
		t.rows(rows)
	} else {
		fmt.Fprintf(t, "Usage: %s\n", formOf(name, cmd))
	}
	if cmd.Description != "" {
		t.WriteString("\n" + filled(strings.TrimSpace(cmd.Description), t.width) + "\n")
	}
	if len(cmd.Flags) > 0 {
		t.heading("Flags:")
		t.flags(cmd.Flags)
	}
	t.heading("Flags of every command:")
	t.flags(app.Flags)
	if list := examplesOf(cmd); len(list) > 0 {
		t.heading("Examples:")
		for _, line := range list {
			t.WriteString("  " + line + "\n")
		}
	}
}

// examplesOf are the examples of a command, or the first of each that is below it.
func examplesOf(cmd *cli.Command) (list []string) {
	for _, sub := range visible(cmd.Subcommands) {
		if below := examplesOf(sub); len(below) > 0 {
			list = append(list, below[0])
		}
	}
	if len(list) > 0 {
		return list
	}
	for line := range strings.Lines(cmd.UsageText) {
		list = append(list, strings.TrimSpace(line))
	}
	return list
}

func (t *helpText) flags(flags []cli.Flag) {
	var rows [][2]string
	for _, f := range flags {
		var names []string
		for _, n := range f.Names() {
			if len(n) == 1 {
				names = append(names, "-"+n)
			} else {
				names = append(names, "--"+n)
			}
		}
		name := strings.Join(names, ", ")
		if value := flagPlaceholder(f); value != "" {
			name += " " + value
		}
		rows = append(rows, [2]string{name, strings.ReplaceAll(flagUsage(f), "`", "")})
	}
	t.rows(rows)
}

// rows writes a name and what it means on each line.
func (t *helpText) rows(rows [][2]string) {
	wide := 0
	for _, r := range rows {
		wide = max(wide, cells(r[0]))
	}
	for _, r := range rows {
		pad := strings.Repeat(" ", wide-cells(r[0]))
		t.WriteString("  " + r[0] + pad + "  " + wrapped(r[1], t.width, wide+4) + "\n")
	}
}
