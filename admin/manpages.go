package admin

import (
	"strings"

	"maild/appliance/config"
)

// manMaild is maild(8). What the daemon's own help says must be in it: a test beside the daemon sees to that.
func manMaild() string {
	p := newManPage("maild", "8", "take mail by SMTP and LMTP, and write it to Maildirs")
	p.section("SYNOPSIS")
	p.WriteString(".Nm\n.Op Fl Fl config Ar FILE\n.Op Cm run\n.Nm\n.Cm check\n.Op Fl Fl config Ar FILE\n.Nm\n.Cm demo\n.Op Fl Fl once\n.Op Fl Fl dir Ar DIR\n.Nm\n.Cm version | help\n")
	p.section("DESCRIPTION")
	p.prose(manDaemon)
	p.WriteString(`.Pp
The commands are:
.Bl -tag -width Ds
.It Cm run
Take mail, in the foreground.
This is what happens without a command.
.It Cm check
Read the configuration, say what is wrong with it, with line and remedy, and
exit.
.It Cm demo
Start an appliance in a folder of its own, on free ports of the loopback
interface, send mail through it and show it.
No root is needed.
It stays until it is interrupted.
.It Cm version
Print the version.
.It Cm help
Print a short help.
.El
.Pp
The options are:
.Bl -tag -width Ds
.It Fl Fl config Ar FILE
Read the configuration
.Ar FILE
instead of
.Pa /etc/maild.toml .
.It Fl Fl once
With
.Cm demo :
end when everything has been shown.
.It Fl Fl dir Ar DIR
With
.Cm demo :
work in
.Ar DIR
and keep it.
.El
`)
	p.section("ENVIRONMENT")
	p.WriteString(".Bl -tag -width Ds\n.It Ev LISTEN_FDS , Ev LISTEN_PID , Ev LISTEN_FDNAMES\n")
	p.fill("Sockets that systemd has opened: see sd_listen_fds(3). They are named mx, submission, submissions and lmtp, and are used instead of those of the configuration.")
	p.WriteString(".It Ev NOTIFY_SOCKET\n")
	p.fill("Where systemd is told that the daemon is ready, reloads or stops: see sd_notify(3).")
	p.WriteString(".El\n")
	p.files()
	p.section("EXIT STATUS")
	p.WriteString(".Bl -tag -width Ds\n.It 0\nIt was stopped by a signal, or the check found no fault.\n.It 1\nIt failed; standard error says why.\n.It 2\nThe command line is wrong.\n.El\n")
	p.section("SIGNALS")
	p.WriteString(".Bl -tag -width Ds\n.It Dv SIGTERM , SIGINT\n")
	p.fill("No new connections; idle clients get 421; transactions end, at most limits.shutdown_timeout. The exit status is 0.")
	p.WriteString(".It Dv SIGHUP\n")
	p.fill("The configuration and the certificate are read again, and the log file is opened anew. With a fault in the file, everything stays as it was.")
	p.WriteString(".El\n")
	p.section("EXAMPLES")
	p.literal([]string{"maild check && systemctl reload maild", "maild demo --once"})
	p.section("SEE ALSO")
	p.WriteString(".Xr mailctl 1 ,\n.Xr maild.toml 5\n")
	p.section("STANDARDS")
	p.fill("RFC 5321 (SMTP), RFC 6409 and RFC 8314 (submission), RFC 2033 (LMTP).")
	return p.String()
}

const manDaemon = `A mail appliance for one machine: maild takes mail from other hosts and from its users, and writes each message to a Maildir before it
acknowledges it. An index over all mail follows what any program does to the files. Accounts and everything else are managed with mailctl(1).

Started as root, it opens its ports and then becomes the user that the configuration names, for good. One daemon runs on a data directory.`

// manConfig is maild.toml(5), made from the keys.
func manConfig() string {
	p := newManPage("maild.toml", "5", "the configuration of maild")
	p.section("DESCRIPTION")
	p.prose(manConfigIntroduction)
	p.section("KEYS")
	table, open := "", false
	end := func() {
		if open {
			p.WriteString(".El\n")
		}
		open = false
	}
	for i, k := range config.Describe() {
		if name, _, ok := strings.Cut(k.Name, "."); i == 0 || ok && name != table {
			end()
			heading := "At the top, before the first table"
			if ok {
				table, heading = name, "Table ["+name+"]"
			}
			p.subsection(heading)
			if k.Table != "" {
				p.prose(k.Table)
			}
			p.WriteString(".Bl -tag -width Ds\n")
			open = true
		}
		p.key(k)
	}
	end()
	p.files()
	p.section("EXAMPLES")
	p.literal([]string{`hostname = "mail.example.org"`, "", "[tls]", `certificate = "/etc/letsencrypt/live/mail.example.org/fullchain.pem"`,
		`key = "/etc/letsencrypt/live/mail.example.org/privkey.pem"`, "", "[limits]", `message_size = "25MiB"`})
	p.section("SEE ALSO")
	p.WriteString(".Xr mailctl 1 ,\n.Xr maild 8\n")
	return p.String()
}

const manConfigIntroduction = `The one configuration file of maild, in TOML. Every key has a default, so the file may be empty or missing. It is read strictly: a key that is
misspelt or a value that makes no sense is an error, with its line and what to write instead.

"mailctl config check" and "maild check" look at the file, "mailctl config explain KEY" explains a key, and "mailctl config show --effective" lists what
holds. A changed file counts after "systemctl reload maild", which says which keys wait for a restart.`

// key writes one key: its type and default, then what it means.
func (p *manPage) key(k config.Key) {
	p.WriteString(".It Ic " + manArgument(k.Name) + "\n")
	p.prose(k.Doc)
	p.WriteString(".Pp\n")
	text := "Type: " + k.Type
	if k.Form != "" {
		text += ", " + k.Form
	}
	p.fill(text + ".")
	p.WriteString("Default:\n.Li " + manArgument(k.Default) + "\n")
}
