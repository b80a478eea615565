package db

import (
	"context"
	_ "embed"
	"hash/fnv"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/timer_create.sql
var timerCreateSQL string

// NewTimer is a validated spec on its way into the database.
type NewTimer struct {
	ID       minoots.ID
	TenantID string
	Spec     minoots.TimerSpec
	// IdempotencyKey, if not empty, makes a repeat give the first timer again.
	// Fingerprint, of what was asked for, tells a repeat from another request.
	IdempotencyKey string
	Fingerprint    []byte
}

// Created is what became of one NewTimer.
type Created struct {
	Timer minoots.Timer
	// DueAt is when a kernel will claim it: FireAt and its jitter.
	DueAt time.Time
	// Replayed says that the key had been used for the same request before:
	// Timer is that one, as it stands now.
	Replayed bool
	// Err is CodeConflict if the key had been used for another request: then
	// nothing was written for this one.
	Err error
}

// TimerCreate writes all the timers or none, in one statement, but for those
// whose idempotency key had been used: see Created.
func (d *DB) TimerCreate(ctx context.Context, timers []NewTimer) (created []Created, err error) {
	defer func() { d.writes.note(writeCreate, err) }()
	created, replays, err := d.insert(ctx, d.pool, timers)
	if err != nil {
		return nil, err
	}
	for _, i := range replays {
		created[i] = d.replay(ctx, &timers[i])
	}
	return created, nil
}

// insert runs timer_create.sql. replays are the indexes of those that were not
// written, because their key had been used.
func (d *DB) insert(ctx context.Context, q querier, timers []NewTimer) (created []Created, replays []int, err error) {
	cols := newTimerColumns(len(timers))
	anchor := minoots.InstantOf(d.clock.Now())
	for i := range timers {
		if err := cols.add(&timers[i], anchor, 0); err != nil {
			return nil, nil, err
		}
	}
	sent := time.Now()
	rows, err := q.Query(ctx, timerCreateSQL, cols.args()...)
	if err != nil {
		return nil, nil, translate(err)
	}
	defer rows.Close()
	created = make([]Created, 0, len(timers))
	var clock time.Time
	for i := 0; rows.Next(); i++ {
		var fireAt, dueAt, createdAt time.Time
		var fresh bool
		if err := rows.Scan(&fireAt, &dueAt, &createdAt, &fresh, &clock); err != nil {
			return nil, nil, translate(err)
		}
		if !fresh {
			replays = append(replays, i)
		}
		created = append(created, Created{Timer: asCreated(&timers[i], fireAt, createdAt), DueAt: dueAt})
	}
	if err := rows.Err(); err != nil {
		return nil, nil, translate(err)
	}
	d.clock.Observe(sent, time.Now(), clock)
	return created, replays, nil
}

// asCreated is the timer as a read would give it, without the read.
func asCreated(n *NewTimer, fireAt, createdAt time.Time) minoots.Timer {
	s := &n.Spec
	t := minoots.Timer{
		ID: n.ID, TenantID: n.TenantID, Name: s.Name, RequestedBy: s.RequestedBy,
		Status: minoots.StatusScheduled, Version: 1, Labels: s.Labels, Metadata: s.Metadata,
		ActionBundle: s.ActionBundle, AgentBinding: s.AgentBinding, Recurrence: s.Recurrence, Misfire: s.Misfire, JitterMs: s.JitterMs,
		FireAt: instant(fireAt), CreatedAt: instant(createdAt), UpdatedAt: instant(createdAt),
	}
	if s.Duration != nil {
		d := minoots.Duration(roundUp(*s.Duration))
		t.Duration = &d
	}
	fillDerived(&t)
	return t
}

// roundUp gives whole microseconds, as Postgres keeps them: up, because a
// duration that is cut short would let a timer fire early.
func roundUp(d minoots.Duration) time.Duration {
	return (time.Duration(d) + time.Microsecond - 1).Truncate(time.Microsecond)
}

//go:embed query/idempotency_find.sql
var idempotencyFindSQL string

// replay answers a create whose key had been taken.
func (d *DB) replay(ctx context.Context, n *NewTimer) Created {
	var id minoots.ID
	var fingerprint []byte
	err := d.pool.QueryRow(ctx, idempotencyFindSQL, n.TenantID, n.IdempotencyKey).Scan(&id, &fingerprint)
	if err != nil {
		return Created{Err: translate(err)}
	}
	if string(fingerprint) != string(n.Fingerprint) {
		return Created{Err: &minoots.Error{
			Code: minoots.CodeConflict, Message: "this Idempotency-Key was used for a different request",
			Hint: "use a new key for a new timer, or send the first body again",
		}}
	}
	timer, err := d.TimerGet(ctx, n.TenantID, id)
	return Created{Timer: timer, DueAt: timer.FireAt.Time, Replayed: true, Err: err}
}

//go:embed query/timer_cancel.sql
var timerCancelSQL string

// TimerCancel cancels a timer that has not fired, and gives it as it then
// stands. One that is over is given unchanged; one whose actions are running is
// CodeConflict: the fire won.
func (d *DB) TimerCancel(ctx context.Context, tenant string, id minoots.ID, reason, by *string) (minoots.Timer, error) {
	var was minoots.Status
	var cancelled bool
	err := d.pool.QueryRow(ctx, timerCancelSQL, id, tenant, reason, by).Scan(&was, &cancelled)
	d.writes.note(writeCancel, err)
	if err != nil {
		return minoots.Timer{}, notFound(translate(err), "timer")
	}
	if !cancelled && !was.Terminal() {
		return minoots.Timer{}, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the timer has fired and its actions are running; it can no longer be cancelled",
		}
	}
	return d.TimerGet(ctx, tenant, id)
}

