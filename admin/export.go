package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/process"
	"maild/index/query"
	"maild/maildir"
)

func (c *call) exportCommand(ctx context.Context) *cli.Command {
	return c.verb(ctx, &cli.Command{Name: "export", Usage: "copy the mail of an account out", ArgsUsage: "ACCOUNT maildir|mbox|tar DEST",
		Description: `The mail of ACCOUNT is copied to DEST, with folders, flags and times of arrival, and is left as it is:
  maildir   a Maildir++ tree
  mbox      a file for each folder in a directory, or one file if one --folder is asked for; mboxrd, with flags in Status, X-Status, X-Keywords
  tar       a Maildir++ tree as a tar archive (PAX), below a directory called like the account
DEST - is standard output, for a tar or a single mbox. "mailctl import" takes each of them again (a tar once it is unpacked).
DEST appears when it is complete and on disk, and not before; what is there already is replaced only with --force, and only by an export of the same
kind. An account that was removed and whose mail was kept can be exported, too. The copy belongs to the user who owns the mail.`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "folder", Usage: "only `FOLDER`"},
			&cli.StringFlag{Name: "query", Usage: "only what the `QUERY` finds: see \"mailctl search headers --help\""},
			&cli.BoolFlag{Name: "force", Usage: "replace an earlier export of the same kind"}},
		UsageText: "mailctl export anna@example.org tar /backup/anna.tar\nmailctl export anna@example.org mbox sent.mbox --folder Sent\n" +
			"mailctl export anna@example.org maildir /tmp/old --query 'before:2024'\nmailctl export anna@example.org tar - | zstd > anna.tar.zst"}, 3, 3, exportAccount)
}

// exportView is what an export did, in JSON.
type exportView struct {
	Account  string      `json:"account"`
	Kind     string      `json:"kind"`
	Dest     string      `json:"dest"`
	Messages int64       `json:"messages"`
	Octets   int64       `json:"octets"`
	Folders  int64       `json:"folders"`
	Failed   int64       `json:"failed"`
	FailedAt []namedFile `json:"failed_files"`
	Seconds  float64     `json:"seconds"`
}

func exportAccount(ctx context.Context, c *call) error {
	name, kind, dest := c.Args().Get(0), c.Args().Get(1), c.Args().Get(2)
	a, err := address(name)
	if err != nil {
		return err
	}
	if !slices.Contains(exportKinds(), kind) {
		return usagef("%q is no kind of export: write maildir, mbox or tar", kind)
	}
	folders, err := c.exportFolders()
	if err != nil {
		return err
	}
	where, err := c.exportQuery()
	if err != nil {
		return err
	}
	switch {
	case dest == "":
		return usagef("DEST is empty: name a file or a directory")
	case dest != stdoutDest:
	case kind == kindMaildir:
		return usagef("a Maildir is a directory: name one, or export a tar")
	case kind == kindMbox && len(folders) != 1:
		return usagef("standard output is one mbox: name one --folder, or a directory")
	case c.world.width > 0:
		return usagef("standard output is a terminal: redirect it, or name a file")
	}
	right := process.WriteAnywhere
	c.keep = &right
	if err := c.open(); err != nil {
		return err
	}
	account := strings.ToLower(a.Local) + "@" + a.Domain
	if err := c.checkAccounts(ctx, []string{account}); err != nil {
		return err
	}
	ex := &exporter{call: c, ctx: ctx, account: account, only: folders, where: where, view: exportView{Account: account, Kind: kind, Dest: validText(dest), FailedAt: []namedFile{}}}
	target, err := c.exportTarget(kind, dest, len(folders) == 1)
	if err != nil {
		return err
	}
	err = errors.Join(ex.run(target), ex.close())
	if errors.Is(err, fs.ErrNotExist) && !c.hasMail(account) {
		return notFoundf("%s has no mail yet: there is nothing to export", account)
	}
	if err != nil {
		return err
	}
	return ex.tell(dest)
}

// exportFolders are those that --folder names, each once.
func (c *call) exportFolders() (list []string, err error) {
	for _, f := range c.StringSlice("folder") {
		if strings.EqualFold(f, maildir.Inbox) {
			f = maildir.Inbox
		}
		if _, err := maildir.EncodeFolder(f); err != nil {
			return nil, usagef("--folder: %v", err)
		}
		if !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list, nil
}

func (c *call) exportQuery() (query.Expr, error) {
	if !c.IsSet("query") {
		return nil, nil
	}
	x, err := query.Parse(c.String("query"), query.Options{Now: c.world.now(), Zone: c.world.zone, Body: true})
	var s *query.SyntaxError
	if errors.As(err, &s) {
		return nil, usagef("%v\n%s", err, s.Pointer())
	}
	return x, err
}

// tell writes the report: to standard error where the mail itself went to standard output.
func (ex *exporter) tell(dest string) error {
	v := ex.view
	var err error
	if dest == stdoutDest {
		ex.note("%d messages of %s are exported", v.Messages, v.Account)
	} else {
		err = ex.facts([]fact{
			{"exported", fmt.Sprint(v.Messages)},
			{"size", ex.size(v.Octets)},
			{"folders", fmt.Sprint(v.Folders)},
			{"failed", fmt.Sprint(v.Failed)},
			{"seconds", fmt.Sprintf("%.2f", v.Seconds)},
		}, v)
	}
	if err == nil && v.Failed > 0 {
		err = &fault{code: ExitPartial, text: fmt.Sprintf("%d messages could not be exported: see above", v.Failed)}
	}
	return err
}
