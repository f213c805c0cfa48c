package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"maild/appliance/message"
	"maild/index"
	"maild/index/header"
	"maild/index/query"
	"maild/maildir"
)

// maxShownText is how much of a message's text is shown. --raw gives all of it.
const maxShownText = 1 << 20

func (c *call) msgCommand(ctx context.Context) *cli.Command {
	return &cli.Command{Name: "msg", Usage: "single messages", Subcommands: append([]*cli.Command{
		c.verb(ctx, &cli.Command{Name: "show", Usage: "show a message, decoded", ArgsUsage: "ID…",
			Description: "ID is the number that \"search headers\" shows, or a Message-ID; of several messages with it the newest is shown. Several IDs are shown one\nafter another, with a line between them; in JSON they are a list. Those not found are named at the end, with exit code 3.\nText is decoded; HTML is reduced to text where there is no other. The message is not marked as seen.",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "headers", Usage: "show all header fields"},
				&cli.BoolFlag{Name: "raw", Usage: "give the file as it is"}},
			UsageText: "mailctl msg show 1769868000000000\nmailctl msg show '<20260131.1@example.org>' --headers\nmailctl msg show 1769868000000000 --raw > message.eml"},
			1, -1, showMessages),
		c.verb(ctx, &cli.Command{Name: "path", Usage: "say in which file a message is", ArgsUsage: "ID…",
			Description: "ID is the number that \"search headers\" shows, or a Message-ID; then the files of all messages that have it are named, the\nnewest first. IDs not found are named at the end, with exit code 3. A mail reader that changes a flag changes the name of the file.",
			UsageText:   "mailctl msg path 1769868000000000\nmailctl search headers --larger 10M --format ids | xargs -r mailctl msg path"}, 1, -1, messagePaths),
	}, c.changeCommands(ctx)...)}
}

// eachArgument calls fn for every argument. What is not found does not keep the others back; it is the error in the end.
func (c *call) eachArgument(fn func(arg string) error) error {
	var missing []error
	for _, arg := range c.Args().Slice() {
		err := fn(arg)
		var f *fault
		switch {
		case errors.As(err, &f) && f.code == ExitNotFound:
			missing = append(missing, err)
		case err != nil:
			return err
		}
	}
	return errors.Join(missing...)
}

// named finds the messages that an argument means, the newest first.
func (c *call) named(ctx context.Context, arg string, fn func(index.Message) error) error {
	ix, err := c.search(ctx)
	if err != nil {
		return err
	}
	if id, err := strconv.ParseInt(arg, 10, 64); err == nil {
		m, err := ix.Message(ctx, id)
		switch {
		case err == nil:
			return fn(m)
		case !errors.Is(err, index.ErrNotFound):
			return err
		}
	}
	found := false
	err = ix.Search(ctx, index.Query{Where: query.ID{MessageID: strings.Trim(arg, "<> ")}}, func(m index.Message) error {
		found = true
		return fn(m)
	})
	if err == nil && !found {
		return notFoundf("there is no message %s: \"mailctl search headers\" finds the ids of messages", safeLine(arg))
	}
	return err
}

