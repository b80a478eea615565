package db

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/event_reader_take.sql
var eventReaderTakeSQL string

//go:embed query/event_reader_move.sql
var eventReaderMoveSQL string

//go:embed query/event_reader_leave.sql
var eventReaderLeaveSQL string

// EventReader is a reader of the log of which there is one in all replicas. Its
// place stands in Postgres, and a lease says which replica has it.
type EventReader struct {
	DB      *DB
	Name    string        // of the reader, such as nats
	Replica string        // who asks
	Lease   time.Duration // how long it is kept without a word
}

// Take takes the reader, or keeps it, and gives where it goes on: from the oldest
// event that is kept, if it has never been anywhere. ok is false while another
// replica has it.
func (r *EventReader) Take(ctx context.Context) (after EventCursor, ok bool, err error) {
	var text string
	err = r.DB.pool.QueryRow(ctx, eventReaderTakeSQL, r.Name, r.Replica, r.Lease.Seconds()).Scan(&text)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return after, false, nil
	case err != nil:
		return after, false, translate(err)
	case text == "":
		after, err = r.DB.EventOldest(ctx)
		return after, err == nil, err
	}
	if after, err = ParseEventCursor(text); err != nil {
		return after, false, &minoots.Error{Code: minoots.CodeInternal, Message: "the cursor of reader " + r.Name + " cannot be read", Err: err}
	}
	return after, true, nil
}

// Move notes that all up to a place has been dealt with, and keeps the reader. ok
// is false if another replica has it by now: nothing is noted then.
func (r *EventReader) Move(ctx context.Context, to EventCursor, events int, level bool) (ok bool, err error) {
	tag, err := r.DB.pool.Exec(ctx, eventReaderMoveSQL, r.Name, r.Replica, r.Lease.Seconds(), to.String(), events, level)
	return tag.RowsAffected() == 1, translate(err)
}

// Leave gives the reader back.
func (r *EventReader) Leave(ctx context.Context) error {
	_, err := r.DB.pool.Exec(ctx, eventReaderLeaveSQL, r.Name, r.Replica)
	return translate(err)
}
