package bench

import (
	"context"
	"fmt"
	"time"
)

// nearIn is when the near timers of P9 are due: within the look-ahead of the
// kernels, so that they must be told, and after the step is over.
const nearIn = 20 * time.Second

// notifyShare is P9: of the creates, how many caused a NOTIFY. Every second
// timer is near. Two kernels listen, one of them in the replica that is called.
func notifyShare(ctx context.Context, l *lab) error {
	const what = "creates near and far, two listeners: NOTIFYs a create"
	if !l.server.statements {
		l.report.skip("P9", what, noStatements)
		return nil
	}
	t, err := l.freshService(ctx, "p9", 2)
	if err != nil {
		return err
	}
	before, err := t.database.statementCounts(ctx)
	if err != nil {
		return err
	}
	url := l.receiver.url("near")
	perSecond, err := rate(ctx, clients, l.size.warm, l.size.window, func(ctx context.Context, _, call int) (int, error) {
		due := farDue(call)
		if call%2 == 0 {
			due = time.Now().Add(nearIn)
		}
		return 1, t.create(ctx, refSpec(call, due, url))
	})
	if err != nil {
		return err
	}
	after, err := t.database.statementCounts(ctx)
	if err != nil {
		return err
	}
	if err := l.leave(t); err != nil {
		return err
	}
	list := after.since(before, 1)
	creates, err := one[float64](ctx, t.database, "SELECT count(*)::float8 FROM minoots.timer_states")
	if err != nil {
		return err
	}
	if creates == 0 || calls(list, timerCreate) == 0 {
		return fmt.Errorf("pg_stat_statements knows no statement %s: update statementNames", timerCreate)
	}
	notifies := calls(list, dueNotify)
	l.report.add("P9", fmt.Sprintf("%s (%s/s; %s %% of commits)", what, number(perSecond),
		number(100*notifies/(notifies+calls(list, timerCreate)))), 100*notifies/creates, "%")
	return nil
}

const noStatements = "no pg_stat_statements"
