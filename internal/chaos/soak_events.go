package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
	"github.com/minoots/minoots/internal/rig"
)

// eventBook notes the events of a tenant that somebody has got, by a subscription
// or by a stream.
type eventBook struct {
	what   string // who
	tenant string
	loose  bool // at least once is what is promised, in no order

	mu      sync.Mutex
	seen    map[int64]string // webhook-ids by events
	renamed int              // events that came under another webhook-id than before
	twice   int              // repeats
	order   map[strand]lastEvent
	jumbled int // events of a timer behind a later one
	example string
	broken  []string
}

type lastEvent struct {
	seq  int64
	kind minoots.EventType
}

func newEventBook(what, tenant string) *eventBook {
	return &eventBook{what: what, tenant: tenant, seen: map[int64]string{}, order: map[strand]lastEvent{}}
}

// note takes an event in, and tells whether it is the first time.
func (b *eventBook) note(e *minoots.Event, webhookID string) (first bool, err error) {
	seq, err := strconv.ParseInt(e.ID, 10, 64)
	if err != nil || e.TenantID != b.tenant {
		return false, fmt.Errorf("event %q of tenant %q", e.ID, e.TenantID)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	was, there := b.seen[seq]
	if there {
		b.twice++
		if was != webhookID {
			b.renamed++
		}
		return false, nil
	}
	b.seen[seq] = webhookID
	b.hold(e, seq)
	return true, nil
}

// strand is what happens one after the other: to a timer, to a firing, or by an
// action of it. Two actions may end at the same moment, and so may one of an
// earlier firing.
type strand struct {
	timer      minoots.ID
	occurrence int
	action     string
}

// hold holds an event to the order in which things have happened. The lock is held.
func (b *eventBook) hold(e *minoots.Event, seq int64) {
	var of struct{ ActionID string }
	if len(e.Data) > 0 {
		_ = json.Unmarshal(e.Data, &of) // what is not there is not told
	}
	firing, own := strand{timer: e.TimerID, occurrence: e.Occurrence}, strand{e.TimerID, e.Occurrence, of.ActionID}
	before := b.order[own]
	if own != firing && b.order[firing].seq == 0 {
		before = lastEvent{math.MaxInt64, minoots.EventTimerFired} // still to come
	}
	if before.seq > seq {
		b.jumbled++
		b.example = fmt.Sprintf("%s %d behind %s %d of timer %s", e.Type, seq, before.kind, before.seq, e.TimerID)
	}
	b.order[own] = lastEvent{seq, e.Type}
}

func (b *eventBook) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.broken) < 10 {
		b.broken = append(b.broken, what)
	}
}

// ServeHTTP receives a subscription's webhooks. One event in thirty is taken only
// when it comes again.
func (b *eventBook) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var e minoots.Event
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&e)
	first := false
	if err == nil {
		first, err = b.note(&e, req.Header.Get("webhook-id"))
	}
	switch {
	case err != nil:
		b.complain("a delivery that is no event of its tenant: " + err.Error())
		w.WriteHeader(http.StatusNoContent) // or else it would come again and again
	case first && rand.IntN(30) == 0:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// followEvery is how long a stream is followed at one replica: then the next one
// goes on where it was.
const followEvery = 4 * time.Second

// follow reads the stream of events of a tenant until ctx is done, at one replica
// after another.
func (b *eventBook) follow(ctx context.Context, w *world, key string) {
	after := "oldest"
	for ctx.Err() == nil {
		apis := w.apis()
		if len(apis) == 0 {
			_ = rig.Pause(ctx, 100*time.Millisecond) // ends with the loop
			continue
		}
		after = b.followOne(ctx, apis[rand.IntN(len(apis))], key, after)
	}
}

func (b *eventBook) followOne(ctx context.Context, api, key, after string) (cursor string) {
	ctx, cancel := context.WithTimeout(ctx, followEvery)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := client.New(api, key, client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		panic(err) // both are ours
	}
	for e, err := range c.Events(ctx, client.EventFilter{After: after}) {
		if err == nil {
			_, err = b.note(&e.Event, "")
			after = e.Cursor
		}
		if err != nil && ctx.Err() == nil {
			b.complain(b.what + ": " + err.Error())
			_ = rig.Pause(ctx, time.Second) // ends with the caller's loop
			return after
		}
	}
	return after
}

// missing counts the events of the tenant in the log that nobody has got, and those
// that were got and are not in the log.
func (b *eventBook) missing(ctx context.Context, d *database) (missing, madeUp int, err error) {
	b.mu.Lock()
	seen := slices.Collect(maps.Keys(b.seen))
	b.mu.Unlock()
	err = d.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE got IS NULL), count(*) FILTER (WHERE e.seq IS NULL)
		FROM (SELECT seq FROM minoots.events WHERE tenant_id = $1) e
		FULL JOIN unnest($2::bigint[]) AS got ON got = e.seq`, b.tenant, seen).Scan(&missing, &madeUp)
	return missing, madeUp, err
}

// judge holds what was got to the log. A stream gives each event once and those of
// a timer in order; a subscription promises neither.
func (b *eventBook) judge(ctx context.Context, d *database, r *Row) error {
	missing, madeUp, err := b.missing(ctx, d)
	if err != nil {
		return fmt.Errorf("look for events: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.note("%s: %d events of %s, %d repeated", b.what, len(b.seen), b.tenant, b.twice)
	r.must(len(b.seen) > 0, "%s: no event of %s came", b.what, b.tenant)
	r.must(missing == 0, "%s: %d events of %s never came", b.what, missing, b.tenant)
	r.must(madeUp == 0, "%s: %d events of %s came that are not in the log", b.what, madeUp, b.tenant)
	r.must(b.renamed == 0, "%s: %d events came under another webhook-id", b.what, b.renamed)
	if !b.loose {
		r.must(b.twice == 0, "%s: %d events came twice", b.what, b.twice)
		r.must(b.jumbled == 0, "%s: %d events came behind a later one of their timer, such as %s", b.what, b.jumbled, b.example)
	}
	r.Broken = append(r.Broken, b.broken...)
	return nil
}

// subscribe has all events of a tenant sent to a path of the receiver.
func (l *soakLoad) subscribe(ctx context.Context, tenant *caller, path string) bool {
	body, err := json.Marshal(minoots.SubscriptionSpec{
		Name: "soak", URL: l.world.receiver.url + path, Topics: []string{"*"},
		RetryPolicy: &minoots.RetryPolicy{BackoffInitialMs: 200},
	})
	if err != nil {
		panic(err) // it is ours, and encodes
	}
	var made struct{ ID string }
	return l.try(ctx, time.Now().Add(patience), func(api string) string {
		return tenant.post(ctx, api+"/v1/subscriptions", "", body, &made)
	})
}
