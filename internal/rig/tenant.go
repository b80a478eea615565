package rig

import (
	"context"
	"fmt"
	"net/url"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// MakeTenant makes a tenant and gives a key that may do all that tenants may.
func MakeTenant(ctx context.Context, url, id string) (key string, err error) {
	d, err := db.Connect(ctx, db.Config{URL: url, Name: "rig", MaxConns: 1})
	if err != nil {
		return "", err
	}
	defer d.Close()
	if _, err := d.TenantCreate(ctx, id, ""); err != nil {
		return "", err
	}
	secret, prefix, hash := minoots.NewCredential()
	_, err = d.KeyCreate(ctx, minoots.Key{
		ID: minoots.NewID(), TenantID: id, Name: "rig", Prefix: prefix, Roles: []minoots.Role{minoots.RoleTenantAdmin},
	}, hash)
	return secret, err
}

// WithDatabase is the same server's URL for another database.
func WithDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", fmt.Errorf("the database URL must look like postgres://user:password@host:5432/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
