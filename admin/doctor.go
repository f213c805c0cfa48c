package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/config"
)

const doctorHelp = `Looks at everything that can be wrong: configuration, data directory, accounts, aliases, Maildirs, index, host name, certificate, ports,
watches, disk and clock. Each fault comes with the line that mends it; a notice is nothing wrong, but worth to be known. Nothing is
changed. The exit code is 6 when there is a fault.

Large boxes are sampled: of Maildirs, the names of at most 20,000 files a folder and 200,000 in all are looked at, and owner and rights
of 100 a folder; of the index, accounts with 5,000 messages together are compared. "mailctl index verify" compares all.

The host name is looked up by the system's resolver, for two seconds at most. With --root, a copy, what belongs to this machine and not to
the data is left out. Columns: check, state (good, fault, notice, left out), what, the line that mends it.`

func (c *call) doctorCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "doctor", Usage: "look for all that can be wrong, and say what mends it", Description: doctorHelp,
		UsageText: "sudo mailctl doctor\nmailctl doctor --json | jq -r '.findings[] | select(.state == \"fault\") | .mend'"}, 0, 0, runDoctor)
}

// The states of a check or of a finding.
const (
	stateGood   = "good"
	stateFault  = "fault"
	stateNotice = "notice"
	stateLeft   = "left out"
)

// finding is one thing that a check found.
type finding struct {
	what string
	mend string // a line for a shell
	mild bool   // a notice
}

// maxFindings is how many faults of one check are told, and how many notices: who has more sees why in these.
const maxFindings = 50

// checkup is what one check came to.
type checkup struct {
	findings []finding
	seen     string // what was looked at
	left     string // why the check was left out
}

func (u *checkup) fault(mend, format string, args ...any) {
	u.findings = append(u.findings, finding{what: fmt.Sprintf(format, args...), mend: mend})
}

func (u *checkup) notice(mend, format string, args ...any) {
	u.findings = append(u.findings, finding{what: fmt.Sprintf(format, args...), mend: mend, mild: true})
}

// doctorView is the result in JSON.
type doctorView struct {
	Findings []findingView `json:"findings"`
	Checks   []checkView   `json:"checks"`
}

type findingView struct {
	Check string `json:"check"`
	State string `json:"state"` // fault, notice
	What  string `json:"what"`
	Mend  string `json:"mend"`
}

type checkView struct {
	Check string `json:"check"`
	State string `json:"state"` // good, fault, notice, left out
	What  string `json:"what"`  // what was looked at, or why it was left out
}

// add takes up what a check came to.
func (v *doctorView) add(name string, u checkup) {
	state := stateGood
	if u.left != "" {
		state = stateLeft
	}
	told := map[bool]int{}
	for _, f := range u.findings {
		s := stateFault
		if f.mild {
			s = stateNotice
		}
		if state != stateFault {
			state = s
		}
		if told[f.mild]++; told[f.mild] > maxFindings {
			continue
		}
		v.Findings = append(v.Findings, findingView{name, s, strings.ReplaceAll(validText(f.what), "\n", "; "), validText(f.mend)})
	}
	for i, s := range []string{stateFault, stateNotice} {
		if more := told[i == 1] - maxFindings; more > 0 {
			v.Findings = append(v.Findings, findingView{name, s, fmt.Sprintf("%d more such", more), ""})
		}
	}
	what := u.seen
	if u.left != "" {
		what = u.left
	}
	v.Checks = append(v.Checks, checkView{name, state, what})
}

// self is mailctl with the flags that say which box is meant, for a remedy.
func (c *call) self() string {
	self := "sudo mailctl"
	for _, flag := range []string{"config", "root"} {
		if c.IsSet(flag) {
			self += " --" + flag + " " + shellWord(c.String(flag))
		}
	}
	return self
}

// examination is one check: its name and what does it.
type examination struct {
	name   string
	ofData bool // it needs the data directory
	look   func(context.Context, *checkup) error
}

