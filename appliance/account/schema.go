package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// applicationID stands in the file's header: "mAcc".
const applicationID = 0x6d416363

// migrations are the steps from an empty file to the present schema. A step is
// never changed once it has been released; a new one goes to the end.
func migrations() []string {
	return []string{`
PRAGMA application_id = 0x6d416363;

CREATE TABLE domains (
	id        INTEGER PRIMARY KEY,
	name      TEXT NOT NULL UNIQUE,    -- lower case, A-labels
	created_s INTEGER NOT NULL         -- Unix time, as all columns named _s
) STRICT;

CREATE TABLE accounts (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	domain_id      INTEGER NOT NULL REFERENCES domains (id),
	local          TEXT NOT NULL,      -- local-part, lower case, NFC
	password_hash  TEXT NOT NULL,      -- PHC string; '' = cannot log in
	suspended      INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
	quota_octets   INTEGER NOT NULL DEFAULT 0 CHECK (quota_octets >= 0),   -- 0 = no limit
	quota_messages INTEGER NOT NULL DEFAULT 0 CHECK (quota_messages >= 0), -- 0 = no limit
	created_s      INTEGER NOT NULL,
	UNIQUE (domain_id, local)
) STRICT;

CREATE TABLE aliases (
	id        INTEGER PRIMARY KEY,
	domain_id INTEGER NOT NULL REFERENCES domains (id),
	local     TEXT NOT NULL,
	created_s INTEGER NOT NULL,
	UNIQUE (domain_id, local)
) STRICT;

-- A target is kept by name, for it may be an account or another alias.
CREATE TABLE alias_targets (
	alias_id INTEGER NOT NULL REFERENCES aliases (id) ON DELETE CASCADE,
	position INTEGER NOT NULL,         -- order of addition, from 1
	domain   TEXT NOT NULL,
	local    TEXT NOT NULL,
	PRIMARY KEY (alias_id, domain, local)
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_targets_by_name ON alias_targets (domain, local);
`, `
CREATE TABLE app_passwords (
	id            INTEGER PRIMARY KEY,
	account_id    INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	name          TEXT NOT NULL,              -- what its user calls it, NFC
	password_hash TEXT NOT NULL,              -- PHC string; those of one account have one salt
	created_s     INTEGER NOT NULL,
	used_s        INTEGER NOT NULL DEFAULT 0, -- last login, to the hour; 0 = never
	UNIQUE (account_id, name)
) STRICT;

-- A change of an account's name that has begun: until its mail has followed.
CREATE TABLE renames (
	account_id  INTEGER PRIMARY KEY REFERENCES accounts (id),
	from_domain TEXT NOT NULL,
	from_local  TEXT NOT NULL,
	to_domain   TEXT NOT NULL,
	to_local    TEXT NOT NULL,
	keep_alias  INTEGER NOT NULL CHECK (keep_alias IN (0, 1)),
	created_s   INTEGER NOT NULL,
	UNIQUE (from_domain, from_local),
	UNIQUE (to_domain, to_local)
) STRICT;
`, `
-- A limit of its own is told from none and from the default, which is in the configuration. Nothing had set the columns of before.
ALTER TABLE accounts ADD COLUMN limit_octets   INTEGER CHECK (limit_octets >= 0);   -- NULL = the default, 0 = none
ALTER TABLE accounts ADD COLUMN limit_messages INTEGER CHECK (limit_messages >= 0); -- as limit_octets
UPDATE accounts SET limit_octets = nullif(quota_octets, 0), limit_messages = nullif(quota_messages, 0);
ALTER TABLE accounts DROP COLUMN quota_octets;
ALTER TABLE accounts DROP COLUMN quota_messages;
-- How full the account was, in per cent, when its user was last told; 0 = nothing to tell of since it was below.
ALTER TABLE accounts ADD COLUMN warned_percent INTEGER NOT NULL DEFAULT 0 CHECK (warned_percent >= 0);
`}
}

// migrate brings a file from the version it has to the last of the steps, each
// step a transaction. Two processes may do so at once.
func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	for n := range steps {
		if err := step(ctx, db, n, steps[n]); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", n+1, err)
		}
	}
	return nil
}

// step goes from version n to n+1, if the file is at n.
func step(ctx context.Context, db *sql.DB, n int, statements string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var version int
	err = tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
	if err == nil && version == n {
		_, err = tx.ExecContext(ctx, statements)
		if err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", n+1))
		}
	}
	if err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}
