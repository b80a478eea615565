package bench

import (
	"context"
	"fmt"
	"time"
)

// herd is P8: many replicas at a light load, of which all could claim. What they
// look and claim too much is what they get in each other's way.
func herd(ctx context.Context, l *lab) error {
	what := fmt.Sprintf("%d replicas, %d timers/s: claims and looks a timer", l.size.herd, l.size.herdRate)
	if !l.server.statements {
		l.report.skip("P8", what, noStatements)
		return nil
	}
	t, err := l.freshService(ctx, "p8", l.size.herd)
	if err != nil {
		return err
	}
	v, err := l.schedule(ctx, t, "P8", l.size.herdRate, l.size.lateness)
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Until(v.begin)); err != nil {
		return err
	}
	before, err := t.database.statementCounts(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Until(v.end)); err != nil {
		return err
	}
	after, err := t.database.statementCounts(ctx)
	if err != nil {
		return err
	}
	late, err := v.lateness(ctx, l.size.quiet)
	if err != nil {
		return err
	}
	list := after.since(before, float64(v.main.want))
	claims, looks := calls(list, timerClaim), calls(list, timerNext)
	if claims == 0 {
		return fmt.Errorf("pg_stat_statements knows no statement %s: update statementNames", timerClaim)
	}
	l.report.add("P8", fmt.Sprintf("%s (%s claims)", what, number(claims)), claims+looks, "statements")
	l.report.addLateness("P8.lateness", fmt.Sprintf("%d replicas, %d timers/s", l.size.herd, l.size.herdRate), late)
	return l.leave(t)
}
