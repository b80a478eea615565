// Package subscription makes deliveries of events for the subscriptions that want
// them: one replica at a time reads the log, and each event gets a row in the
// delivery log and a job, in the transaction that notes the place in the log.
//
//	subscription.go  a reader of the log, and what it does with a page
//	match.go         which events are for whom
//
// The attempts are the workers'. Where there are no subscriptions nothing is read
// and no lease is asked for: the workers tell, by a statement that they make anyway.
// docs/adr/0027-subscriptions.md has the reasons.
package subscription

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/workers/reader"
)

// pace has another replica read 2.5 seconds after the one that did has died.
var pace = reader.Pace{
	Lease: 2 * time.Second, Try: 500 * time.Millisecond, Keep: 500 * time.Millisecond,
	Busy: 20 * time.Millisecond, Idle: 250 * time.Millisecond, Page: 500,
}

// resumeLimit is how many deliveries go on in a transaction after a pause, and
// resumeMost how many times in a row.
const (
	resumeLimit = 500
	resumeMost  = 4
)

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
	reader *reader.Reader
	db     *db.DB
	placed func()
	any    *reader.Switch
}

var _ reader.Work = (*Sender)(nil)

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
	s := &Sender{db: cfg.DB, placed: cfg.Placed, any: reader.NewSwitch()}
	var err error
	s.reader, err = reader.New(reader.Config{
		DB: cfg.DB, Name: "subscriptions", Replica: cfg.Replica, Work: s, Pace: pace, Switch: s.any, Registerer: cfg.Registerer,
		Log: cfg.Log.With("part", "subscriptions"),
		Words: reader.Words{
			Failing: "subscriptions get no events; they wait in the log, and it is tried again",
			Again:   "subscriptions get events again",
			Gap:     "events were removed by retention before subscriptions got them; going on at the oldest",
		},
		Metrics: reader.Metrics{
			Prefix:   "minoots_subscriptions",
			Active:   "1 on the replica that reads the log for subscriptions.",
			Lag:      "Age of the oldest event that this replica has read and made no deliveries of yet; 0 if there is none.",
			Events:   "Deliveries made of events, one for each subscription that wants it.",
			Failures: "Failed tries to make deliveries of events, because Postgres was away.",
			Gaps:     "Times that retention removed events before subscriptions got them.",
		},
	})
	return s, err
}

// Subscribed tells the sender whether there are subscriptions. It never blocks.
func (s *Sender) Subscribed(yes bool) { s.any.Set(yes) }

// Run sends until ctx is done.
func (s *Sender) Run(ctx context.Context) error { return s.reader.Run(ctx) }

// Begin implements reader.Work: it passes over what happened while there was no
// subscription.
func (s *Sender) Begin(ctx context.Context, after db.EventCursor) (db.EventCursor, error) {
	step, cancel := context.WithTimeout(ctx, pace.Lease)
	defer cancel()
	first, ok, err := s.db.SubscriptionFirst(step)
	if err == nil && ok && after.Compare(first) < 0 {
		return first, nil
	}
	return after, err
}

// Deal implements reader.Work: it makes the deliveries of a page and notes the
// place behind it, in one transaction.
func (s *Sender) Deal(ctx context.Context, lease *db.EventReader, page *db.EventPage) (made int, ok bool, err error) {
	step, cancel := context.WithTimeout(ctx, 2*pace.Lease)
	defer cancel()
	deliveries, err := s.match(step, page.Events)
	if err != nil {
		return 0, false, err
	}
	done, err := lease.Dispatch(step, page.Next, len(page.Events), !page.More, deliveries)
	if err != nil || !done.Moved {
		return 0, false, err
	}
	if done.Waiting > 0 {
		s.placed()
	}
	return done.Made, true, nil
}

// Look implements reader.Work: it makes jobs of what has waited for a subscription
// to go on.
func (s *Sender) Look(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, 2*pace.Lease)
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
