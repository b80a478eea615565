package db

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/minoots/minoots"
)

//go:embed query/waiting_renew.sql
var waitingRenewSQL string

// Tenants count as waiting for waitingFor after WaitingRenew, or for WaitingKept at
// least if another replica has renewed them just before.
const (
	waitingFor  = 30 * time.Second
	WaitingKept = 20 * time.Second
)

// Ear hears which timers are over, from a Session. None of it may block.
type Ear interface {
	// Listens tells whether it is told from now on, or not any more. What was over
	// before may not have been told.
	Listens(on bool)
	// TimersOver tells of timers of any tenants, while any of them wait; more
	// says that there are others.
	TimersOver(ids []minoots.ID, more bool)
}

// WaitingRenew has every statement that ends timers of these tenants tell so, for
// the next WaitingKept at least. What has been ended by a transaction under way is
// told or not: look for it afterwards.
func (d *DB) WaitingRenew(ctx context.Context, tenants []string) error {
	_, err := d.pool.Exec(ctx, waitingRenewSQL, tenants, waitingFor.Seconds(), WaitingKept.Seconds())
	return translate(err)
}

// parseOver reads a payload of minoots_over: ids. more says that there are others;
// so does a payload that is not understood, which may come from a newer version.
func parseOver(payload string) (ids []minoots.ID, more bool) {
	for part := range strings.SplitSeq(payload, ",") {
		id, err := minoots.ParseID(part)
		if err != nil {
			return ids, true
		}
		ids = append(ids, id)
	}
	return ids, false
}
