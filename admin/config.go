package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/config"
)

func (c *call) configCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "config", Usage: "the configuration file", Subcommands: []*cli.Command{
		c.verb(ctx, &cli.Command{Name: "show", Usage: "show the configuration file, or all that holds",
			Description: "The file is given as it is. With --effective each key is listed with its value, and whether that comes from the file or is the default.\nColumns then: key, value, from (file with its line, default, or --root).",
			Flags:       []cli.Flag{&cli.BoolFlag{Name: "effective", Usage: "list every key with the value that holds"}},
			UsageText:   "mailctl config show\nmailctl config show --effective\nmailctl config show --effective --json | jq '.settings[] | select(.from == \"file\")'"}, 0, 0, showConfig),
		c.verb(ctx, &cli.Command{Name: "check", Usage: "say what is wrong with a configuration file", ArgsUsage: "[FILE]",
			Description: "Looks at FILE, or at the configuration that counts, as \"maild check\" does: every fault with its line and what to write instead. Columns:\nfile, line, fault, remedy. The exit code is 6 when there is one. Ports and certificates are \"mailctl doctor\"'s.",
			UsageText:   "mailctl config check\nmailctl config check /etc/maild.toml.new && sudo mv /etc/maild.toml.new /etc/maild.toml"}, 0, 1, checkConfig),
		c.verb(ctx, &cli.Command{Name: "explain", Usage: "explain a key of the configuration", ArgsUsage: "KEY",
			Description: "KEY is a key as \"limits.recipients\", or a table as \"limits\", whose keys are all explained.",
			UsageText:   "mailctl config explain limits.message_size\nmailctl config explain tls"}, 1, 1, explainConfig),
	}}
}

// configFile is the configuration file that counts; "" is none.
func (c *call) configFile() string {
	switch {
	case c.String("config") != "":
		return c.String("config")
	case c.IsSet("root"):
		return ""
	}
	return config.DefaultPath
}

// readConfig reads the file that counts, with the rights that the process was started with. A missing one at the default path is no error.
func (c *call) readConfig() (path string, data []byte, err error) {
	if _, err := c.load(); errors.As(err, new(*fault)) {
		return "", nil, err // flags that make no sense
	}
	path = c.configFile()
	if path == "" {
		return "", nil, nil
	}
	data, err = os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == config.DefaultPath:
		return path, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return path, nil, notFoundf("configuration %s does not exist: name the right file with --config", path)
	case err != nil:
		return path, nil, fmt.Errorf("read configuration: %w", err)
	}
	return path, data, nil
}

// configView is the configuration file in JSON.
type configView struct {
	File     string        `json:"file"`
	Exists   bool          `json:"exists"`
	Text     *string       `json:"text,omitempty"`
	Settings []settingView `json:"settings,omitempty"`
}

// settingView is a key and its value in JSON.
type settingView struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	From    string          `json:"from"` // file, default, --root
	Line    int             `json:"line"` // 0 = not in the file
	Default json.RawMessage `json:"default"`
}

func showConfig(_ context.Context, c *call) error {
	path, data, err := c.readConfig()
	if err != nil {
		return err
	}
	v := configView{File: path, Exists: data != nil}
	switch {
	case path == "":
		c.note("with --root no configuration is read: all keys but data_dir have their defaults")
	case data == nil:
		c.note("%s does not exist: all keys have their defaults", path)
	}
	if c.Bool("effective") {
		return c.showSettings(v, data)
	}
	if c.form() == formJSON {
		text := validText(string(data))
		v.Text = &text
		return c.object(v)
	}
	text := string(data)
	if c.world.width > 0 {
		text = safeText(text)
	}
	_, err = c.out.WriteString(text)
	return err
}

// settings is every key with its value.
func (c *call) settings(path string, data []byte) ([]settingView, error) {
	cfg := config.Default()
	if path != "" {
		var err error
		if cfg, err = config.Parse(path, data); err != nil {
			return nil, &fault{code: ExitProblems, err: err}
		}
	}
	rooted := c.IsSet("root")
	if rooted {
		var err error
		if cfg.DataDir, err = filepath.Abs(c.String("root")); err != nil {
			return nil, fmt.Errorf("--root: %w", err)
		}
	}
	var list []settingView
	for _, s := range cfg.Settings(data) {
		v := settingView{Key: s.Name, Value: json.RawMessage(s.Value), From: "default", Line: s.Line, Default: json.RawMessage(s.Default)}
		switch {
		case s.Name == "data_dir" && rooted:
			v.From, v.Line = "--root", 0
		case s.Line > 0:
			v.From = "file"
		}
		list = append(list, v)
	}
	return list, nil
}

