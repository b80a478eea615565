package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/timer_bulk_find.sql
var timerBulkFindSQL string

//go:embed query/timer_bulk_walk.sql
var timerBulkWalkSQL string

const (
	// bulkStretch is how many timers a statement looks at that walks by id: some
	// tenths of a second.
	bulkStretch = 50_000
	// bulkLookTime is after how long no further stretch is begun.
	bulkLookTime = 8 * time.Second
)

// bulkFound are timers that a change of many is meant for.
type bulkFound struct {
	ids    []minoots.ID // in order
	next   minoots.ID   // after which there may be more; zero if there are not
	filter []any        // as the statements that change them want it
}

// bulkFind finds what a change is meant for. What an index leaves few of is looked
// up and sorted; of more than that, one in a few that come next by id is meant, so
// these are walked until there are enough, or time is up.
func (d *DB) bulkFind(ctx context.Context, tenant string, c *BulkChange, req BulkRequest) (bulkFound, error) {
	return d.bulkFindAmong(ctx, tenant, c, req, fewTimers, bulkStretch)
}

func (d *DB) bulkFindAmong(ctx context.Context, tenant string, c *BulkChange, req BulkRequest, few, stretch int) (found bulkFound, err error) {
	f, err := req.Filter.columns()
	if err != nil {
		return found, err
	}
	statuses := c.statuses
	if len(f.statuses) > 0 {
		statuses = f.statuses
	}
	found.filter = []any{tenant, statuses, f.name, f.prefix, f.requestedBy, f.labels, f.dueAfter, f.dueBefore}
	args := func(after minoots.ID, limit, among int) []any {
		return []any{
			pgx.QueryExecModeCacheDescribe, tenant, after, statuses, f.name, f.prefix, f.requestedBy, f.labels,
			f.dueAfter, f.dueBefore, c.oneShot, limit, among,
		}
	}
	rows, err := d.pool.Query(ctx, timerBulkFindSQL, args(req.After, req.Limit+1, few)...)
	if err != nil {
		return found, translate(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[*minoots.ID])
	if err != nil {
		return found, translate(err)
	}
	if len(ids) == 1 && ids[0] == nil {
		err = d.bulkWalk(ctx, &found, req, stretch, args)
		return found, translate(err)
	}
	for _, id := range ids {
		found.add(*id, req.Limit)
	}
	return found, nil
}

// bulkWalk goes by stretches, each a statement, so that none takes long whatever
// the filter.
func (d *DB) bulkWalk(
	ctx context.Context, found *bulkFound, req BulkRequest, stretch int, args func(after minoots.ID, limit, among int) []any,
) error {
	began, after := time.Now(), req.After
	for {
		var ids []minoots.ID
		var upto *minoots.ID
		err := d.pool.QueryRow(ctx, timerBulkWalkSQL, args(after, req.Limit-len(found.ids)+1, stretch)...).Scan(&ids, &upto)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if found.add(id, req.Limit) {
				return nil
			}
		}
		switch {
		case upto == nil:
			return nil
		case time.Since(began) > bulkLookTime:
			found.next = *upto
			return nil
		}
		after = *upto
	}
}

// add adds one, if there may be more, and else notes where to go on.
func (f *bulkFound) add(id minoots.ID, limit int) (full bool) {
	if len(f.ids) == limit {
		f.next = f.ids[limit-1]
		return true
	}
	f.ids = append(f.ids, id)
	return false
}
