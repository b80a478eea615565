package bench

import (
	"context"
	"fmt"
	"time"
)

// rest is P7: what replicas cost that have nothing to do, beside the pending
// timers.
func rest(ctx context.Context, l *lab) error {
	d, err := l.withMillion(ctx)
	if err != nil {
		return err
	}
	fleet, err := l.replicas(ctx, d, goalReplicas, allRoles)
	if err != nil {
		return err
	}
	if err := pause(ctx, l.size.settle); err != nil { // starting is not resting
		return err
	}
	before, err := lookAt(ctx, d, fleet)
	if err != nil {
		return err
	}
	if err := pause(ctx, l.size.rest); err != nil {
		return err
	}
	after, err := lookAt(ctx, d, fleet)
	if err != nil {
		return err
	}
	seconds := after.at.Sub(before.at).Seconds()
	what := fmt.Sprintf("at rest, %d replicas, %s pending: ", goalReplicas, number(float64(l.size.pending)))
	perReplica := seconds * goalReplicas
	if l.server.statements {
		list := after.statements.since(before.statements, perReplica)
		sum := 0.0
		for _, s := range list {
			sum += s.Calls
		}
		l.report.add("P7.statements", what+"of each", sum, "statements/s")
		l.report.Statements["P7"] = StatementReport{Per: "second and replica", Statements: list}
	} else {
		l.report.add("P7.statements", what+"of each", float64(after.transactions-before.transactions)/perReplica, "transactions/s")
	}
	if len(after.usage) < len(fleet) {
		l.report.skip("P7.cpu", what+"the busiest", "no /proc")
		l.report.skip("P7.memory", what+"the largest", "no /proc")
		return l.stopReplicas(fleet)
	}
	busiest, largest := 0.0, int64(0)
	for i := range fleet {
		busiest = max(busiest, (after.usage[i].cpu-before.usage[i].cpu).Seconds()/seconds)
		largest = max(largest, after.usage[i].memory)
	}
	l.report.add("P7.cpu", what+"the busiest", 100*busiest, "% of a core")
	l.report.add("P7.memory", what+"the largest", float64(largest)/1e6, "MB resident")
	return l.stopReplicas(fleet)
}

// moment is what replicas have taken by some time.
type moment struct {
	at           time.Time
	statements   statementCounts
	transactions int64
	usage        []usage // by replica; shorter where there is no /proc
}

func lookAt(ctx context.Context, d *database, fleet []*replica) (moment, error) {
	m := moment{at: time.Now()}
	var err error
	if d.server.statements {
		m.statements, err = d.statementCounts(ctx)
	} else {
		// Servers report theirs up to a second late, and the bench's few are in it.
		m.transactions, err = one[int64](ctx, d,
			"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
	}
	if err != nil {
		return m, err
	}
	for _, r := range fleet {
		if u, err := usageOf(r.PID); err == nil {
			m.usage = append(m.usage, u)
		}
	}
	return m, nil
}
