package workers

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sync/singleflight"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// apartFor is how long a subscription's deliveries wait apart from the others' when
// they have shown that they would hold those up. After that they show it anew, with
// a quarter of the shared queue's workers.
const apartFor = time.Minute

// share bounds how many of the workers of the queue that all subscriptions share
// one subscription has, as a desk does its flows: few while it is slow, or nothing
// is known of it yet, most at the most. What is more goes to its own lane, and all
// that waits of it with it: so the others' deliveries are never behind more of it
// than it has under way.
type share struct {
	db      *db.DB
	replica string
	soon    func() // has lanes looked for
	moves   singleflight.Group

	mu     sync.Mutex
	turns  *turns
	forgot time.Time
}

func newShare(d *db.DB, replica string, slots int, soon func()) *share {
	return &share{db: d, replica: replica, soon: soon, turns: newTurns(limits{slots: slots})}
}

// begin counts an attempt, if its subscription may have one more here.
func (s *share) begin(d *minoots.Delivery) (end func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	k := &task{flow: s.turns.flow(flowKey{d.TenantID, d.Subscription.ID.String()})}
	if !s.turns.may(k.flow, now) {
		return nil, false
	}
	s.turns.begin(k.flow, now)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		ended := time.Now()
		s.turns.end(k, ended, ended.Sub(now))
		if ended.Sub(s.forgot) > time.Minute {
			s.turns.forget(s.forgot)
			s.forgot = ended
		}
	}, true
}

// apart has the job, and all that waits of its subscription, wait in its lane. No
// attempt was made.
func (s *share) apart(ctx context.Context, d *minoots.Delivery, job *rivertype.JobRow) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	id := d.Subscription.ID
	// Of those that were fetched together one moves the rest.
	_, err, _ := s.moves.Do(id.String(), func() (any, error) { return nil, s.db.SubscriptionApart(ctx, id, apartFor) })
	if err == nil {
		// As a new row: River's word on this one comes when its worker returns, and finds none.
		_, err = s.db.JobHold(ctx, s.replica, []db.HeldJob{{ID: job.ID, Attempt: job.Attempt, Queue: db.SubscriptionLane(id)}})
	}
	s.soon()
	if err != nil {
		return river.JobSnooze(time.Second) // Postgres is away
	}
	return nil
}
