package bench

import (
	"context"
	"fmt"
	"time"
)

// nearIn is when the near timers of P9 are due: within the look-ahead of the
// kernels, so that they must be told, and after the step is over.
const nearIn = 20 * time.Second

// notifyShare is P9: of the commits, how many carry a NOTIFY. Every second
// timer is near. Two kernels listen, one of them in the replica that is called.
func notifyShare(ctx context.Context, l *lab) error {
	const what = "creates near and far, two listeners: commits that carry a NOTIFY"
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
	if calls(list, timerCreate) == 0 {
		return fmt.Errorf("pg_stat_statements knows no statement %s: update statementNames", timerCreate)
	}
	notifies := calls(list, dueNotify)
	commits := notifies + calls(list, timerCreate)
	l.report.add("P9", fmt.Sprintf("%s (%s creates/s in %s commits)", what, number(perSecond), number(commits)), 100*notifies/commits, "%")
	return nil
}

const noStatements = "no pg_stat_statements"