// file looks for the file of a message, and gives it to fn with its path.
func (c *call) file(m index.Message, fn func(t *maildir.Tree, e maildir.Entry) error) error {
	err := c.mail().Use(m.Account, false, func(t *maildir.Tree) error {
		e, err := t.Find(m.Folder, maildir.Key(m.Key))
		if err != nil {
			return err
		}
		return fn(t, e)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return notFoundf("message %d has just been moved or removed: search again", m.ID)
	}
	return err
}

// pathView is what "msg path" gives in JSON.
type pathView struct {
	ID      int64  `json:"id"`
	Account string `json:"account"`
	Folder  string `json:"folder"`
	Path    string `json:"path"`
}

func messagePaths(ctx context.Context, c *call) error {
	if err := c.open(); err != nil {
		return err
	}
	l := c.list()
	err := c.eachArgument(func(arg string) error { return c.pathsOf(ctx, arg, l) })
	if c.form() == formJSON {
		err = errors.Join(err, l.end())
	}
	return err
}

// pathsOf writes the files of the messages that an argument means.
func (c *call) pathsOf(ctx context.Context, arg string, l *list) error {
	return c.named(ctx, arg, func(m index.Message) error {
		return c.file(m, func(t *maildir.Tree, e maildir.Entry) error {
			path := t.MessagePath(e)
			if c.form() == formJSON {
				return l.add(nil, pathView{m.ID, m.Account, m.Folder, validText(path)})
			}
			if c.form() == formTable {
				path = safeLine(path)
			}
			_, err := fmt.Fprintln(c.out, path)
			return err
		})
	})
}

// betweenMessages is the line between two messages shown as text.
const betweenMessages = "\n------------------------------------------------------------------------\n\n"

func showMessages(ctx context.Context, c *call) error {
	if c.Bool("raw") && (c.Bool("headers") || c.form() == formJSON) {
		return usagef("--raw gives the file as it is: leave out --headers and --json")
	}
	if err := c.open(); err != nil {
		return err
	}
	s := &shown{call: c}
	if c.NArg() > 1 && c.form() == formJSON {
		s.list = c.list()
	}
	err := c.eachArgument(func(arg string) error { return s.show(ctx, arg) })
	if s.list != nil {
		err = errors.Join(err, s.list.end())
	}
	return err
}

// shown is the messages shown by one command.
type shown struct {
	*call
	count int
	list  *list // of several in JSON; nil otherwise
}

// show shows the newest message that an argument means.
func (c *shown) show(ctx context.Context, arg string) error {
	var newest index.Message
	count := 0
	err := c.named(ctx, arg, func(m index.Message) error {
		if count++; count == 1 {
			newest = m
		}
		return nil
	})
	if err != nil {
		return err
	}
	if count > 1 {
		c.note("%d messages have this Message-ID; this is the newest, \"mailctl search headers --message-id\" lists them", count)
	}
	return c.file(newest, func(t *maildir.Tree, e maildir.Entry) error {
		f, err := t.OpenMessage(e)
		if err != nil {
			return err
		}
		defer f.Close()
		c.count++
		if c.Bool("raw") {
			return c.raw(f)
		}
		return c.decoded(newest, e, f)
	})
}

// raw copies a message to the output. On a terminal it is made harmless.
func (c *call) raw(f *os.File) error {
	if c.form() != formTable {
		_, err := io.Copy(c.out, f)
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		// A character cut by the end of the buffer shows as two faults; nobody reads raw text for its beauty.
		if _, werr := c.out.WriteString(safeText(validText(string(buf[:n])))); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fullView is a message with its content in JSON.
type fullView struct {
	messageView
	Headers     []fieldView      `json:"headers"`
	Text        string           `json:"text"`
	FromHTML    bool             `json:"text_from_html"`
	Cut         bool             `json:"text_cut"`
	Attachments []attachmentView `json:"attachments"`
}

type fieldView struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type attachmentView struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Octets int64  `json:"octets"`
}

// decoded shows a message to be read. The file tells everything but the id.
func (c *shown) decoded(m index.Message, e maildir.Entry, f *os.File) error {
	block, err := header.ReadBlock(f)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	body, err := message.ReadBody(f, maxShownText)
	if err != nil {
		return err
	}
	m.Header, m.Flags, m.New = header.Parse(block), string(e.Flags), e.New
	v := fullView{messageView: viewMessage(m), Text: body.Text, FromHTML: body.FromHTML, Cut: body.Cut, Attachments: []attachmentView{}, Headers: []fieldView{}}
	for _, h := range m.Header.All {
		v.Headers = append(v.Headers, fieldView{h.Name, header.Decode(h.Value)})
	}
	for _, a := range body.Attachments {
		v.Attachments = append(v.Attachments, attachmentView(a))
	}
	switch {
	case c.list != nil:
		return c.list.add(nil, v)
	case c.form() == formJSON:
		return c.object(v)
	}
	text := c.render(v, body.Unlisted)
	if c.count > 1 {
		text = betweenMessages + text
	}
	_, err = c.out.WriteString(text)
	return err
}

// render is a message as text.
func (c *call) render(v fullView, unlisted int) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, safeLine(value))
		}
	}
	if c.Bool("headers") {
		for _, h := range v.Headers {
			fmt.Fprintf(&b, "%s: %s\n", safeLine(h.Name), safeLine(h.Value))
		}
	} else {
		line("From", v.From)
		line("To", v.To)
		line("Cc", v.Cc)
		line("Reply-To", v.ReplyTo)
		if v.Date != nil {
			line("Date", v.Date.In(c.world.zone).Format("Mon, 2 Jan 2006 15:04:05 -0700"))
		}
		line("Subject", v.Subject)
		line("Message-ID", v.MessageID)
		line("Mailbox", fmt.Sprintf("%s in %s, %s, id %d", v.Folder, v.Account, shortSize(v.Octets), v.ID))
	}
	b.WriteString("\n")
	if v.FromHTML {
		b.WriteString("[reduced from HTML]\n\n")
	}
	text := strings.TrimRight(safeText(v.Text), "\n")
	if text != "" {
		b.WriteString(text + "\n")
	}
	if v.Cut {
		b.WriteString("\n[there is more text: --raw gives all of it]\n")
	}
	if len(v.Attachments) == 0 {
		return b.String()
	}
	b.WriteString("\nAttachments:\n")
	for _, a := range v.Attachments {
		name := a.Name
		if name == "" {
			name = "(no name)"
		}
		fmt.Fprintf(&b, "  %s, %s, %s\n", safeLine(name), safeLine(a.Type), shortSize(a.Octets))
	}
	if unlisted > 0 {
		fmt.Fprintf(&b, "  and %d more\n", unlisted)
	}
	return b.String()
}
