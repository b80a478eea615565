package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// The indexes that a bulk load does without: all but the primary keys, into which
// ids that grow are put at the end.
const loadIndexes = `
	SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition, i.indrelid::regclass::text AS of
	FROM pg_index i
	WHERE i.indrelid IN ('minoots.timers'::regclass, 'minoots.timer_states'::regclass) AND NOT i.indisprimary`

type loadIndex struct{ Name, Definition, Of string }

// load is seed for many millions: the two tables at once, each in one statement, and
// the indexes built when the rows are there. So these are as a REINDEX leaves them,
// which the report says.
func (d *database) load(ctx context.Context, l *lab, s seed) error {
	rows, err := d.pool.Query(ctx, loadIndexes)
	if err != nil {
		return fmt.Errorf("find the indexes: %w", err)
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[loadIndex])
	if err != nil {
		return fmt.Errorf("find the indexes: %w", err)
	}
	for _, index := range indexes {
		if _, err := d.pool.Exec(ctx, "DROP INDEX "+index.Name); err != nil {
			return fmt.Errorf("drop index %s: %w", index.Name, err)
		}
	}
	began := time.Now()
	states, timers := s.statements()
	tables := map[string]seedStatement{"minoots.timer_states": states, "minoots.timers": timers}
	g, gctx := errgroup.WithContext(ctx)
	for table, insert := range tables {
		g.Go(func() error {
			return d.loadTable(gctx, insert, table, indexes)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("load %s timers: %w", number(float64(s.timers)), err)
	}
	l.report.Notes = append(l.report.Notes, fmt.Sprintf("%s timers were loaded in %s, and their indexes built afterwards",
		number(float64(s.timers)), time.Since(began).Round(time.Second)))
	return d.calm(ctx)
}

// loadTable writes a table's rows and then builds its indexes, with memory to sort in.
func (d *database) loadTable(ctx context.Context, insert seedStatement, table string, indexes []loadIndex) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SET maintenance_work_mem = '256MB'"); err != nil {
		return err
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), "RESET maintenance_work_mem") }()
	if _, err := conn.Exec(ctx, insert.sql, insert.args...); err != nil {
		return err
	}
	for _, index := range indexes {
		if index.Of != table {
			continue
		}
		if _, err := conn.Exec(ctx, index.Definition); err != nil {
			return fmt.Errorf("build index %s: %w", index.Name, err)
		}
	}
	return nil
}
