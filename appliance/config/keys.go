package config

// key is one entry of the configuration file.
type key struct {
	name string // dotted, as in "limits.recipients"
	doc  string // what it means; lines as in the reference file
	kind
}

// table documents one [table] of the file.
type table struct{ name, doc string }

func tableDocs() []table {
	return []table{
		{"listen", `Where connections are taken: "host:port" or a list of them. The host is an IP
address, localhost, or nothing for every address. [] turns a listener off.`},
		{"tls", `The certificate shown to clients. While none is named, maild makes a
self-signed one for itself under data_dir.`},
		{"limits", `What one client may ask for. Sizes are written "25MiB" or "10MB", durations
"30s", "5m", "36h" or "5d".`},
		{"delivery", `How an address becomes an account.`},
		{"quota", `How much mail an account may hold: the default, for "mailctl quota set" gives
single accounts others. All folders count, Trash too. Mail to postmaster is
always taken.`},
		{"index", `What the index keeps, and how it follows the mail on disk.`},
		{"log", `Where the log goes and how much of it there is.`},
	}
}

// tables gives the names of all tables.
func tables() []string {
	var names []string
	for _, t := range tableDocs() {
		names = append(names, t.name)
	}
	return names
}

// keys is every key there is, in the order of the reference file.
func keys() []key {
	all := topKeys()
	all = append(all, listenKeys()...)
	all = append(all, limitKeys()...)
	return append(all, otherKeys()...)
}

func topKeys() []key {
	return []key{
		{"hostname", `The name of this machine in mail: in the greeting, in EHLO and in Received
fields. Mail for addresses at this name is local. "" is the machine's own name.`,
			text(func(c *Config) *string { return &c.Hostname }, hostname)},
		{"data_dir", `Where mail, accounts and the index are kept. The daemon's user must be able
to write there; nobody else needs to read it.`,
			text(func(c *Config) *string { return &c.DataDir }, absolute)},
		{"user", `The login the daemon becomes after it has opened its ports, when it is
started as root.`,
			text(func(c *Config) *string { return &c.User }, login)},
		{"postmaster", `The local address that gets the mail sent to postmaster. "" is the account
postmaster at hostname, which always exists.`,
			postmaster()},
	}
}

func listenKeys() []key {
	return []key{
		{"listen.mx", `Mail from other hosts.`,
			list(func(c *Config) *[]string { return &c.Listen.MX }, listener)},
		{"listen.submission", `Mail from the users of this machine, who log in after STARTTLS.`,
			list(func(c *Config) *[]string { return &c.Listen.Submission }, listener)},
		{"listen.submissions", `The same with TLS from the first octet.`,
			list(func(c *Config) *[]string { return &c.Listen.Submissions }, listener)},
		{"listen.lmtp", `A Unix socket that speaks LMTP to programs of this machine. "" is off.`,
			text(func(c *Config) *string { return &c.Listen.LMTP }, socket)},
		{"tls.certificate", `The certificate and its chain, a PEM file. It is read again when it changes.`,
			text(func(c *Config) *string { return &c.TLS.Certificate }, absoluteOrNone)},
		{"tls.key", `Its private key, a PEM file.`,
			text(func(c *Config) *string { return &c.TLS.Key }, absoluteOrNone)},
	}
}

func limitKeys() []key {
	return []key{
		{"limits.message_size", `The largest message.`,
			octets(func(c *Config) *Octets { return &c.Limits.MessageSize })},
		{"limits.recipients", `Recipients of one message.`,
			count(func(c *Config) *int { return &c.Limits.Recipients })},
		{"limits.connections", `Connections at one time, all listeners together.`,
			count(func(c *Config) *int { return &c.Limits.Connections })},
		{"limits.received_fields", `Hosts a message may have passed. One with more Received fields goes round in
circles and is refused.`,
			count(func(c *Config) *int { return &c.Limits.ReceivedFields })},
		{"limits.command_timeout", `How long a client may stay silent between two commands.`,
			span(func(c *Config) *Duration { return &c.Limits.CommandTimeout })},
		{"limits.data_timeout", `How long a client may stay silent within a message. A slow message may take
longer as a whole.`,
			span(func(c *Config) *Duration { return &c.Limits.DataTimeout })},
		{"limits.write_timeout", `How long a reply may wait for a client to take it.`,
			span(func(c *Config) *Duration { return &c.Limits.WriteTimeout })},
		{"limits.shutdown_timeout", `How long a stopping daemon waits for messages under way.`,
			span(func(c *Config) *Duration { return &c.Limits.ShutdownTimeout })},
	}
}

func otherKeys() []key {
	return []key{
		{"delivery.subaddress_separator", `anna+shop@example.org is delivered to anna@example.org. "" takes every
address as it stands.`,
			text(func(c *Config) *string { return &c.Delivery.SubaddressSeparator }, separator)},
		{"delivery.aliases_file", `Who gets the mail for names at hostname that are no accounts or aliases of
mailctl: see aliases(5). It need not exist; it is read again when it changes.
Programs and files as targets are refused. "" reads none.`,
			text(func(c *Config) *string { return &c.Delivery.AliasesFile }, absoluteOrNone)},
		{"quota.octets", `As in "2GiB". "0" is no limit.`,
			octetsOrNone(func(c *Config) *Octets { return &c.Quota.Octets })},
		{"quota.messages", `As a number. 0 is no limit.`,
			countOrNone(func(c *Config) *int { return &c.Quota.Messages })},
		{"quota.over", `What the sender is told of a full account: temporary has it try again for some
days (452 4.2.2), permanent tells its author at once (552 5.2.2).`,
			oneOf(func(c *Config) *string { return &c.Quota.Over }, "temporary", "permanent")},
		{"quota.grace", `How far a message may go beyond the limit, if there was room when it came.`,
			octetsOrNone(func(c *Config) *Octets { return &c.Quota.Grace })},
		{"quota.warn", `At how many per cent the user gets a message that says so, once. [] is never.`,
			percents(func(c *Config) *[]int { return &c.Quota.Warn })},
		{"index.headers", `More header fields to index, as in ["X-Spam-Status", "Delivered-To"], or "all".
Other fields can be searched, too: their files are read at that time.`,
			list(func(c *Config) *[]string { return &c.Index.Headers }, fieldName)},
		{"index.body", `Index the text of messages, for "mailctl search text". It takes about as much
disk as the text itself, and makes indexing two to three times slower.`,
			truth(func(c *Config) *bool { return &c.Index.Body })},
		{"index.sweep", `How often the directories of mail are compared with the index, to find what
other programs changed.`,
			span(func(c *Config) *Duration { return &c.Index.Sweep })},
		{"log.file", `A file to write to. "" is standard error, which systemd keeps in its journal.`,
			text(func(c *Config) *string { return &c.Log.File }, absoluteOrNone)},
		{"log.level", `debug, info, warn or error.`,
			oneOf(func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error")},
		{"log.format", `text or json.`,
			oneOf(func(c *Config) *string { return &c.Log.Format }, "text", "json")},
	}
}
