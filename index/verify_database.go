package index

import (
	"context"
	"fmt"
)

// wholeChecks count what must not be there. Each is one statement, which sees no transaction half done.
func (v *verifier) wholeChecks() map[string]string {
	checks := map[string]string{
		"messages whose words are missing":     `SELECT count(*) FROM message WHERE id NOT IN (SELECT id FROM terms_docsize)`,
		"words of messages that are gone":      `SELECT count(*) FROM terms_docsize WHERE id NOT IN (SELECT id FROM message)`,
		"references of messages that are gone": `SELECT count(*) FROM reference WHERE id NOT IN (SELECT id FROM message)`,
		"fields of messages that are gone":     `SELECT count(*) FROM extra WHERE id NOT IN (SELECT id FROM message)`,
		"texts of messages that are gone":      `SELECT count(*) FROM bodies_docsize WHERE id NOT IN (SELECT id FROM message)`,
		"messages of folders that are gone":    `SELECT count(*) FROM message WHERE folder NOT IN (SELECT id FROM folder)`,
		"folders with wrong totals":            wrongTotals,
	}
	return checks
}

// database looks at the file as a whole.
func (v *verifier) database(ctx context.Context) error {
	read := v.ix.current().read
	for what, text := range v.wholeChecks() {
		var n int64
		if err := read.QueryRowContext(ctx, text).Scan(&n); err != nil {
			return v.broken(err)
		}
		if n > 0 {
			if err := v.found(Difference{Kind: BadDatabase, What: fmt.Sprintf("%s: %d", what, n)}); err != nil {
				return err
			}
		}
	}
	faults, err := quickCheck(ctx, read, 10)
	for _, line := range faults {
		if err := v.found(Difference{Kind: BadDatabase, What: line}); err != nil {
			return err
		}
	}
	return v.broken(err)
}

// broken makes a finding of an error that is damage.
func (v *verifier) broken(err error) error {
	if faultOf(err) == faultDamaged {
		return v.found(Difference{Kind: BadDatabase, What: err.Error()})
	}
	return err
}
