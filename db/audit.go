package db

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/audit_lock.sql
var auditLockSQL string

//go:embed query/audit_begin.sql
var auditBeginSQL string

//go:embed query/audit_sizes.sql
var auditSizesSQL string

// AuditRequest says what to audit.
type AuditRequest struct {
	// Since leaves out what is older: timers made, firings due, attempts and
	// events noted before. The zero time leaves out nothing.
	Since time.Time
	// Examples is how many each check names of what it found. Defaults to 5.
	Examples int
	// Grace is how long work may be under way before it is held to account.
	// Defaults to a minute.
	Grace time.Duration
	// Timeout bounds each statement. Defaults to 5 minutes.
	Timeout time.Duration
}

// Audit is what an audit found: how the world was at one instant.
type Audit struct {
	At     time.Time    `json:"at"`
	Since  *time.Time   `json:"since"`
	OK     bool         `json:"ok"`
	TookMs int64        `json:"tookMs"`
	Checks []AuditCheck `json:"checks"`
	Sizes  []TableSize  `json:"sizes"`
}

// AuditCheck is what one check looked at and found.
type AuditCheck struct {
	Name     string   `json:"name"`
	Says     string   `json:"says"` // what holds when nothing is found
	Looked   int64    `json:"looked"`
	Found    int64    `json:"found"`
	Examples []string `json:"examples"`
	TookMs   int64    `json:"tookMs"`
}

// TableSize is what one table takes, its partitions included.
type TableSize struct {
	Table      string `json:"table"`
	Partitions int    `json:"partitions"`
	Rows       int64  `json:"rows"` // as the server estimates
	Dead       int64  `json:"dead"`
	TableBytes int64  `json:"tableBytes"`
	IndexBytes int64  `json:"indexBytes"`
}

// AuditRun holds all that is stored to the rules. It changes nothing, keeps
// nobody waiting but a migration or a drop of history, and sees one instant, so
// that work that goes on meanwhile is no finding.
func (d *DB) AuditRun(ctx context.Context, req AuditRequest) (Audit, error) {
	if req.Examples == 0 {
		req.Examples = 5
	}
	if req.Grace == 0 {
		req.Grace = time.Minute
	}
	if req.Timeout == 0 {
		req.Timeout = 5 * time.Minute
	}
	var audit Audit
	began := time.Now()
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, d.pool, opts, func(tx pgx.Tx) (err error) {
		audit, err = auditIn(ctx, tx, req)
		return err
	})
	audit.TookMs = time.Since(began).Milliseconds()
	return audit, translate(err)
}

func auditIn(ctx context.Context, tx pgx.Tx, req AuditRequest) (Audit, error) {
	audit := Audit{OK: true}
	if !req.Since.IsZero() {
		audit.Since = &req.Since
	}
	if _, err := tx.Exec(ctx, auditLockSQL); err != nil {
		return audit, err
	}
	timeout := strconv.FormatInt(req.Timeout.Milliseconds(), 10)
	err := tx.QueryRow(ctx, auditBeginSQL, timeout).Scan(&audit.At, nil, nil, nil, nil)
	if err != nil {
		return audit, err
	}
	for _, a := range audits {
		args := []any{req.Since, req.Examples}
		switch a.third {
		case auditGrace:
			args = append(args, req.Grace.Seconds())
		case auditKept:
			args = append(args, FinishedKept.Seconds())
		}
		began := time.Now()
		check := AuditCheck{Name: a.name, Says: a.says}
		if err := tx.QueryRow(ctx, a.sql, args...).Scan(&check.Looked, &check.Found, &check.Examples); err != nil {
			return audit, auditError(a.name, err)
		}
		check.TookMs = time.Since(began).Milliseconds()
		audit.OK = audit.OK && check.Found == 0
		audit.Checks = append(audit.Checks, check)
	}
	rows, err := tx.Query(ctx, auditSizesSQL)
	if err != nil {
		return audit, err
	}
	audit.Sizes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s TableSize, err error) {
		err = row.Scan(&s.Table, &s.Partitions, &s.Rows, &s.Dead, &s.TableBytes, &s.IndexBytes)
		return s, err
	})
	return audit, err
}

// auditError says which check it was, and what to do about one that takes too long.
func auditError(name string, err error) error {
	err = translate(err)
	if minoots.ErrorCode(err) == minoots.CodeUnavailable {
		return &minoots.Error{
			Code: minoots.CodeUnavailable, Message: "the check " + name + " did not come to an end",
			Hint: "give it more time (--timeout) or less to read (--since)", Err: err,
		}
	}
	return fmt.Errorf("check %s: %w", name, err)
}
