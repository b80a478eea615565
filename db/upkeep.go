package db

import (
	"context"
	_ "embed"
	"time"
)

//go:embed query/partition_ensure.sql
var partitionEnsureSQL string

//go:embed query/idempotency_forget.sql
var idempotencyForgetSQL string

// partitionWeeks is how far ahead the history tables have partitions.
const partitionWeeks = 4

// IdempotencyKept is how long a repeat of a create is recognised.
const IdempotencyKept = 48 * time.Hour

// PartitionsEnsure makes the history tables' partitions of this week and the
// coming ones, and gives how many it made.
func (d *DB) PartitionsEnsure(ctx context.Context) (int, error) {
	var made int
	err := d.pool.QueryRow(ctx, partitionEnsureSQL, partitionWeeks).Scan(&made)
	return made, translate(err)
}

// IdempotencyForget removes keys older than that, 10,000 at most a call.
func (d *DB) IdempotencyForget(ctx context.Context, olderThan time.Duration) (int64, error) {
	tag, err := d.pool.Exec(ctx, idempotencyForgetSQL, olderThan.Seconds())
	return tag.RowsAffected(), translate(err)
}
