package db

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/minoots/minoots"
)

// translate turns what pgx and Postgres say into a minoots.Error, so that no
// caller needs to know either. Every error that leaves this package has passed
// through it once; one that is already ours is left as it is.
func translate(err error) error {
	var ours *minoots.Error
	var pg *pgconn.PgError
	var netErr net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return &minoots.Error{Code: minoots.CodeNotFound, Message: "no such row", Err: err}
	case errors.As(err, &pg):
		return translatePg(pg)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr), pgconn.SafeToRetry(err),
		strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "closed pool"),
		strings.Contains(err.Error(), "unexpected EOF"), strings.Contains(err.Error(), "failed to connect"):
		return unavailable(err)
	default:
		return &minoots.Error{Code: minoots.CodeInternal, Message: "database error", Err: err}
	}
}

func unavailable(err error) error {
	return &minoots.Error{
		Code: minoots.CodeUnavailable, Message: "the database does not answer", Hint: "try again shortly", Err: redact(err),
	}
}

// translatePg goes by SQLSTATE (PostgreSQL 15, appendix A).
func translatePg(pg *pgconn.PgError) error {
	switch class := pg.Code[:2]; {
	case pg.Code == "23505":
		return &minoots.Error{Code: minoots.CodeConflict, Message: "it exists already", Err: pg}
	case pg.Code == "23503":
		return &minoots.Error{Code: minoots.CodeNotFound, Message: "what it refers to does not exist", Err: pg}
	case pg.Code == "22021", pg.Code == "22P05":
		return &minoots.Error{Code: minoots.CodeInvalid, Message: "a text contains a character that cannot be stored, such as NUL", Err: pg}
	case class == "22": // a value that the column's type does not take, such as a number out of range
		return &minoots.Error{Code: minoots.CodeInvalid, Message: "a value cannot be stored", Err: pg}
	case class == "08", class == "53", class == "57", class == "58",
		pg.Code == "40001", pg.Code == "40P01", pg.Code == "55P03", pg.Code == "25006":
		// connections, resources (a full disk), operator intervention, system
		// errors, serialization, deadlock, lock timeout, a read-only standby
		return unavailable(pg)
	default:
		return &minoots.Error{Code: minoots.CodeInternal, Message: "database error", Err: pg}
	}
}

// redact keeps a connection string's password out of logs: pgx's errors name
// user, host and database, but a parse error repeats the string.
func redact(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if strings.Contains(text, "://") {
		if at := strings.LastIndex(text, "@"); at >= 0 {
			start := strings.Index(text, "://") + 3
			if start < at {
				return errors.New(text[:start] + "…" + text[at:])
			}
		}
	}
	return err
}
