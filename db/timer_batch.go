package db

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/idempotency_find_many.sql
var idempotencyFindManySQL string

// TimerCreateAll writes timers of one tenant, all or none. Those whose key had
// been used for the same request are not written again, but given as they stand
// now. A key that was used for another request is CodeConflict, and then nothing
// is written. It takes one statement without keys, and four with them, however
// many timers there are.
func (d *DB) TimerCreateAll(ctx context.Context, timers []NewTimer) (created []Created, err error) {
	keyed := false
	for i := range timers {
		keyed = keyed || timers[i].IdempotencyKey != ""
	}
	if !keyed {
		return d.TimerCreate(ctx, timers)
	}
	defer func() { d.writes.note(writeCreate, err) }()
	var replays []int
	made := map[int]minoots.ID{}
	err = d.InTx(ctx, func(tx Tx) (err error) {
		if created, replays, err = d.insert(ctx, tx, timers); err != nil || len(replays) == 0 {
			return err
		}
		made, err = firstOf(ctx, tx, timers, replays)
		return err
	})
	if err != nil || len(replays) == 0 {
		return created, err
	}
	ids := make([]minoots.ID, 0, len(replays))
	for _, i := range replays {
		ids = append(ids, made[i])
	}
	found, err := d.timerPick(ctx, ids, []string{timers[0].TenantID}, false, len(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[minoots.ID]minoots.Timer, len(found))
	for _, t := range found {
		byID[t.ID] = t
	}
	for _, i := range replays {
		t, ok := byID[made[i]]
		if !ok {
			return nil, minoots.Errorf(minoots.CodeNotFound, "timers[%d] was made before with this key, and is gone by now", i)
		}
		created[i] = Created{Timer: t, DueAt: t.FireAt.Time, Replayed: true}
	}
	return created, nil
}

// firstOf finds the timers that the keys of some made first.
func firstOf(ctx context.Context, tx Tx, timers []NewTimer, which []int) (map[int]minoots.ID, error) {
	keys := make([]string, 0, len(which))
	for _, i := range which {
		keys = append(keys, timers[i].IdempotencyKey)
	}
	rows, err := tx.Query(ctx, idempotencyFindManySQL, timers[0].TenantID, keys)
	if err != nil {
		return nil, err
	}
	type first struct {
		id          minoots.ID
		fingerprint []byte
	}
	known := make(map[string]first, len(which))
	var key string
	var f first
	if _, err := pgx.ForEachRow(rows, []any{&key, &f.id, &f.fingerprint}, func() error {
		known[key] = f
		return nil
	}); err != nil {
		return nil, err
	}
	made := make(map[int]minoots.ID, len(which))
	for _, i := range which {
		f, ok := known[timers[i].IdempotencyKey]
		if !ok || string(f.fingerprint) != string(timers[i].Fingerprint) {
			return nil, &minoots.Error{
				Code: minoots.CodeConflict, Message: "a key was used for a different timer",
				Hint:   "use a new key for a new timer, or send the first body again",
				Fields: []minoots.FieldError{{Path: fmt.Sprintf("idempotencyKeys[%d]", i), Message: "was used for a different timer"}},
			}
		}
		made[i] = f.id
	}
	return made, nil
}