func (p *patient) examinations() []examination {
	return []examination{
		{"data directory", false, p.dataDirectory},
		{"accounts", true, p.accountsFile},
		{"aliases", true, p.aliases},
		{"postmaster", true, p.postmaster},
		{"maildirs", true, p.maildirs},
		{"index", true, p.index},
		{"host name", false, p.hostname},
		{"certificate", true, p.certificate},
		{"listeners", false, p.listeners},
		{"watches", true, p.watches},
		{"disk", true, p.disk},
		{"clock", true, p.clock},
	}
}

func runDoctor(ctx context.Context, c *call) error {
	v := doctorView{Findings: []findingView{}, Checks: []checkView{}}
	p := &patient{call: c}
	goOn, err := p.admit(&v)
	if err != nil {
		return err
	}
	if goOn {
		show, done := c.progress("looking at Maildirs")
		p.show = show
		for _, e := range p.examinations() {
			var u checkup
			if p.missing && e.ofData {
				u.left = "there is no data directory"
			} else if err := e.look(ctx, &u); ctx.Err() != nil {
				done()
				return ctx.Err()
			} else if err != nil {
				u.fault(p.self()+" doctor", "%s", explain(err, c.owner()))
			}
			v.add(e.name, u)
		}
		done()
	}
	return c.writeDoctor(v)
}

// admit reads the configuration and takes the rights of the data's owner. Without a configuration nothing else can be looked at.
func (p *patient) admit(v *doctorView) (goOn bool, err error) {
	var u checkup
	b, err := p.load()
	var faults config.Problems
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			mend := "sudoedit " + shellWord(f.File)
			if f.Remedy != "" {
				mend += "   # " + f.Remedy
			}
			u.fault(mend, "line %d: %s", f.Line, f.Text)
		}
		v.add("configuration", u)
		return false, nil
	case err != nil:
		return false, err
	}
	p.box = b
	u.seen = p.configName()
	v.add("configuration", u)
	return true, nil
}

// writeDoctor shows the faults, then the notices, then what is good.
func (c *call) writeDoctor(v doctorView) error {
	faults, err := 0, error(nil)
	for _, f := range v.Findings {
		if f.State == stateFault {
			faults++
		}
	}
	switch c.form() {
	case formJSON:
		err = c.object(v)
	case formTable:
		err = c.showDoctor(v)
	default:
		err = c.listDoctor(v)
	}
	if err == nil && faults > 0 {
		err = &fault{code: ExitProblems, text: fmt.Sprintf("faults found: %d", faults)}
	}
	return err
}

// showDoctor is for people: the line that mends is not shortened, so that it can be copied.
func (c *call) showDoctor(v doctorView) error {
	var facts []fact
	for _, state := range []string{stateFault, stateNotice} {
		for _, f := range v.Findings {
			if f.State == state {
				facts = append(facts, fact{state, f.Check + ": " + f.What})
				if f.Mend != "" {
					facts = append(facts, fact{factMend, f.Mend})
				}
			}
		}
	}
	for _, state := range []string{stateGood, stateLeft} {
		for _, k := range v.Checks {
			if k.State == state {
				text := k.Check
				if k.What != "" {
					text += ": " + k.What
				}
				facts = append(facts, fact{state, text})
			}
		}
	}
	return c.facts(facts, v)
}

func (c *call) listDoctor(v doctorView) error {
	l := c.list(column{name: "check"}, column{name: "state"}, column{name: "what"}, column{name: "mend"})
	for _, f := range v.Findings {
		if err := l.add([]string{f.Check, f.State, f.What, f.Mend}, f); err != nil {
			return err
		}
	}
	for _, k := range v.Checks {
		if k.State == stateGood || k.State == stateLeft {
			if err := l.add([]string{k.Check, k.State, k.What, ""}, k); err != nil {
				return err
			}
		}
	}
	return l.end()
}
