package index

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID marks the file as ours (`PRAGMA application_id`): "maiX".
const applicationID = 0x6d616958

// schemaVersion is what this code reads and writes. A file of an older one is not migrated: nothing in it could not be read from the mail
// again, so it is set aside and filled anew while mail flows.
const schemaVersion = 3

// schema is what a file is made with.
const schema = `
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE folder (
	id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: readers remember names by it
	account   TEXT NOT NULL,                     -- user@domain, lower case
	domain    TEXT NOT NULL,
	name      TEXT NOT NULL,                     -- INBOX, Sent, Archive.2026
	stamp_new INTEGER,                           -- directory times in ns at the last complete scan; NULL: scan again
	stamp_cur INTEGER,
	messages  INTEGER NOT NULL DEFAULT 0,        -- how many rows of message, kept by totals
	octets    INTEGER NOT NULL DEFAULT 0,        -- their sum
	UNIQUE (account, name)
) STRICT;

CREATE TABLE message (
	id          INTEGER PRIMARY KEY,             -- arrived, or the next free number
	folder      INTEGER NOT NULL REFERENCES folder (id),
	key         TEXT NOT NULL,                   -- Maildir name without flags
	flags       TEXT NOT NULL,                   -- sorted letters
	new         INTEGER NOT NULL,                -- 1: in new/
	attachment  INTEGER NOT NULL,                -- 1: has one
	octets      INTEGER NOT NULL,
	arrived     INTEGER NOT NULL,                -- microseconds since 1970, modification time of the file
	date        INTEGER,                         -- seconds since 1970, Date field
	message_id  TEXT NOT NULL,                   -- without brackets
	in_reply_to TEXT NOT NULL,                   -- ids separated by a space
	refs        TEXT NOT NULL,
	subject     TEXT NOT NULL,
	sender      TEXT NOT NULL,                   -- From
	recipients  TEXT NOT NULL,                   -- To
	cc          TEXT NOT NULL,
	reply_to    TEXT NOT NULL,
	list_id     TEXT NOT NULL,
	UNIQUE (folder, key)
) STRICT;
CREATE INDEX message_message_id ON message (message_id) WHERE message_id != '';
CREATE INDEX message_folder ON message (folder, id, octets);
CREATE INDEX message_new ON message (folder) WHERE new = 1;
CREATE INDEX message_shifted ON message (folder) WHERE id != arrived; -- few: a rebuild keeps their ids

-- What a message refers to, by References and In-Reply-To: threads are found by it.
CREATE TABLE reference (
	hash INTEGER NOT NULL,                       -- idHash of a Message-ID
	id   INTEGER NOT NULL,                       -- message.id of who refers to it
	PRIMARY KEY (hash, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE extra (
	id     INTEGER PRIMARY KEY,                  -- message.id
	fields TEXT NOT NULL                         -- lines "name: decoded value", name in lower case
) STRICT;

-- The words of addresses, folded: a substring is looked for here, and the words that have it then in terms. Words of messages that
-- are gone may stay until the next rebuild.
CREATE TABLE word (text TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- state holds tokens for what changes or is filtered by: see stateText.
CREATE VIRTUAL TABLE terms USING fts5 (
	subject, sender, recipients, cc, state,
	content = '', contentless_delete = 1, detail = full,
	tokenize = 'ascii' -- the text comes folded: see spaced
);
-- Merging segments is half of what words cost; 8 instead of 4 of a size before they are merged saves most of it.
INSERT INTO terms (terms, rank) VALUES ('automerge', 8);

CREATE VIRTUAL TABLE bodies USING fts5 (
	body,
	content = '', contentless_delete = 1, detail = full,
	tokenize = 'ascii' -- the text comes folded: see spaced
);
INSERT INTO bodies (bodies, rank) VALUES ('automerge', 8);

` + totals + views

