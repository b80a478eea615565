package api

import (
	"context"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// waitGap is the least time between two looks, and waitGapEach what each timer
	// adds that was looked at in vain, because nobody knew better: 220 ms after 5,000,
	// which take 10. So they cost Postgres a twentieth of a core at most.
	waitGap     = 20 * time.Millisecond
	waitGapEach = 40 * time.Microsecond
	// waitFallback is the time between two looks at all while it listens: how late
	// an answer is of which no word came.
	waitFallback = 2 * time.Second
	// waitTick is how often it is looked, while it does not listen, which timers are
	// over that are due, and waitSweep how often for the rest, which can only be
	// cancelled, or moved, before they are.
	waitTick  = 100 * time.Millisecond
	waitSweep = 500 * time.Millisecond
	// waitPause is between two looks while the database does not answer, and
	// waitLook how long one may take.
	waitPause = time.Second
	waitLook  = 10 * time.Second
)

// waitPace says when the next look is.
type waitPace struct {
	fallback      time.Duration
	last, lastAll time.Time
	gap           time.Duration // after the last
	failing       bool
}

// next gives when to look, if there is something to look at soon, or not.
func (p *waitPace) next(soon, listening bool) time.Time {
	switch {
	case p.failing:
		return p.last.Add(waitPause)
	case soon:
		return p.last.Add(p.gap)
	case listening:
		return p.lastAll.Add(p.fallback)
	default:
		return p.last.Add(max(waitTick, p.gap))
	}
}

// all tells whether a look is to be at all timers.
func (p *waitPace) all(now time.Time, listening bool) bool {
	every := waitSweep
	if listening {
		every = p.fallback
	}
	return p.failing || now.Sub(p.lastAll) >= every
}

// looked notes a look, and at how many timers it was in vain. Looks at all that are
// made for their time have their own measure.
func (p *waitPace) looked(now time.Time, look *wanted, vain int, failed bool) {
	p.last, p.gap, p.failing = now, waitGap, failed
	if look.all {
		p.lastAll = now
	}
	if !look.inTurn {
		p.gap += time.Duration(vain) * waitGapEach
	}
}

// announced is which tenants Postgres knows to be waiting.
type announced struct {
	tenants map[string]bool
	renewAt time.Time
}

// missing gives those of some tenants that it is to be told of, all if it is time
// to renew what it knows.
func (a *announced) missing(now time.Time, tenants []string) []string {
	if !now.Before(a.renewAt) {
		a.tenants, a.renewAt = map[string]bool{}, now.Add(db.WaitingKept*3/4)
	}
	var missing []string
	for _, tenant := range tenants {
		if !a.tenants[tenant] {
			missing = append(missing, tenant)
		}
	}
	return missing
}

func (a *announced) add(tenants []string) {
	for _, tenant := range tenants {
		a.tenants[tenant] = true
	}
}

// look looks until nobody waits any more.
func (w *waits) look() {
	now := time.Now()
	pace := waitPace{fallback: w.fallback, lastAll: now}
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		at, goOn := w.nextLook(&pace)
		if !goOn {
			return
		}
		alarm.Reset(time.Until(at))
		select {
		case <-alarm.C:
		case <-w.wake:
			continue
		case <-w.leave:
			continue
		}
		now = time.Now()
		look := w.wanted(&pace, now)
		vain, err := w.lookOnce(&look, now)
		if failing := err != nil; failing != pace.failing {
			if failing {
				w.log.Warn("cannot see which timers are over; those who wait for them go on waiting", "error", err)
			} else {
				w.log.Info("sees again which timers are over")
			}
		}
		pace.looked(time.Now(), &look, vain, err != nil)
	}
}

// nextLook gives when to look. It ends the looking if there is nobody to look for.
func (w *waits) nextLook(pace *waitPace) (at time.Time, goOn bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	stopping := false
	select {
	case <-w.leave:
		stopping = true
	default:
	}
	if stopping || len(w.timers) == 0 {
		w.looking = false
		clear(w.soon)
		return at, false
	}
	at = pace.next(len(w.soon) > 0 || w.all, w.listening)
	if w.listening && at.After(w.announced.renewAt) && !pace.failing {
		at = w.announced.renewAt
	}
	return at, true
}

// wanted is what one look is at.
type wanted struct {
	ids       []minoots.ID
	tenants   []string
	all       bool // all that anybody waits for
	inTurn    bool // since it is time, and for no other reason
	listening bool
}

// wanted lists the timers to look at: those to be looked at soon, those that are
// due if nobody would tell of them, or all.
func (w *waits) wanted(pace *waitPace, now time.Time) wanted {
	corrected := w.db.Clock().Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	turn := pace.all(now, w.listening)
	look := wanted{all: w.all || turn, inTurn: turn && !w.all, listening: w.listening}
	for id, on := range w.timers {
		if look.all || w.soon[id] || !w.listening && !on.due.After(corrected) {
			look.ids = append(look.ids, id)
		}
	}
	for tenant := range w.tenants {
		look.tenants = append(look.tenants, tenant)
	}
	clear(w.soon)
	w.all = false
	return look
}

// lookOnce wakes those who wait for timers that are over, and counts those that are
// not. Before it looks, it has Postgres tell of what is ended from then on, so that
// nothing falls between.
func (w *waits) lookOnce(look *wanted, now time.Time) (vain int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitLook)
	defer cancel()
	if missing := w.announced.missing(now, look.tenants); look.listening && len(missing) > 0 {
		if err := w.db.WaitingRenew(ctx, missing); err != nil {
			return 0, err
		}
		w.announced.add(missing)
	}
	if len(look.ids) == 0 {
		return 0, nil
	}
	ended, more, err := w.db.TimerEnded(ctx, look.ids, look.tenants)
	w.looks.Inc()
	if err != nil {
		return 0, err
	}
	w.tell(ended)
	if more { // it stopped there
		w.TimersOver(look.ids, false)
		return 0, nil
	}
	return len(look.ids) - len(ended), nil
}
