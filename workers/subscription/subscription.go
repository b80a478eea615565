// Package subscription makes deliveries of events for the subscriptions that want
// them: one replica at a time reads the log, and each event gets a row in the
// delivery log and a job, in the transaction that notes the place in the log.
//
//	subscription.go  who reads: a lease in Postgres, and the loop of the one that has it
//	match.go         which events are for whom
//	metrics.go       what operators see
//
// The attempts are the workers'. Where there are no subscriptions nothing is read
// and no lease is asked for: the workers tell, by a statement that they make anyway.
package subscription

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	// leaseTime and tryEvery bound how long nobody reads after the one that did has
	// died: 2.5 seconds.
	leaseTime = 2 * time.Second
	tryEvery  = 500 * time.Millisecond
	// keepEvery is how often an idle reader keeps its lease, and looks whether a
	// subscription goes on that was paused.
	keepEvery = 500 * time.Millisecond
	// The log is looked at every busyPause while events come, and up to idlePause
	// apart when none do.
	busyPause = 20 * time.Millisecond
	idlePause = 250 * time.Millisecond
	// failPause is the time between two tries while Postgres is away.
	failPause = time.Second
	// pageLimit is how many events are read at a time, and resumeLimit how many
	// deliveries go on in a transaction after a pause, resumeMost times in a row.
	pageLimit   = 500
	resumeLimit = 500
	resumeMost  = 4
)

// reader is its name in the database.
const reader = "subscriptions"

