package chaos

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/minoots/minoots"
)

const (
	// soakTick is how often the load looks how many timers it owes.
	soakTick = 20 * time.Millisecond
	// soakBatch is how many timers one request creates in a batch.
	soakBatch = 20
	// soakDistant is how many timers wait at any time that are due only long after
	// the run: with one more, the oldest is cancelled.
	soakDistant = 300
)

// soakGaps are those between two occurrences of the timers that come back. Each
// divides a minute: a cron means the same.
var soakGaps = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 3 * time.Second}

// soakLoad creates timers of all sorts at a steady rate, cancels some, and gives
// the ledger what is acknowledged.
type soakLoad struct {
	world    *world
	ledger   *ledger
	callers  []*caller // one a tenant
	rate     int
	farthest time.Duration // due at most so long after the creation
	patience time.Duration // with one creation
	done     chan struct{} // closed when nothing is created or cancelled any more

	mu       sync.Mutex
	rng      *rand.Rand
	distant  []soakTimer // in order of creation
	failures map[string]int
	given    int // creations that were given up
	next     int
}

// soakTimer is one that was created, and by whom.
type soakTimer struct {
	id     string
	tenant *caller
}

// run creates until the end.
func (l *soakLoad) run(ctx context.Context, until time.Time) {
	defer close(l.done)
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, creators)
	tick := time.NewTicker(soakTick)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for i, tenant := range l.callers { // each has a timer that comes back until the end, 1 to 5 s apart
		d := l.standing(soakGaps[i%len(soakGaps)], time.Until(until))
		wg.Go(func() { l.createOne(ctx, d, tenant, d.spec.Name) })
	}
	for time.Now().Before(until) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		owed := int(time.Since(began).Seconds()*float64(l.rate)) - sent
		// What could not be created while the service was away is not made up for:
		// the load is the same all the time.
		if most := 2 * l.rate; owed > most {
			sent += owed - most
			owed = most
		}
		for owed > 0 {
			size := l.size(owed)
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			owed, sent = owed-size, sent+size
			wg.Go(func() {
				defer func() { <-slots }()
				if size > 1 {
					l.createBatch(ctx, size)
				} else {
					l.create(ctx)
				}
			})
		}
	}
}

// size is how many timers the next request creates: one in ten is for a batch.
func (l *soakLoad) size(owed int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owed >= 2 && l.rng.IntN(10) == 0 {
		return min(owed, soakBatch)
	}
	return 1
}

// try asks one replica after another until one does it, or nothing more is to be
// gained. Said tells from the failure whether to go on.
func (l *soakLoad) try(ctx context.Context, until time.Time, ask func(api string) (failure string)) bool {
	for try := 0; ctx.Err() == nil && time.Now().Before(until); try++ {
		failure := "no replica lives"
		if apis := l.world.apis(); len(apis) > 0 {
			api := apis[rand.IntN(len(apis))]
			if failure = ask(api); failure == "" {
				return true
			}
			if failure != unavailable {
				l.world.avoid(api)
			}
		}
		if ctx.Err() != nil || failure == invalid && time.Now().After(until) { // what is due by now is refused with reason
			return false
		}
		l.mu.Lock()
		l.failures[failure]++
		l.mu.Unlock()
		time.Sleep(min(10*time.Millisecond<<min(try, 5), 250*time.Millisecond))
	}
	return false
}

// invalid is the answer to what is due already.
const invalid = "HTTP 422 invalid"

// created is what the API says of a timer.
type created struct {
	ID         string
	FireAt     minoots.Instant
	Status     minoots.Status
	Occurrence int
}

// create makes one timer.
func (l *soakLoad) create(ctx context.Context) {
	d, tenant, key := l.draw()
	l.createOne(ctx, d, tenant, key)
}

// createOne repeats the request under its key.
func (l *soakLoad) createOne(ctx context.Context, d draft, tenant *caller, key string) {
	body, err := json.Marshal(d.spec)
	if err != nil {
		panic(err) // it is ours, and encodes
	}
	until := time.Now().Add(l.patience)
	if at := d.spec.FireAt; at != nil && at.Add(-lastTry).Before(until) {
		until = at.Add(-lastTry) // the API refuses what is due already
	}
	var made created
	if !l.try(ctx, until, func(api string) string { return tenant.post(ctx, api+"/v1/timers", key, body, &made) }) {
		l.giveUp(1)
		return
	}
	l.made(ctx, made, d, tenant)
}

// createBatch makes some in one request, without a key: what of it was done in a
// request that failed is not known, and not promised.
func (l *soakLoad) createBatch(ctx context.Context, size int) {
	var drafts []draft
	var tenant *caller
	request := struct {
		Timers []minoots.TimerSpec `json:"timers"`
	}{}
	for range size {
		d, whose, _ := l.draw()
		d.spec.RequestedBy = "chaos batch" // a name may come twice
		d.cancel = 0
		tenant = whose
		drafts = append(drafts, d)
		request.Timers = append(request.Timers, d.spec)
	}
	body, err := json.Marshal(request)
	if err != nil {
		panic(err)
	}
	var answer struct{ Timers []created }
	until := time.Now().Add(time.Second - lastTry)
	done := l.try(ctx, until, func(api string) string { return tenant.post(ctx, api+"/v1/timers/batch", "", body, &answer) })
	if !done || len(answer.Timers) != size {
		l.giveUp(size)
		return
	}
	for i, made := range answer.Timers {
		l.made(ctx, made, drafts[i], tenant)
	}
}

func (l *soakLoad) giveUp(timers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given += timers
}

// made notes a timer that was acknowledged, and cancels what is to be cancelled.
func (l *soakLoad) made(ctx context.Context, made created, d draft, tenant *caller) {
	l.ledger.acknowledged(made.ID, d.promised(made))
	if d.distant {
		l.mu.Lock()
		l.distant = append(l.distant, soakTimer{made.ID, tenant})
		var oldest *soakTimer
		if len(l.distant) > soakDistant {
			oldest, l.distant = &l.distant[0], l.distant[1:]
		}
		l.mu.Unlock()
		if oldest != nil {
			l.cancel(ctx, oldest.id, oldest.tenant)
		}
	}
	if d.cancel > 0 {
		select {
		case <-time.After(d.cancel):
		case <-ctx.Done():
			return
		}
		l.cancel(ctx, made.ID, tenant)
	}
}

// The answers to a cancel that comes too late: it runs, or is over and gone. A
// timer that is gone and was not over is found missing.
const (
	conflict = "HTTP 409 conflict"
	notFound = "HTTP 404 not_found"
)

// cancel cancels a timer, and notes what became of it.
func (l *soakLoad) cancel(ctx context.Context, id string, tenant *caller) {
	l.ledger.doubt(id)
	var said created
	tooLate := false
	l.try(ctx, time.Now().Add(l.patience), func(api string) string {
		failure := tenant.post(ctx, api+"/v1/timers/"+id+"/cancel", "", []byte(`{"requestedBy": "chaos"}`), &said)
		if failure == conflict || failure == notFound {
			tooLate = true
			return ""
		}
		return failure
	})
	if tooLate || said.Status != "" {
		l.ledger.cancelled(id, said.Status == minoots.StatusCancelled)
	}
}
