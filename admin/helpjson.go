package admin

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// helpView is a command in JSON, for programs that offer or document commands.
type helpView struct {
	Command     string     `json:"command"`
	Usage       string     `json:"usage"`
	Form        string     `json:"form"`
	Description string     `json:"description"`
	Flags       []flagView `json:"flags"`
	Examples    []string   `json:"examples"`
	JSON        string     `json:"json"` // the shape of what it gives with --json
}

type flagView struct {
	Names []string `json:"names"`
	Value string   `json:"value"` // what stands for its value; "" = it takes none
	Usage string   `json:"usage"`
}

// exitView is an exit code in JSON.
type exitView struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
}

// helpJSON writes the commands at and below path.
func (c *call) helpJSON(app *cli.App, path []*cli.Command) error {
	v := struct {
		Commands  []helpView `json:"commands"`
		Flags     []flagView `json:"flags"` // of every command
		ExitCodes []exitView `json:"exit_codes"`
	}{Commands: []helpView{}, Flags: viewFlags(app.Flags)}
	shapes := jsonShapes()
	for _, p := range commandPaths(app) {
		if pathName(p[:min(len(p), len(path))]) != pathName(path) {
			continue
		}
		cmd, name := p[len(p)-1], pathName(p)
		h := helpView{Command: name, Usage: cmd.Usage, Form: formOf(app.Name+" "+name, cmd), Description: strings.TrimSpace(cmd.Description),
			Flags: viewFlags(cmd.Flags), Examples: append([]string{}, examplesOf(cmd)...), JSON: shapes[name]}
		v.Commands = append(v.Commands, h)
	}
	for _, e := range exitTable() {
		v.ExitCodes = append(v.ExitCodes, exitView{e.code, e.text})
	}
	if err := writeJSON(c.out, v); err != nil {
		return err
	}
	return c.out.WriteByte('\n')
}

func viewFlags(flags []cli.Flag) []flagView {
	list := []flagView{}
	for _, f := range flags {
		v := flagView{Names: f.Names(), Usage: strings.ReplaceAll(flagUsage(f), "`", "")}
		if takesValue(f) {
			v.Value = flagPlaceholder(f)
		}
		list = append(list, v)
	}
	return list
}
