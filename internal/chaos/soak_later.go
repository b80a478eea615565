package chaos

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// Retention keeps days, and a soak lasts an hour. So its statements are run as
// they are, on connections for which it is later: their search_path finds another
// now() before that of Postgres. No row is touched to look older than it is.

// soakKept is how long finished timers and idempotency keys are kept while a soak
// of some length runs: longer than anybody repeats a request for.
func soakKept(length time.Duration) time.Duration {
	return min(max(length/20, 5*time.Second), time.Minute)
}

// later gives the database as it will find itself after some time.
func (d *database) later(ctx context.Context, by time.Duration) (*db.DB, error) {
	schema := fmt.Sprintf("later_%d", by.Milliseconds())
	for _, sql := range []string{
		"CREATE SCHEMA IF NOT EXISTS " + schema,
		fmt.Sprintf(`CREATE OR REPLACE FUNCTION %s.now() RETURNS timestamptz LANGUAGE sql STABLE
			AS 'SELECT pg_catalog.now() + interval ''%d milliseconds'''`, schema, by.Milliseconds()),
	} {
		if _, err := d.pool.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("make it later: %w", err)
		}
	}
	u, err := url.Parse(d.url)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("search_path", schema+",pg_catalog") // without a blank: pgx would take its + for a plus
	u.RawQuery = query.Encode()
	return db.Connect(ctx, db.Config{URL: u.String(), Name: harnessName, MaxConns: 2})
}

// retain removes the timers and keys that have been over for so long, as if they
// had been for as long as retention keeps them.
func (s *soak) retain(ctx context.Context, kept time.Duration) (removed int64, err error) {
	d, err := s.db.later(ctx, db.FinishedKept-kept)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	// Its key goes before a timer does, as ever.
	for n := int64(1); n > 0; {
		if n, err = d.IdempotencyForget(ctx, db.FinishedKept); err != nil {
			return removed, err
		}
	}
	return forgetAll(ctx, d)
}

func forgetAll(ctx context.Context, d *db.DB) (removed int64, err error) {
	for last, more := (minoots.ID{}), true; more; more = !last.IsZero() {
		var n int64
		if last, n, err = d.TimerForget(ctx, db.FinishedKept, last); err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

// audit holds what is stored to the rules, at a time when what retention has
// removed may be gone.
func (s *soak) audit(ctx context.Context) (db.Audit, error) {
	d, err := s.db.later(ctx, db.FinishedKept)
	if err != nil {
		return db.Audit{}, err
	}
	defer d.Close()
	return d.AuditRun(ctx, db.AuditRequest{})
}

// historyKept is the default, and endless is longer than it by more than a week.
const (
	historyKept = 90 * 24 * time.Hour
	endless     = 120 * 24 * time.Hour
)

// endHistory has retention remove all that is over, history too.
func (s *soak) endHistory(ctx context.Context) error {
	d, err := s.db.later(ctx, endless)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := forgetAll(ctx, d); err != nil {
		return err
	}
	for after := ""; ; {
		partition, became, err := d.PartitionDrop(ctx, historyKept, after)
		if err != nil {
			return err
		}
		if partition == "" {
			break
		}
		s.row.must(became == db.DropDone, "partition %s was not dropped: %s", partition, became)
		after = partition
	}
	_, err = d.HistoryForget(ctx, historyKept)
	return err
}
