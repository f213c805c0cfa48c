package account

import (
	"context"
	"database/sql"
	"fmt"
)

// Orphans counts the rows that refer to rows which are not there. SQLite makes none while its foreign keys are on, as ours are; another program may.
// That the file itself is whole, Open has seen.
func (d *Directory) Orphans(ctx context.Context) (n int64, err error) {
	err = d.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("check accounts: %w", asDamage(err))
	}
	return n, nil
}
