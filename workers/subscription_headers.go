package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/action"
)

// headersMost bounds how many subscriptions' headers are remembered.
const headersMost = 10_000

// headers puts the headers of subscriptions that are sealed at rest into their
// deliveries, for an attempt. It remembers them: a job says as of which version of
// its subscription they are, so that what is remembered is never out of date.
type headers struct {
	db     *db.DB
	log    *slog.Logger
	reads  singleflight.Group // so that a storm makes one query
	locked lockedLog

	mu    sync.Mutex
	known map[minoots.ID]versionedHeaders
}

type versionedHeaders struct {
	version int
	values  map[string]string
}

func newHeaders(d *db.DB, log *slog.Logger) *headers {
	return &headers{db: d, log: log, known: map[minoots.ID]versionedHeaders{}}
}

// put gives the delivery with its subscription's headers. What others are told of
// a failure names nothing.
func (h *headers) put(ctx context.Context, d *minoots.Delivery) (minoots.Delivery, *minoots.Outcome) {
	values, err := h.of(ctx, d)
	if err == nil {
		var with minoots.Delivery
		if with, err = d.WithHeaders(values); err == nil {
			return with, nil
		}
	}
	h.locked.tell(h.log, time.Now(), "the headers of a subscription", err)
	return *d, &minoots.Outcome{
		Retryable: true, ErrorClass: action.ClassSigning, Error: "the subscription's headers could not be read",
	}
}

func (h *headers) of(ctx context.Context, d *minoots.Delivery) (map[string]string, error) {
	id := d.Subscription.ID
	if known := h.recall(id); known.version >= d.Subscription.Sealed {
		return known.values, nil
	}
	// The read belongs to all who wait for it, so none of them can cancel it.
	read := h.reads.DoChan(id.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), secretsTimeout)
		defer cancel()
		values, version, err := h.db.SubscriptionHeaders(ctx, d.TenantID, id)
		if err == nil {
			h.remember(id, versionedHeaders{version, values})
		}
		return values, err
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-read:
		values, _ := result.Val.(map[string]string)
		return values, result.Err
	}
}

func (h *headers) recall(id minoots.ID) versionedHeaders {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[id]
}

func (h *headers) remember(id minoots.ID, v versionedHeaders) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= headersMost {
		clear(h.known)
	}
	h.known[id] = v
}
