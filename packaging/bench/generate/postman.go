package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// postman writes messages, one after the other.
type postman struct {
	*world
	dice  *dice
	facts *facts
	made  map[string]bool // folders that are there
	b     bytes.Buffer
	err   error
}

// place is where a message lies.
type place struct {
	folder string // directory that has tmp, new and cur
	sub    string // new or cur
	flags  string // ":2,S", or nothing in new
}

// deliver writes message i.
func (p *postman) deliver(i int) error {
	if p.dice == nil {
		p.dice = newDice()
	}
	line := p.ancestors(p.dice, i)
	root := i
	if len(line) > 0 {
		root = line[0]
	}
	subject := p.subject(p.dice, root)
	p.facts.message(p.messageID(i), subject, len(line))
	p.dice.set(p.seed, streamMessage, i)
	at := p.place(i)
	p.compose(i, line, subject)
	p.facts.octets += int64(p.b.Len())
	if err := p.makeFolder(at.folder); err != nil {
		return err
	}
	when := p.date(i)
	name := filepath.Join(at.folder, at.sub, fmt.Sprintf("%d.M%dP%dQ%d.mail,S=%d%s", when.Unix(), p.dice.IntN(1e6), 1000+i%30000, i, p.b.Len(), at.flags))
	if err := os.WriteFile(name, p.b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Chtimes(name, when, when)
}

// place rolls for folder and flags.
func (p *postman) place(i int) place {
	at := place{folder: filepath.Join(p.root, domain, fmt.Sprintf("user%d", i%p.accounts)), sub: "cur", flags: ":2,"}
	archived, unread, flagged, passed, answered := p.dice.IntN(100) < 25, p.dice.IntN(100) < 14, p.dice.IntN(100) < 2, p.dice.IntN(100) < 2, p.dice.IntN(100) < 20
	fresh := p.dice.IntN(100) < 30 // of the unread: never seen by a program
	if p.arriving {
		return place{folder: at.folder, sub: "new"}
	}
	if archived {
		at.folder = filepath.Join(at.folder, fmt.Sprintf(".Archive.%d", p.date(i).Year()))
	}
	if unread && fresh && !flagged {
		return place{folder: at.folder, sub: "new"}
	}
	// The letters stand in the order of their names.
	for _, f := range []struct {
		set    bool
		letter string
	}{{flagged, "F"}, {passed, "P"}, {answered && !unread, "R"}, {!unread, "S"}} {
		if f.set {
			at.flags += f.letter
		}
	}
	return at
}

// makeFolder makes a Maildir, and the account's own before a folder in it.
func (p *postman) makeFolder(folder string) error {
	if p.made[folder] {
		return nil
	}
	if parent := filepath.Dir(folder); strings.HasPrefix(filepath.Base(folder), ".") {
		if err := p.makeFolder(parent); err != nil {
			return err
		}
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o755); err != nil {
			return err
		}
	}
	p.made[folder] = true
	if !strings.HasPrefix(filepath.Base(folder), ".") {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(folder, "maildirfolder"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// compose writes message i into the buffer; line are its ancestors.
func (p *postman) compose(i int, line []int, subject string) {
	d, b := p.dice, &p.b
	b.Reset()
	when := p.date(i).Format(time.RFC1123Z)
	from, to, cc := p.names[d.person.Uint64()], p.names[d.person.Uint64()], p.names[d.person.Uint64()]
	me := fmt.Sprintf("user%d@%s", i%p.accounts, domain)
	host := from.Address[strings.IndexByte(from.Address, '@')+1:]
	fmt.Fprintf(b, "Return-Path: <%s>\nDelivered-To: %s\n", from.Address, me)
	fmt.Fprintf(b, "Received: from mx.%s (mx.%s [192.0.2.%d])\n\tby mail.%s with ESMTPS id %x; %s\n", host, host, 1+i%250, domain, d.Uint32(), when)
	fmt.Fprintf(b, "From: %s\nTo: %s, %s\n", from.String(), me, to.String())
	if d.IntN(3) == 0 {
		fmt.Fprintf(b, "Cc: %s\n", cc.String())
	}
	if len(line) > 0 {
		subject = "Re: " + subject
	}
	fmt.Fprintf(b, "Subject: %s\nDate: %s\nMessage-ID: <%s>\n", p.tongue(i, subject), when, p.messageID(i))
	if len(line) > 0 {
		fmt.Fprintf(b, "In-Reply-To: <%s>\nReferences:", p.messageID(line[len(line)-1]))
		for _, a := range line {
			fmt.Fprintf(b, " <%s>\n", p.messageID(a))
		}
	}
	if d.IntN(10) == 0 {
		list := word(int(d.word.Uint64()) % 40)
		fmt.Fprintf(b, "List-Id: The %s list <%s.lists.%s>\nPrecedence: list\n", list, list, host)
	}
	b.WriteString("MIME-Version: 1.0\n")
	p.content(d.IntN(20) == 0)
}

// tongue adds words of other alphabets to some subjects, half of them as encoded words (RFC 2047), half as they are (RFC 6532).
func (p *postman) tongue(i int, subject string) string {
	switch i % 2000 {
	case 77:
		return mime.BEncoding.Encode("utf-8", subject+" 明日は東京都庁へ行く")
	case 1077:
		return subject + " 明日は東京都庁へ行く"
	case 78:
		return mime.BEncoding.Encode("utf-8", "Встреча в Москве "+subject)
	case 1078:
		return "Встреча в Москве " + subject
	}
	return subject
}

// content ends the header and writes a text around the size asked for, half an attachment when there is one.
func (p *postman) content(attachment bool) {
	d, b := p.dice, &p.b
	if p.size == 0 {
		b.WriteString("Content-Type: text/plain; charset=utf-8\n\n")
		return
	}
	want := p.size/2 + d.Int64N(p.size+1)
	if !attachment {
		b.WriteString("Content-Type: text/plain; charset=utf-8\n\n")
		p.text(want - int64(b.Len()))
		return
	}
	boundary := fmt.Sprintf("=_%016x", d.Uint64())
	fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=\"%s\"\n\n--%s\nContent-Type: text/plain; charset=utf-8\n\n", boundary, boundary)
	p.text(want/2 - int64(b.Len()))
	fmt.Fprintf(b, "\n--%s\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=\"%s.pdf\"\nContent-Transfer-Encoding: base64\n\n",
		boundary, word(int(d.word.Uint64())))
	octets := make([]byte, 54)
	for int64(b.Len()) < want {
		for k := range octets {
			octets[k] = byte(d.Uint32())
		}
		b.WriteString(base64.StdEncoding.EncodeToString(octets))
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "--%s--\n", boundary)
}

// text writes about so many octets of whole lines; none when it is less than one.
func (p *postman) text(octets int64) {
	from := p.dice.IntN(len(p.lines))
	for start := p.lines[from]; octets > 0; from, start = 0, 0 {
		end := min(int64(start)+octets, int64(len(p.block)))
		piece := p.block[start:end]
		piece = piece[:bytes.LastIndexByte(piece, '\n')+1]
		p.b.Write(piece)
		octets -= int64(len(piece))
		if end < int64(len(p.block)) {
			return
		}
	}
}