// Config says what a Sender works on.
type Config struct {
	DB *db.DB
	// Replica names this process in the lease.
	Replica string
	// Placed is told when jobs were made. May be nil.
	Placed func()
	// Registerer takes the metrics. May be nil: then nobody sees them.
	Registerer prometheus.Registerer
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// Sender makes deliveries while it has the lease, and waits for it while not.
type Sender struct {
	db      *db.DB
	reader  db.EventReader
	placed  func()
	log     *slog.Logger
	metrics *metrics
	any     atomic.Bool
	woken   chan struct{}
	failing bool
	oldest  atomic.Int64 // when the oldest event of the page under way happened, in microseconds; 0 for none
}

// New makes a Sender.
func New(cfg Config) (*Sender, error) {
	if cfg.DB == nil || cfg.Replica == "" {
		return nil, errors.New("make the sender of events: DB and Replica are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Placed == nil {
		cfg.Placed = func() {}
	}
	s := &Sender{
		db: cfg.DB, placed: cfg.Placed, log: cfg.Log.With("part", "subscriptions"), woken: make(chan struct{}, 1),
		reader: db.EventReader{DB: cfg.DB, Name: reader, Replica: cfg.Replica, Lease: leaseTime},
	}
	s.metrics = newMetrics(s.lag)
	if cfg.Registerer != nil {
		if err := s.metrics.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Subscribed tells the sender whether there are subscriptions. It never blocks.
func (s *Sender) Subscribed(yes bool) {
	if s.any.Swap(yes) != yes && yes {
		select {
		case s.woken <- struct{}{}:
		default:
		}
	}
}

// Run sends until ctx is done. It gives the lease back, so that a stop costs the
// others no wait.
func (s *Sender) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if !s.any.Load() {
			select {
			case <-ctx.Done():
			case <-s.woken:
			}
			continue
		}
		if err := s.turn(ctx); err != nil && ctx.Err() == nil {
			s.tell(err)
			sleep(ctx, failPause/2+rand.N(failPause))
		}
	}
	return nil
}

// tell logs the first failure of a row.
func (s *Sender) tell(err error) {
	s.metrics.failures.Inc()
	if !s.failing {
		s.log.Warn("subscriptions get no events; they wait in the log, and it is tried again", "error", err)
	}
	s.failing = true
}

// turn sends for as long as the lease is this replica's; it returns soon if it is
// another's.
func (s *Sender) turn(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, leaseTime)
	after, ok, err := s.reader.Take(step)
	cancel()
	if err != nil || !ok {
		if err == nil {
			sleep(ctx, tryEvery/2+rand.N(tryEvery/2))
		}
		return err
	}
	s.metrics.active.Set(1)
	defer s.leave(ctx)
	if after, err = s.begin(ctx, after); err != nil {
		return err
	}
	return s.lead(ctx, after)
}

// begin passes over what happened while there was no subscription.
func (s *Sender) begin(ctx context.Context, after db.EventCursor) (db.EventCursor, error) {
	step, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	first, ok, err := s.db.SubscriptionFirst(step)
	if err == nil && ok && after.Compare(first) < 0 {
		return first, nil
	}
	return after, err
}

// leave gives the lease back: whoever fails here lets another try.
func (s *Sender) leave(ctx context.Context) {
	s.metrics.active.Set(0)
	s.oldest.Store(0)
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.reader.Leave(step) // else it runs out by itself
}

// lead makes deliveries of page after page.
func (s *Sender) lead(ctx context.Context, after db.EventCursor) error {
	kept, resumed, pause := time.Now(), time.Time{}, busyPause
	for ctx.Err() == nil && s.any.Load() {
		page, err := s.page(ctx, after)
		if err != nil {
			return err
		}
		if len(page.Events) > 0 {
			s.oldest.Store(page.Events[0].OccurredAt.UnixMicro())
		}
		if len(page.Events) > 0 || time.Since(kept) >= keepEvery {
			if ok, err := s.dispatch(ctx, &page); err != nil || !ok {
				return err
			}
			kept = time.Now()
		}
		if time.Since(resumed) >= keepEvery {
			if err := s.resume(ctx); err != nil {
				return err
			}
			resumed = time.Now()
		}
		after = page.Next
		if page.More {
			continue
		}
		if pause = min(pause*5/4, idlePause); len(page.Events) > 0 {
			pause = busyPause
		}
		sleep(ctx, pause)
	}
	return nil
}

// page reads the next page. Where retention was faster, it goes on at the oldest
// event there is, and says so.
func (s *Sender) page(ctx context.Context, after db.EventCursor) (db.EventPage, error) {
	step, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	page, err := s.db.EventPage(step, db.EventRequest{After: after, Limit: pageLimit})
	if code := minoots.ErrorCode(err); code != minoots.CodeGone && code != minoots.CodeInvalid {
		return page, err
	}
	s.metrics.gaps.Inc()
	s.log.Error("events were removed by retention before subscriptions got them; going on at the oldest", "error", err)
	oldest, err := s.db.EventOldest(step)
	if err != nil {
		return page, err
	}
	return s.db.EventPage(step, db.EventRequest{After: oldest, Limit: pageLimit})
}

// dispatch makes the deliveries of a page, and notes the place behind it. ok is
// false if another replica reads by now.
func (s *Sender) dispatch(ctx context.Context, page *db.EventPage) (ok bool, err error) {
	step, cancel := context.WithTimeout(ctx, 2*leaseTime)
	defer cancel()
	made, err := s.match(step, page.Events)
	if err != nil {
		return false, err
	}
	done, err := s.reader.Dispatch(step, page.Next, len(page.Events), !page.More, made)
	if err != nil || !done.Moved {
		return false, err
	}
	s.metrics.made.Add(float64(done.Made))
	s.oldest.Store(0)
	if s.failing {
		s.failing = false
		s.log.Info("subscriptions get events again")
	}
	if done.Waiting > 0 {
		s.placed()
	}
	return true, nil
}

// resume makes jobs of what has waited for a subscription to go on.
func (s *Sender) resume(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, 2*leaseTime)
	defer cancel()
	for range resumeMost {
		resumed, err := s.db.DeliveryResume(step, resumeLimit)
		if err != nil || resumed == 0 {
			return err
		}
		s.placed()
	}
	return nil
}

// lag is by the database's clock, as events are.
func (s *Sender) lag() float64 {
	oldest := s.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(-s.db.Clock().Until(time.UnixMicro(oldest)), 0).Seconds()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
