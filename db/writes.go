package db

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed query/write_probe.sql
var writeProbeSQL string

// Writes knows whether Postgres takes writes. One that is out of space for its
// tables, or a standby, still answers every read, so that no ping tells. What
// tells are the writes themselves: nothing is asked as long as they succeed.
//
// Each kind of write counts for itself, since with little space left one table
// has room where another has none. Writes are taken again when each kind that was
// refused has succeeded, or when a probe does.
type Writes struct {
	// OnChange, if there, is told why writes are refused when that begins, and nil
	// when they are taken again. It must not block.
	OnChange func(refused error)

	any    atomic.Bool // some are refused; spares the lock while none are
	mu     sync.Mutex
	kinds  map[writeKind]error // those that are refused, and why
	probed time.Time
}

// writeKind is what was written.
type writeKind string

const (
	writeCreate   writeKind = "create"
	writeCancel   writeKind = "cancel"
	writeFire     writeKind = "fire"
	writeRecord   writeKind = "record"
	writeRegister writeKind = "register"
	writeProbe    writeKind = "probe"
)

// note takes in how a write went.
func (w *Writes) note(kind writeKind, err error) {
	why := refusal(err)
	if why == nil && (err != nil || !w.any.Load()) {
		return // another error says nothing about writing
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.kinds)
	switch {
	case kind == writeProbe && why == nil:
		clear(w.kinds)
	case kind == writeProbe: // as before
	case why == nil:
		delete(w.kinds, kind)
	default:
		if w.kinds == nil {
			w.kinds = map[writeKind]error{}
		}
		w.kinds[kind] = why
	}
	w.any.Store(len(w.kinds) > 0)
	if (before > 0) != (len(w.kinds) > 0) && w.OnChange != nil {
		w.OnChange(why)
	}
}

// refused gives why writes are refused, nil if they are not. Once a probeEvery it
// asks its caller to probe.
func (w *Writes) refused() (why error, probe bool) {
	if !w.any.Load() {
		return nil, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, why = range w.kinds {
		break // any
	}
	if probe = time.Since(w.probed) >= probeEvery; probe {
		w.probed = time.Now()
	}
	return why, probe
}

// probeEvery is the least time between two probes.
const probeEvery = time.Second

// WritesRefused gives why Postgres refuses writes, nil if it takes them as far as
// is known. While it refuses them, and only then, it is probed, by whoever asks.
func (d *DB) WritesRefused(ctx context.Context) error {
	why, probe := d.writes.refused()
	if !probe {
		return why
	}
	// The connections may lead to a server that is not the primary any more.
	d.pool.Reset()
	_, err := d.pool.Exec(ctx, writeProbeSQL)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		err = nil // no right to make a temporary table: the next write will tell
	}
	d.writes.note(writeProbe, err)
	why, _ = d.writes.refused()
	return why
}

// refusal gives what Postgres said if it refused to write anything, whatever it
// was: out of disk space, an error of the disk, read-only.
func refusal(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return nil
	}
	switch pg.Code {
	case "53100", "58030", "25006":
		return fmt.Errorf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	default:
		return nil
	}
}
