package db

import (
	"context"
	_ "embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/timer_get.sql
var timerGetSQL string

// TimerGet gives a timer of the tenant's, with its last firing. Another
// tenant's timer is CodeNotFound, like one that does not exist.
func (d *DB) TimerGet(ctx context.Context, tenant string, id minoots.ID) (minoots.Timer, error) {
	t, err := scanTimer(d.pool.QueryRow(ctx, timerGetSQL, id, tenant))
	return t, notFound(translate(err), "timer")
}

//go:embed query/timer_many.sql
var timerManySQL string

// TimerMany gives those of a tenant's timers that there are among the ids, without
// their firings, by id.
func (d *DB) TimerMany(ctx context.Context, tenant string, ids []minoots.ID) (map[minoots.ID]minoots.Timer, error) {
	rows, err := d.pool.Query(ctx, timerManySQL, ids, tenant)
	if err != nil {
		return nil, translate(err)
	}
	defer rows.Close()
	timers := make(map[minoots.ID]minoots.Timer, len(ids))
	for rows.Next() {
		t, err := scanTimer(rows)
		if err != nil {
			return nil, translate(err)
		}
		timers[t.ID] = t
	}
	return timers, translate(rows.Err())
}

// TimerFilter says which of a tenant's timers are meant. A zero field is no filter.
type TimerFilter struct {
	Statuses    []minoots.Status
	Labels      map[string]string
	Name        string
	NamePrefix  string
	RequestedBy string
	DueAfter    time.Time // inclusive
	DueBefore   time.Time // exclusive
}

// EmptyRange tells whether nothing can be due after the one and before the other.
func (f *TimerFilter) EmptyRange() bool {
	return !f.DueAfter.IsZero() && !f.DueBefore.IsZero() && !f.DueAfter.Before(f.DueBefore)
}

// TimerPageRequest says which page of the timers to read.
type TimerPageRequest struct {
	TimerFilter
	// After is the last timer of the page before; zero for the first page.
	After TimerPosition
	Limit int
}

// TimerPosition is a place in the order of due time and id.
type TimerPosition struct {
	FireAt time.Time
	ID     minoots.ID
}

//go:embed query/timer_page.sql
var timerPageSQL string

// fewTimers is up to how many timers a page looks up all that match, to sort them;
// of more, it walks the tenant's in due order. With 10 M timers of a tenant, evenly
// mixed, and pages of 100, both then read some ten thousand rows at worst.
const fewTimers = 50_000

// TimerPage lists timers by due time, then id.
func (d *DB) TimerPage(ctx context.Context, tenant string, p TimerPageRequest) ([]minoots.Timer, error) {
	return d.timerPage(ctx, tenant, p, fewTimers)
}

func (d *DB) timerPage(ctx context.Context, tenant string, p TimerPageRequest, few int) ([]minoots.Timer, error) {
	f, err := p.columns()
	if err != nil {
		return nil, err
	}
	args := []any{
		tenant, optionalTime(p.After.FireAt), p.After.ID, f.statuses, f.name, f.prefix, f.requestedBy, f.labels,
		f.dueAfter, f.dueBefore, p.Limit, few + 1,
	}
	// CacheDescribe plans with the values at hand; see timer_page.sql.
	rows, err := d.pool.Query(ctx, timerPageSQL, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		return nil, translate(err)
	}
	timers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (minoots.Timer, error) { return scanTimer(row) })
	return timers, translate(err)
}

// filterColumns is a filter as statements take it: nil is off.
type filterColumns struct {
	statuses                          []minoots.Status
	name, prefix, requestedBy, labels *string
	dueAfter, dueBefore               *time.Time
}

func (f *TimerFilter) columns() (filterColumns, error) {
	c := filterColumns{
		statuses: f.Statuses, name: optional(f.Name), requestedBy: optional(f.RequestedBy),
		dueAfter: optionalTime(f.DueAfter), dueBefore: optionalTime(f.DueBefore),
	}
	if f.NamePrefix != "" {
		pattern := likeEscaper.Replace(f.NamePrefix) + "%"
		c.prefix = &pattern
	}
	if len(f.Labels) > 0 {
		b, err := json.Marshal(f.Labels)
		if err != nil {
			return c, translate(err)
		}
		text := string(b)
		c.labels = &text
	}
	return c, nil
}

// likeEscaper makes a text stand for itself in a pattern of LIKE.
var likeEscaper = strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`)

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func instant(t time.Time) minoots.Instant { return minoots.Instant{Time: t.UTC()} }

func optionalInstant(t *time.Time) *minoots.Instant {
	if t == nil {
		return nil
	}
	i := instant(*t)
	return &i
}

// scanTimer reads the columns of timer_get.sql and timer_page.sql.
func scanTimer(row pgx.Row) (minoots.Timer, error) {
	var t minoots.Timer
	var created, updated, fireAt time.Time
	var durationUs *int64
	var fired, settled, cancelled *time.Time
	var labels, metadata, bundle, binding, recurrence, misfire []byte
	var f struct {
		occurrence, actions, failed *int
		status                      *minoots.FiringStatus
		due, fired, settled         *time.Time
		reason                      *string
	}
	err := row.Scan(&t.ID, &t.TenantID, &t.Name, &t.RequestedBy, &t.Status, &created, &updated, &fireAt,
		&durationUs, &fired, &settled, &cancelled, &t.CancelReason, &t.CancelledBy,
		&t.FailureReason, &t.Occurrence, &t.Version, &labels, &metadata, &bundle, &binding,
		&recurrence, &misfire, &t.JitterMs,
		&f.occurrence, &f.status, &f.due, &f.fired, &f.settled, &f.reason, &f.actions, &f.failed)
	if err != nil {
		return t, err
	}
	t.CreatedAt, t.UpdatedAt, t.FireAt = instant(created), instant(updated), instant(fireAt)
	t.FiredAt, t.SettledAt, t.CancelledAt = optionalInstant(fired), optionalInstant(settled), optionalInstant(cancelled)
	t.Metadata = metadata
	if durationUs != nil {
		d := minoots.Duration(time.Duration(*durationUs) * time.Microsecond)
		t.Duration = &d
	}
	if err := firstError(
		readText(labelsDecoder, labels, &t.Labels),
		readText(bundleDecoder, bundle, &t.ActionBundle),
		readText(bindingDecoder, binding, &t.AgentBinding),
		readText(recurrenceDecoder, recurrence, &t.Recurrence),
		readText(misfireDecoder, misfire, &t.Misfire),
	); err != nil {
		return t, err
	}
	if f.status != nil {
		t.LastFiring = &minoots.Firing{
			TimerID: t.ID, Occurrence: *f.occurrence, Status: *f.status, DueAt: instant(*f.due), FiredAt: instant(*f.fired),
			SettledAt: optionalInstant(f.settled), Reason: f.reason, Actions: *f.actions, Failed: *f.failed,
			LatenessMs: latenessMs(*f.due, *f.fired),
		}
	}
	fillDerived(&t)
	return t, nil
}

// fillDerived sets the fields that follow from others.
func fillDerived(t *minoots.Timer) {
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	if t.Duration != nil {
		ms := t.Duration.Milliseconds()
		t.DurationMs = &ms
	}
}

func latenessMs(due, fired time.Time) float64 {
	return float64(fired.Sub(due).Microseconds()) / 1000
}

// notFound says what was not found.
func notFound(err error, what string) error {
	if minoots.ErrorCode(err) != minoots.CodeNotFound {
		return err
	}
	return &minoots.Error{Code: minoots.CodeNotFound, Message: "no " + what + " with this id", Err: err}
}