// totals keep the sums of each folder, so that what an account holds is told without looking at its messages. dropTotals takes them off while a
// new file is filled, and setTotals adds everything up.
const (
	totals = `
CREATE TRIGGER message_came AFTER INSERT ON message BEGIN
	UPDATE folder SET messages = messages + 1, octets = octets + new.octets WHERE id = new.folder;
END;
CREATE TRIGGER message_went AFTER DELETE ON message BEGIN
	UPDATE folder SET messages = messages - 1, octets = octets - old.octets WHERE id = old.folder;
END;
CREATE TRIGGER message_moved AFTER UPDATE OF folder, octets ON message WHEN new.folder != old.folder OR new.octets != old.octets BEGIN
	UPDATE folder SET messages = messages - 1, octets = octets - old.octets WHERE id = old.folder;
	UPDATE folder SET messages = messages + 1, octets = octets + new.octets WHERE id = new.folder;
END;
`
	dropTotals = `DROP TRIGGER message_came; DROP TRIGGER message_went; DROP TRIGGER message_moved`
	setTotals  = `UPDATE folder SET (messages, octets) = (SELECT count(*), coalesce(sum(message.octets), 0) FROM message WHERE message.folder = folder.id)`
	// wrongTotals counts folders whose sums are not those of their messages.
	wrongTotals = `SELECT count(*) FROM folder f WHERE (f.messages, f.octets) !=
		(SELECT count(*), coalesce(sum(m.octets), 0) FROM message m WHERE m.folder = f.id)`
)

// views are for people and their programs: search sql, and sqlite3 on the file. Their columns only ever get more; views_version in meta
// counts changes.
const views = `
INSERT INTO meta (name, value) VALUES ('views_version', '1');

CREATE VIEW messages AS SELECT m.id, f.account, f.domain, f.name AS folder, m.key, m.flags, m.new,
	instr(m.flags, 'S') = 0 AS unread, instr(m.flags, 'F') > 0 AS flagged, m.attachment, m.octets,
	strftime('%Y-%m-%dT%H:%M:%SZ', m.arrived / 1000000, 'unixepoch') AS arrived,
	strftime('%Y-%m-%dT%H:%M:%SZ', m.date, 'unixepoch') AS date,
	m.message_id, m.in_reply_to, m.refs AS "references", m.subject, m.sender AS "from", m.recipients AS "to", m.cc, m.reply_to, m.list_id
	FROM message m JOIN folder f ON f.id = m.folder;

CREATE VIEW headers AS
	SELECT id, 'subject' AS name, subject AS value FROM message WHERE subject != ''
	UNION ALL SELECT id, 'from', sender FROM message WHERE sender != ''
	UNION ALL SELECT id, 'to', recipients FROM message WHERE recipients != ''
	UNION ALL SELECT id, 'cc', cc FROM message WHERE cc != ''
	UNION ALL SELECT id, 'reply-to', reply_to FROM message WHERE reply_to != ''
	UNION ALL SELECT id, 'list-id', list_id FROM message WHERE list_id != ''
	UNION ALL SELECT id, 'message-id', message_id FROM message WHERE message_id != ''
	UNION ALL SELECT id, 'in-reply-to', in_reply_to FROM message WHERE in_reply_to != ''
	UNION ALL SELECT id, 'references', refs FROM message WHERE refs != ''
	UNION ALL SELECT id, name, value FROM (
		WITH RECURSIVE line (id, name, value, rest) AS (
			SELECT id, NULL, NULL, fields FROM extra
			UNION ALL SELECT id, substr(rest, 1, instr(rest, ': ') - 1),
				substr(rest, instr(rest, ': ') + 2, instr(rest, char(10)) - instr(rest, ': ') - 2),
				substr(rest, instr(rest, char(10)) + 1) FROM line WHERE rest != ''
		) SELECT id, name, value FROM line WHERE name IS NOT NULL);

CREATE VIEW folders AS SELECT f.account, f.domain, f.name AS folder, count(m.id) AS messages,
	coalesce(sum(instr(m.flags, 'S') = 0), 0) AS unread, coalesce(sum(m.octets), 0) AS octets
	FROM folder f LEFT JOIN message m ON m.folder = f.id GROUP BY f.id;

CREATE VIEW accounts AS SELECT account, domain, count(*) AS folders, sum(messages) AS messages, sum(unread) AS unread, sum(octets) AS octets
	FROM folders GROUP BY account;

CREATE VIEW usage AS SELECT account, sum(messages) AS messages, sum(octets) AS octets FROM folder GROUP BY account;
`

// create makes the tables of an empty file, in one transaction.
func create(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schemaVersion)); err != nil {
		return err
	}
	return tx.Commit()
}
