package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/secret_ensure.sql
var secretEnsureSQL string

//go:embed query/secret_live.sql
var secretLiveSQL string

//go:embed query/secret_rotate.sql
var secretRotateSQL string

// Secret is a webhook signing secret of a tenant.
type Secret struct {
	ID        minoots.ID
	Secret    []byte // 24 to 64 random bytes
	CreatedAt time.Time
	ExpiresAt *time.Time // nil for the current one
}

// SecretLive gives the tenant's live secrets, the current one first, two at most.
func (d *DB) SecretLive(ctx context.Context, tenant string) ([]Secret, error) {
	rows, err := d.pool.Query(ctx, secretLiveSQL, tenant)
	if err != nil {
		return nil, translate(err)
	}
	secrets, err := pgx.CollectRows(rows, scanSecret)
	return secrets, translate(err)
}

// SecretEnsure keeps the offered secret if the tenant has no live one, and
// tells whether it did. Of any number of callers at once, one does.
func (d *DB) SecretEnsure(ctx context.Context, tenant string, offered Secret) (bool, error) {
	tag, err := d.pool.Exec(ctx, secretEnsureSQL, offered.ID, tenant, offered.Secret)
	return tag.RowsAffected() == 1, translate(err)
}

// SecretRotate makes next the current secret. The one before stays live for the
// grace; any older one ends now, so that two at most are live.
func (d *DB) SecretRotate(ctx context.Context, tenant string, next Secret, grace time.Duration) (Secret, error) {
	rows, err := d.pool.Query(ctx, secretRotateSQL, next.ID, tenant, next.Secret, grace.Microseconds())
	if err != nil {
		return Secret{}, translate(err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSecret)
	return s, notFound(translate(err), "tenant")
}

func scanSecret(row pgx.CollectableRow) (Secret, error) {
	var s Secret
	err := row.Scan(&s.ID, &s.Secret, &s.CreatedAt, &s.ExpiresAt)
	return s, err
}