// timerColumns is a batch of timers turned on its side: one array a column.
type timerColumns struct {
	ids                                         []minoots.ID
	tenants, names, requestedBy                 []string
	durationUs                                  []*int64
	at                                          []*time.Time
	jitterMs                                    []int32
	jitterUs                                    []int64
	labels, metadata, bundle, binding, misfires []*string
	recurrences                                 []*string
	anchors                                     []*time.Time
	maySkip                                     []*bool
	actions                                     []int16
	keys                                        []*string
	fingerprints                                [][]byte
	buffer                                      []byte // of the value that is being written
}

func newTimerColumns(n int) *timerColumns {
	return &timerColumns{
		ids: make([]minoots.ID, 0, n), tenants: make([]string, 0, n), names: make([]string, 0, n),
		requestedBy: make([]string, 0, n), durationUs: make([]*int64, 0, n), at: make([]*time.Time, 0, n),
		jitterMs: make([]int32, 0, n), jitterUs: make([]int64, 0, n), labels: make([]*string, 0, n),
		metadata: make([]*string, 0, n), bundle: make([]*string, 0, n), binding: make([]*string, 0, n),
		misfires: make([]*string, 0, n), recurrences: make([]*string, 0, n), anchors: make([]*time.Time, 0, n),
		maySkip: make([]*bool, 0, n), actions: make([]int16, 0, n), keys: make([]*string, 0, n),
		fingerprints: make([][]byte, 0, n),
	}
}

// add takes in a timer. A recurrence counts from the anchor, and has had so many
// occurrences; its defaults are written out in the spec.
func (c *timerColumns) add(n *NewTimer, anchor minoots.Instant, fired int) error {
	s := &n.Spec
	c.ids = append(c.ids, n.ID)
	c.tenants = append(c.tenants, n.TenantID)
	c.names = append(c.names, s.Name)
	c.requestedBy = append(c.requestedBy, s.RequestedBy)
	c.jitterMs = append(c.jitterMs, int32(s.JitterMs))
	c.jitterUs = append(c.jitterUs, jitter(n.ID, fired+1, s.JitterMs).Microseconds())
	c.fingerprints = append(c.fingerprints, n.Fingerprint)
	var us *int64
	if s.Duration != nil {
		v := roundUp(*s.Duration).Microseconds()
		us = &v
	}
	c.durationUs = append(c.durationUs, us)
	var at *time.Time
	var counts *time.Time
	if s.FireAt != nil {
		at = &s.FireAt.Time
	}
	if s.Recurrence != nil {
		first, err := arm(s, anchor.Time, fired)
		if err != nil {
			return err
		}
		at, counts = &first.Time, &anchor.Time
	}
	c.at = append(c.at, at)
	c.anchors = append(c.anchors, counts)
	var maySkip *bool
	if s.Recurrence == nil && s.Misfire != nil && (s.Misfire.Policy == minoots.MisfireSkip || s.Misfire.MaxLatenessMs > 0) {
		maySkip = new(bool)
		*maySkip = true
	}
	c.maySkip = append(c.maySkip, maySkip)
	var key *string
	if n.IdempotencyKey != "" {
		key = &n.IdempotencyKey
	}
	c.keys = append(c.keys, key)
	actions := 0
	if s.ActionBundle != nil {
		actions = len(s.ActionBundle.Actions)
	}
	c.actions = append(c.actions, int16(actions))
	return c.addJSON(s)
}

func (c *timerColumns) args() []any {
	return []any{
		c.ids, c.tenants, c.names, c.requestedBy, anyOf(c.durationUs), anyOf(c.at), c.jitterMs, c.jitterUs,
		anyOf(c.labels), anyOf(c.metadata), anyOf(c.bundle), anyOf(c.binding), anyOf(c.misfires), c.actions,
		anyOf(c.keys), c.fingerprints, anyOf(c.recurrences), anyOf(c.anchors), anyOf(c.maySkip),
	}
}

// anyOf gives a column, or none at all if it has nothing but nulls, as most have:
// unnest makes up for what is missing.
func anyOf[T any](column []*T) []*T {
	for _, v := range column {
		if v != nil {
			return column
		}
	}
	return nil
}

// jitter is where in its window an occurrence falls: the same whoever computes
// it, and spread evenly over timers.
func jitter(id minoots.ID, occurrence int, windowMs int64) time.Duration {
	if windowMs <= 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write(id[:])
	h.Write([]byte{byte(occurrence >> 24), byte(occurrence >> 16), byte(occurrence >> 8), byte(occurrence)})
	return time.Duration(h.Sum64() % uint64(windowMs*int64(time.Millisecond)))
}
