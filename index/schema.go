package index

import (
	"context"
	"database/sql"
	"fmt"
)

// applicationID marks the file as ours (`PRAGMA application_id`): "maiX".
const applicationID = 0x6d616958

// migrations lead from each schema version to the next: migrations[n] makes version n+1 of version n. They only ever grow. A row whose
// content a step cannot make from the old rows is left to a reparse: the step then empties folder.stamp_new and meta 'headers'.
var migrations = [...]string{schema1}

// schemaVersion is what this code reads and writes.
const schemaVersion = len(migrations)

const schema1 = `
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
	UNIQUE (account, name)
) STRICT;

CREATE TABLE message (
	id          INTEGER PRIMARY KEY,             -- arrived, or the next free number
	folder      INTEGER NOT NULL REFERENCES folder (id),
	key         TEXT NOT NULL,                   -- Maildir name without flags
	flags       TEXT NOT NULL,                   -- sorted letters
	new         INTEGER NOT NULL,                -- 1: in new/
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

CREATE TABLE extra (
	id     INTEGER PRIMARY KEY,                  -- message.id
	fields TEXT NOT NULL                         -- lines "name: decoded value", name in lower case
) STRICT;

CREATE VIRTUAL TABLE terms USING fts5 (
	subject, sender, recipients, cc,
	content = '', contentless_delete = 1, detail = full,
	tokenize = 'unicode61 remove_diacritics 2'
);
-- Merging segments is half of what words cost; 8 instead of 4 of a size before they are merged saves most of it.
INSERT INTO terms (terms, rank) VALUES ('automerge', 8);
`

// migrate brings the file from version to upto in one transaction.
func migrate(ctx context.Context, db *sql.DB, version, upto int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for v := version; v < upto; v++ {
		if _, err := tx.ExecContext(ctx, migrations[v]); err != nil {
			return fmt.Errorf("to schema %d: %w", v+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, upto)); err != nil {
		return err
	}
	return tx.Commit()
}
