package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/key_create.sql
var keyCreateSQL string

//go:embed query/key_find.sql
var keyFindSQL string

//go:embed query/key_page.sql
var keyPageSQL string

//go:embed query/key_revoke.sql
var keyRevokeSQL string

//go:embed query/key_rotate.sql
var keyRotateSQL string

// KeyCreate keeps a key's hash. A tenant that does not exist is CodeNotFound.
func (d *DB) KeyCreate(ctx context.Context, k minoots.Key, hash []byte) (minoots.Key, error) {
	made, err := scanKey(d.pool.QueryRow(ctx, keyCreateSQL, k.ID, k.TenantID, k.Name, k.Prefix, hash, k.Roles))
	return made, notFound(translate(err), "tenant")
}

// KeyFind gives who holds the key with this hash; CodeNotFound if it is unknown
// or revoked.
func (d *DB) KeyFind(ctx context.Context, hash []byte) (minoots.Principal, error) {
	var p minoots.Principal
	err := d.pool.QueryRow(ctx, keyFindSQL, hash).Scan(&p.KeyID, &p.TenantID, &p.Roles)
	return p, translate(err)
}

// KeyPage lists a tenant's keys, revoked ones too, by age, after the given one.
func (d *DB) KeyPage(ctx context.Context, tenant string, after minoots.ID, limit int) ([]minoots.Key, error) {
	rows, err := d.pool.Query(ctx, keyPageSQL, tenant, after, limit)
	if err != nil {
		return nil, translate(err)
	}
	keys, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (minoots.Key, error) { return scanKey(r) })
	return keys, translate(err)
}

// KeyRevoke ends a key of the tenant's; replicas that know it forget it within
// the time that they cache keys. Revoking twice changes nothing.
func (d *DB) KeyRevoke(ctx context.Context, tenant string, id minoots.ID) (minoots.Key, error) {
	k, err := scanKey(d.pool.QueryRow(ctx, keyRevokeSQL, tenant, id))
	return k, notFound(translate(err), "key")
}

// KeyRotate ends a live key of the tenant's and makes next, of which ID, Prefix
// and hash count, with the old one's name and roles. A key that is revoked, or
// has a role beyond grantable, is CodeNotFound.
func (d *DB) KeyRotate(ctx context.Context, tenant string, old minoots.ID, next minoots.Key, hash []byte, grantable []minoots.Role) (minoots.Key, error) {
	k, err := scanKey(d.pool.QueryRow(ctx, keyRotateSQL, tenant, old, next.ID, next.Prefix, hash, grantable))
	return k, notFound(translate(err), "live key")
}

func scanKey(row pgx.Row) (minoots.Key, error) {
	var k minoots.Key
	var created time.Time
	var revoked *time.Time
	err := row.Scan(&k.ID, &k.TenantID, &k.Name, &k.Prefix, &k.Roles, &created, &revoked)
	k.CreatedAt, k.RevokedAt = instant(created), optionalInstant(revoked)
	return k, err
}
