package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/minoots/minoots"
)

//go:embed query/tenant_create.sql
var tenantCreateSQL string

//go:embed query/tenant_page.sql
var tenantPageSQL string

//go:embed query/tenant_get.sql
var tenantGetSQL string

//go:embed query/tenant_rename.sql
var tenantRenameSQL string

// TenantCreate makes a tenant; one that exists is CodeConflict.
func (d *DB) TenantCreate(ctx context.Context, id, name string) (minoots.Tenant, error) {
	t, err := scanTenant(d.pool.QueryRow(ctx, tenantCreateSQL, id, name))
	if err = translate(err); minoots.ErrorCode(err) == minoots.CodeConflict {
		return t, &minoots.Error{Code: minoots.CodeConflict, Message: "a tenant with this id exists already", Err: err}
	}
	return t, err
}

// TenantGet gives one tenant.
func (d *DB) TenantGet(ctx context.Context, id string) (minoots.Tenant, error) {
	t, err := scanTenant(d.pool.QueryRow(ctx, tenantGetSQL, id))
	return t, notFound(translate(err), "tenant")
}

// TenantRename changes a tenant's name.
func (d *DB) TenantRename(ctx context.Context, id, name string) (minoots.Tenant, error) {
	t, err := scanTenant(d.pool.QueryRow(ctx, tenantRenameSQL, id, name))
	return t, notFound(translate(err), "tenant")
}

// TenantPage lists tenants by id, after the given one.
func (d *DB) TenantPage(ctx context.Context, after string, limit int) ([]minoots.Tenant, error) {
	rows, err := d.pool.Query(ctx, tenantPageSQL, after, limit)
	if err != nil {
		return nil, translate(err)
	}
	tenants, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (minoots.Tenant, error) { return scanTenant(r) })
	return tenants, translate(err)
}

func scanTenant(row pgx.Row) (minoots.Tenant, error) {
	var t minoots.Tenant
	var created time.Time
	err := row.Scan(&t.ID, &t.Name, &created)
	t.CreatedAt = instant(created)
	return t, err
}
