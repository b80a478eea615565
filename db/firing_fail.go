package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/firing_fail.sql
var firingFailSQL string

// RefusedReason is what a caller is told of a firing of whose actions no jobs can
// be made; what Postgres said is for the log.
const RefusedReason = "its definition holds a value that cannot be stored in a job, such as a number out of range"

// FiringFail fails a running firing and its timer, in a transaction that has
// made or locked both: what becomes of a timer of whose actions no jobs can be
// made.
func FiringFail(ctx context.Context, tx Tx, timer minoots.ID, occurrence int, dueAt time.Time, reason string) error {
	_, err := tx.Exec(ctx, firingFailSQL, timer, occurrence, dueAt, reason)
	return translate(err)
}
