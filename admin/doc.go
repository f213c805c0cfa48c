// Package admin is mailctl, the command that administers a maild box: its domains, accounts and aliases, its mail and
// its index.
//
// # Structure
//
// A file per noun (domain.go, user.go, alias.go, quota.go, search.go, msg.go, index.go, status.go) declares the noun's verbs and holds, for
// each, one function that does the work: it takes a call, which is the command line after reading, and gives an error or nil. What
// is long has a file of its own (threads.go, sql.go, verify.go). Around them:
//
//	app.go        Main, and the tree of commands
//	arguments.go  the command line: flags may stand anywhere, nothing is ignored
//	help.go       help for each command
//	exit.go       the exit codes, and what an error says to a person
//	terms.go      the flags of a search as conditions of a query
//	freshness.go  what an answer of the index is to be taken with
//	box.go        the data directory: configuration, rights, and the parts, each opened when first needed
//	output.go     tables, tab-separated lines and JSON; safe.go keeps foreign bytes from doing harm on a terminal
//	terminal.go   questions, passwords, progress
//
// # Promises
//
// Data goes to standard output and nothing else does. It is a table on a terminal, tab-separated lines without a heading when
// piped, JSON with --json; searches have more forms. Everything said about the work goes to standard error, as "mailctl: …".
//
// mailctl opens the daemon's files itself, so every command works with the daemon up, down, or on a copy (--root). SQLite's locks
// keep processes apart, and each change is one transaction. Run by root, it becomes the owner of the data
// directory before it opens anything there, so that no file ends up root's.
//
// While no daemon runs, what answers from the index first brings it up to date. A running daemon does so itself.
//
// Nothing that strangers wrote reaches the output with control characters in it, except through "msg show --raw" into a pipe.
package admin
