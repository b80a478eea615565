package testdb

import (
	"testing"

	"github.com/minoots/minoots/internal/pgbouncer"
)

// PgBouncer starts a pgbouncer in transaction mode before the database, with no
// more than two connections to it so that statements change connections all the
// time, and gives the URL through it. It ends with the test.
//
// Without pgbouncer the test fails rather than being skipped: that mode is
// supported, and a test that nobody runs supports nothing.
func (d *DB) PgBouncer(t testing.TB) string {
	t.Helper()
	through, stop, err := pgbouncer.Start(t.Context(), d.URL, 2)
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(stop)
	return through
}
