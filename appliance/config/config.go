// Package config reads the appliance's one configuration file, /etc/maild.toml.
//
// Every key has a default, so an empty file, or none at all, runs a box that
// takes mail for its own host name. The file is read strictly: an unknown key,
// a value of the wrong type and a value that makes no sense are errors, and
// all of them are reported at once, each with its line and what to write
// instead ([Problems]). Nothing here opens a port, a certificate or a database.
//
// One table (keys.go) holds each key's name, meaning, check and place in
// [Config]; reading, [Reference], [Describe] and [Config.TOML] all come from it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maild/appliance/mail"
)

// DefaultPath is where the configuration is looked for when no other path is
// given. It is the only path that may be missing.
const DefaultPath = "/etc/maild.toml"

// Config is a checked configuration. It is a value: nothing in it changes
// after Parse, and copies may be used from several goroutines as long as
// nobody writes to the slices.
type Config struct {
	Hostname   string       // domain name, lower case, A-labels; never empty
	DataDir    string       // absolute
	User       string       // login name the daemon steps down to from root
	Postmaster mail.Address // zero: the account postmaster@Hostname

	Listen   Listen
	TLS      TLS
	Limits   Limits
	Delivery Delivery
	Quota    Quota
	Index    Index
	Log      Log
}

// Listen holds the addresses of each kind of listener, "host:port" with an IP
// address (IPv6 in brackets), "localhost" or nothing for the host. An empty
// list turns the listener off.
type Listen struct {
	MX          []string // mail from other hosts, port 25
	Submission  []string // mail from our users, STARTTLS (RFC 6409)
	Submissions []string // mail from our users, TLS from the start (RFC 8314 §3.3)
	LMTP        string   // absolute path of a Unix socket (RFC 2033); "" = off
}

// TLS names the certificate's files, absolute. Both are empty when the
// self-signed one of [Config.SelfSigned] is to be used.
type TLS struct {
	Certificate string // PEM, the host's first, then the chain
	Key         string // PEM
}

// Limits bound what one peer can ask for. All are positive.
type Limits struct {
	MessageSize     Octets
	Recipients      int // in one transaction
	Connections     int // at once, all listeners together
	ReceivedFields  int // more than this is a loop (RFC 5321 §6.3)
	CommandTimeout  Duration
	DataTimeout     Duration // for each read, not for the whole message
	WriteTimeout    Duration
	ShutdownTimeout Duration
}

// Delivery says how a local address becomes an account.
type Delivery struct {
	SubaddressSeparator string // one ASCII character; "" = off
	AliasesFile         string // aliases(5), for names at Hostname; absolute; "" = off
}

// Quota says how much an account may hold that has no limit of its own, and
// what happens when it does.
type Quota struct {
	Octets   Octets // 0 = no limit
	Messages int    // 0 = no limit
	Over     string // temporary or permanent
	Grace    Octets // how far the last message may go beyond Octets
	Warn     []int  // per cent, ascending, at which the user is told
}

// Index says what the index keeps.
type Index struct {
	Headers []string // more field names to index; ["all"] for every one
	Body    bool     // the text of messages, too
	Sweep   Duration // between two comparisons of directory times
}

// Log says where the log goes.
type Log struct {
	File   string // absolute; "" = standard error
	Level  string // debug, info, warn or error
	Format string // text or json
}

// Default is the configuration of an empty file. Its Hostname is the
// machine's own name, or "localhost" where that is no domain name.
func Default() Config {
	c := defaults()
	c.Hostname = machineName()
	return c
}

// defaults holds what does not depend on the machine.
func defaults() Config {
	return Config{
		DataDir: "/var/lib/maild",
		User:    "maild",
		Listen: Listen{
			MX:          []string{":25"},
			Submission:  []string{":587"},
			Submissions: []string{":465"},
		},
		Limits: Limits{
			MessageSize:     50 << 20,
			Recipients:      1000,
			Connections:     1000,
			ReceivedFields:  50,
			CommandTimeout:  Duration(5 * time.Minute), // RFC 5321 §4.5.3.2.7
			DataTimeout:     Duration(3 * time.Minute), // RFC 5321 §4.5.3.2.5
			WriteTimeout:    Duration(time.Minute),
			ShutdownTimeout: Duration(30 * time.Second),
		},
		Delivery: Delivery{SubaddressSeparator: "+", AliasesFile: "/etc/aliases"},
		Quota:    Quota{Over: "temporary", Grace: 1 << 20, Warn: []int{80, 95}},
		Index:    Index{Headers: []string{}, Sweep: Duration(30 * time.Second)},
		Log:      Log{Level: "info", Format: "text"},
	}
}

func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return "localhost"
	}
	return domain
}

// Load reads and checks the file at path; "" means [DefaultPath]. A missing
// file is an error (fs.ErrNotExist) except at DefaultPath, where it means
// [Default]. What is wrong with the contents comes back as [Problems].
func Load(path string) (Config, error) {
	if path == "" {
		path = DefaultPath
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path == DefaultPath {
		return Default(), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data)
}

// AccountsDB is the path of the precious database of accounts.
func (c Config) AccountsDB() string { return filepath.Join(c.DataDir, "accounts.db") }

// IndexDB is the path of the disposable index.
func (c Config) IndexDB() string { return filepath.Join(c.DataDir, "index.db") }

// MailDir is the directory of all mail, one DOMAIN/USER below it per account.
func (c Config) MailDir() string { return filepath.Join(c.DataDir, "mail") }

// LockFile is held by the running daemon, so that no second one starts.
func (c Config) LockFile() string { return filepath.Join(c.DataDir, "maild.lock") }

// SelfSigned gives the paths of the certificate and key that the daemon makes
// for itself while the file names none.
func (c Config) SelfSigned() (certificate, key string) {
	dir := filepath.Join(c.DataDir, "tls")
	return filepath.Join(dir, "self-signed.pem"), filepath.Join(dir, "self-signed.key")
}
