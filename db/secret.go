package db

import (
	"context"
	_ "embed"
	"encoding/base64"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/secret_ensure.sql
var secretEnsureSQL string

//go:embed query/secret_live.sql
var secretLiveSQL string

//go:embed query/secret_list.sql
var secretListSQL string

//go:embed query/secret_show.sql
var secretShowSQL string

//go:embed query/secret_rotate.sql
var secretRotateSQL string

// Secret is a webhook signing secret of a tenant. At rest it is sealed with the
// operator's key, if there is one: see secret_seal.go.
type Secret struct {
	ID        minoots.ID
	Secret    []byte // 24 to 64 random bytes
	CreatedAt time.Time
	ExpiresAt *time.Time // nil for the current one
}

// SecretText is a secret as Standard Webhooks libraries take it.
func SecretText(secret []byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(secret)
}

// secretPrefix is what may be shown of a secret again: 24 of its bits.
func secretPrefix(secret []byte) string {
	text := SecretText(secret)
	return text[:min(len("whsec_")+4, len(text))]
}

// SecretInfo is what may be said of a secret again.
type SecretInfo struct {
	ID        minoots.ID
	Prefix    string // "" if a replica of an earlier version made it
	CreatedAt time.Time
	ExpiresAt *time.Time // nil for the current one
	ShownAt   *time.Time // nil if nobody has seen it
}

// SecretLive gives the tenant's live secrets, the current one first, two at most.
// If one of them cannot be opened there is none: with some of the signatures
// missing, a receiver might refuse for good what is to be tried again.
func (d *DB) SecretLive(ctx context.Context, tenant string) ([]Secret, error) {
	rows, err := d.pool.Query(ctx, secretLiveSQL, tenant)
	if err != nil {
		return nil, translate(err)
	}
	secrets, err := pgx.CollectRows(rows, d.openSecret(tenant))
	return secrets, translate(err)
}

// SecretList says what there is to say of the tenant's live secrets, the current
// one first. It opens none, so it needs no key.
func (d *DB) SecretList(ctx context.Context, tenant string) ([]SecretInfo, error) {
	rows, err := d.pool.Query(ctx, secretListSQL, tenant)
	if err != nil {
		return nil, translate(err)
	}
	infos, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s SecretInfo, err error) {
		err = row.Scan(&s.ID, &s.Prefix, &s.CreatedAt, &s.ExpiresAt, &s.ShownAt)
		return s, err
	})
	return infos, translate(err)
}

// SecretEnsure keeps the offered secret if the tenant has no live one, and
// tells whether it did. Of any number of callers at once, one does.
func (d *DB) SecretEnsure(ctx context.Context, tenant string, offered Secret) (bool, error) {
	stored, keyID := d.sealSecret(tenant, &offered)
	tag, err := d.pool.Exec(ctx, secretEnsureSQL, offered.ID, tenant, stored, keyID, secretPrefix(offered.Secret))
	return tag.RowsAffected() == 1, translate(err)
}

// SecretShow gives the tenant's current secret to the first who asks, and
// CodeConflict to all others. One that cannot be opened is not taken for shown.
func (d *DB) SecretShow(ctx context.Context, tenant string) (s Secret, err error) {
	err = d.InTx(ctx, func(tx Tx) error {
		rows, err := tx.Query(ctx, secretShowSQL, tenant)
		if err != nil {
			return err
		}
		s, err = pgx.CollectExactlyOneRow(rows, d.openSecret(tenant))
		return err
	})
	if minoots.ErrorCode(err) == minoots.CodeNotFound {
		err = &minoots.Error{
			Code: minoots.CodeConflict, Message: "the tenant has a signing secret already, and it has been shown",
			Hint: "POST /v1/signing-secrets/rotate makes another",
		}
	}
	return s, err
}

// SecretRotate makes next the current secret, as one that is shown. The one
// before stays live for the grace; any older one ends now, so that two at most
// are live. It opens none: a secret that is lost with its key can be replaced.
func (d *DB) SecretRotate(ctx context.Context, tenant string, next Secret, grace time.Duration) (Secret, error) {
	stored, keyID := d.sealSecret(tenant, &next)
	err := d.pool.QueryRow(ctx, secretRotateSQL, next.ID, tenant, stored, grace.Microseconds(), keyID, secretPrefix(next.Secret)).
		Scan(&next.CreatedAt, &next.ExpiresAt)
	return next, notFound(translate(err), "tenant")
}