// origin is where a value comes from, for people.
func (v settingView) origin() string {
	if v.From == "file" {
		return fmt.Sprintf("file, line %d", v.Line)
	}
	return v.From
}

func (c *call) showSettings(v configView, data []byte) error {
	var err error
	if v.Settings, err = c.settings(v.File, data); err != nil {
		return err
	}
	if c.form() == formJSON {
		return c.object(v)
	}
	l := c.list(column{name: "key"}, column{name: "value", least: 12}, column{name: "from"})
	for _, s := range v.Settings {
		if err := l.add([]string{s.Key, string(s.Value), s.origin()}, s); err != nil {
			return err
		}
	}
	return l.end()
}

// faultView is one fault of a configuration file in JSON.
type faultView struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // 0 = on no line
	Fault  string `json:"fault"`
	Remedy string `json:"remedy"`
}

func checkConfig(_ context.Context, c *call) error {
	path := c.Args().First()
	if path == "" {
		path = c.configFile()
	} else if c.IsSet("config") {
		return usagef("%s and --config %s: name one file", path, c.String("config"))
	}
	if path == "" {
		return usagef("with --root no configuration is read: name the FILE to check")
	}
	_, err := config.Load(path)
	var faults config.Problems
	switch {
	case errors.As(err, &faults):
	case errors.Is(err, fs.ErrNotExist):
		return notFoundf("configuration %s does not exist", path)
	case err != nil:
		return err
	}
	l := c.list(column{name: "file", hidden: true}, column{name: "line", right: true}, column{name: "fault"}, column{name: "remedy"})
	for _, f := range faults {
		if err := l.add([]string{f.File, fmt.Sprint(f.Line), f.Text, f.Remedy}, faultView{f.File, f.Line, f.Text, f.Remedy}); err != nil {
			return err
		}
	}
	if err := l.end(); err != nil {
		return err
	}
	if len(faults) > 0 {
		return &fault{code: ExitProblems, text: fmt.Sprintf("faults in %s: %d", path, len(faults))}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		c.note("%s does not exist: all keys have their defaults", path)
		return nil
	}
	c.note("%s: no fault found", path)
	return nil
}

// keyView is what a key is, in JSON.
type keyView struct {
	Key     string           `json:"key"`
	Type    string           `json:"type"`
	Form    string           `json:"form"`
	Default json.RawMessage  `json:"default"`
	Value   *json.RawMessage `json:"value"` // null = the file cannot be read
	From    string           `json:"from"`
	Meaning string           `json:"meaning"`
}

func explainConfig(_ context.Context, c *call) error {
	found, err := config.Find(c.Args().First())
	if err != nil {
		return notFoundf("%v", err)
	}
	path, data, err := c.readConfig()
	var settings []settingView
	if err == nil {
		settings, err = c.settings(path, data)
	}
	if err != nil {
		c.note("present values are unknown: %s", explain(err, c.owner()))
	}
	present := map[string]settingView{}
	for _, s := range settings {
		present[s.Key] = s
	}
	l := c.list()
	for i, k := range found {
		v := keyView{Key: k.Name, Type: k.Type, Form: k.Form, Default: json.RawMessage(k.Default), Meaning: strings.ReplaceAll(k.Doc, "\n", " ")}
		value := "unknown"
		if s, ok := present[k.Name]; ok {
			v.Value, v.From, value = &s.Value, s.From, fmt.Sprintf("%s (%s)", s.Value, s.origin())
		}
		if c.form() == formJSON {
			if err := l.add(nil, v); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			if err := c.out.WriteByte('\n'); err != nil {
				return err
			}
		}
		facts := []fact{{"key", v.Key}, {factMeaning, v.Meaning}, {"type", v.Type}}
		if v.Form != "" {
			facts = append(facts, fact{"written", v.Form})
		}
		if err := c.facts(append(facts, fact{"default", k.Default}, fact{"value", value}), v); err != nil {
			return err
		}
	}
	if c.form() == formJSON {
		return l.end()
	}
	return nil
}
