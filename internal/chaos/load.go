package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minoots/minoots"
)

const (
	// creators is how many timers are being created at once at most.
	creators = 48
	// lead is how long before its due instant a timer's creation begins at most:
	// longer than Postgres is ever away, so that timers fall due in the midst of
	// that. The least is leadStep, so that there are creations in the midst too.
	leadFull  = 6 * time.Second
	leadShort = 4 * time.Second
	leadStep  = time.Second
	// lastTry is when a creation that has not succeeded is given up: the API
	// refuses what is due already.
	lastTry = 500 * time.Millisecond
	// One in recurringEvery timers fires recurringTimes, recurringGap apart, if that
	// is before the load's end. The API takes what begins in the past too, and would
	// leave out what has passed: so the last try must be over by then.
	recurringEvery   = 20
	recurringTimes   = 3
	recurringGap     = time.Second
	lastTryRecurring = lastTry + requestTimeout
)

// load creates timers that fall due at a steady rate for a while, through any
// replica that lives, and remembers what was acknowledged.
type load struct {
	world     *world
	perSecond int
	lead      time.Duration
	begin     time.Time // the first is due
	end       time.Time // the last is
	slow      slowness
	done      chan struct{} // closed when nothing is created any more

	mu       sync.Mutex
	acked    []timer
	failures map[string]int // of requests
	given    int            // creations that were given up
}

// slowness has one in so many webhooks be answered late, so that there are some
// in flight at any moment.
type slowness struct {
	every int
	hold  time.Duration
}

// timer is one that was acknowledged.
type timer struct {
	id      string
	due     time.Time // first
	actions []string
	times   int // that it fires
}

// deliveries lists the webhook-ids to expect.
func (t timer) deliveries() []string {
	var all []string
	for occurrence := range t.times {
		for _, a := range t.actions {
			all = append(all, fmt.Sprintf("%s_%d_%s", t.id, occurrence+1, a))
		}
	}
	return all
}

// firingOf is a webhook-id without its action.
func firingOf(webhookID string) string { return webhookID[:strings.LastIndexByte(webhookID, '_')] }

// startLoad begins to create. Timers are due from a lead after now on.
func (w *world) startLoad(ctx context.Context, window time.Duration, slow slowness) {
	l := &load{
		world: w, perSecond: w.h.cfg.Rate, lead: leadFull, slow: slow, done: make(chan struct{}), failures: map[string]int{},
	}
	if w.h.cfg.Short {
		l.lead = leadShort
	}
	l.begin = time.Now().Add(l.lead)
	l.end = l.begin.Add(window)
	ctx, w.stopLoad = context.WithCancel(ctx)
	w.load = l
	go l.run(ctx, int(float64(l.perSecond)*window.Seconds()))
}

func (l *load) run(ctx context.Context, timers int) {
	defer close(l.done)
	var wg sync.WaitGroup
	defer wg.Wait()
	work := make(chan int)
	defer close(work)
	for range creators {
		wg.Go(func() {
			for i := range work {
				l.create(ctx, i)
			}
		})
	}
	for _, i := range l.order(timers) {
		select {
		case <-time.After(time.Until(l.creation(i))):
		case <-ctx.Done():
			return
		}
		select {
		case work <- i:
		case <-ctx.Done():
			return
		}
	}
}

func (l *load) due(i int) time.Time {
	return l.begin.Add(time.Duration(i) * time.Second / time.Duration(l.perSecond)).Truncate(time.Microsecond)
}

// creation is when the i-th timer's begins.
func (l *load) creation(i int) time.Time {
	steps := int(l.lead / leadStep)
	return l.due(i).Add(-time.Duration(1+i%steps) * leadStep)
}

// order gives the timers in the order of their creation.
func (l *load) order(timers int) []int {
	all := make([]int, timers)
	for i := range all {
		all[i] = i
	}
	slices.SortFunc(all, func(a, b int) int { return l.creation(a).Compare(l.creation(b)) })
	return all
}

// create tries until the timer is acknowledged, each time at another replica and
// always with the same key.
func (l *load) create(ctx context.Context, i int) {
	due := l.due(i)
	actions := []string{"wake"}
	if i%10 == 0 { // some have more to do, one after the other
		actions = append(actions, "tell")
	}
	hold := time.Duration(0)
	if l.slow.every > 0 && i%l.slow.every == 1 {
		hold = l.slow.hold
	}
	key := fmt.Sprintf("chaos-%d", i)
	spec, times, last := specOf(key, due, l.world.receiver.urlFor(due, hold), actions), 1, lastTry
	if i%recurringEvery == 7 && !due.Add((recurringTimes-1)*recurringGap).After(l.end) && time.Until(due) > lastTryRecurring {
		recur(&spec)
		times, last = recurringTimes, lastTryRecurring
	}
	body, err := json.Marshal(spec)
	if err != nil {
		panic(err) // it is ours, and encodes
	}
	for try := 0; time.Until(due) > last && ctx.Err() == nil; try++ {
		apis := l.world.apis()
		failure := "no replica lives"
		if len(apis) > 0 {
			var id string
			api := apis[rand.IntN(len(apis))]
			if id, failure = l.world.caller.create(ctx, api, key, body); failure == "" {
				l.mu.Lock()
				l.acked = append(l.acked, timer{id, due, actions, times})
				l.mu.Unlock()
				return
			}
			if failure != unavailable {
				l.world.avoid(api)
			}
		}
		if ctx.Err() != nil || time.Now().After(due) { // what is due is refused with reason
			break
		}
		l.mu.Lock()
		l.failures[failure]++
		l.mu.Unlock()
		time.Sleep(min(10*time.Millisecond<<min(try, 5), 250*time.Millisecond))
	}
	l.mu.Lock()
	l.given++
	l.mu.Unlock()
}

func specOf(name string, due time.Time, url string, actions []string) minoots.TimerSpec {
	at := minoots.InstantOf(due)
	spec := minoots.TimerSpec{Name: name, RequestedBy: "chaos", FireAt: &at, ActionBundle: &minoots.Bundle{}}
	parameters, _ := json.Marshal(map[string]string{"url": url}) // a map of strings always encodes
	for _, a := range actions {
		spec.ActionBundle.Actions = append(spec.ActionBundle.Actions,
			minoots.Action{ID: a, Kind: minoots.KindWebhook, Parameters: parameters})
	}
	return spec
}

// recur has a timer come back: from its instant on, and each time, however late.
func recur(spec *minoots.TimerSpec) {
	gap, times := minoots.Duration(recurringGap), recurringTimes
	spec.Recurrence = &minoots.Recurrence{Every: &gap, StartAt: spec.FireAt, MaxOccurrences: &times}
	spec.FireAt = nil
	// What is found late by more than the grace fires once only.
	spec.Misfire = &minoots.Misfire{Policy: minoots.MisfireFireOnce, GraceMs: time.Hour.Milliseconds()}
}

// known gives the timers that were acknowledged so far.
func (l *load) known() []timer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]timer(nil), l.acked...)
}

// failed counts the requests that failed in one way so far.
func (l *load) failed(failure string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures[failure]
}
