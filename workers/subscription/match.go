package subscription

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// match makes the deliveries of events. Subscriptions are read after the events
// have been, so that one that is there when an event happens is among them; the
// place at which each was made tells what had happened before.
func (s *Sender) match(ctx context.Context, events []db.LogEvent) ([]db.NewDelivery, error) {
	if len(events) == 0 {
		return nil, nil
	}
	var tenants []string
	seen := map[string]bool{}
	for i := range events {
		if tenant := events[i].TenantID; !seen[tenant] {
			seen[tenant], tenants = true, append(tenants, tenant)
		}
	}
	subscriptions, err := s.db.SubscriptionMatch(ctx, tenants)
	if err != nil {
		return nil, err
	}
	of := map[string][]*db.Matcher{}
	for i := range subscriptions {
		m := &subscriptions[i]
		of[m.TenantID] = append(of[m.TenantID], m)
	}
	var made []db.NewDelivery
	for i := range events {
		e := &events[i]
		var body []byte
		for _, m := range of[e.TenantID] {
			if !m.Wants(&e.Event) || m.After.Sees(e) {
				continue
			}
			if body == nil {
				if body, err = json.Marshal(e.Event); err != nil {
					return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
				}
			}
			made = append(made, db.NewDelivery{ID: minoots.NewID(), Subscription: m.ID, Event: e, Body: body})
		}
	}
	return made, nil
}
