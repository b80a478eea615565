package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

// security is what every operation asks for, one or the other.
var security = []map[string][]string{{"bearer": {}}, {"apiKey": {}}}

var securitySchemes = map[string]*huma.SecurityScheme{
	"bearer": {Type: "http", Scheme: "bearer", Description: "Authorization: Bearer KEY"},
	"apiKey": {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "X-API-Key: KEY"},
}

// maxCredential is far beyond a key of ours, and little to hash.
const maxCredential = 256

// authenticate finds who makes the request. The credential decides the tenant;
// the header x-tenant-id may only repeat it.
func (a *API) authenticate(ctx context.Context, headers http.Header) (minoots.Principal, error) {
	secret, err := credential(headers)
	if err != nil {
		return minoots.Principal{}, err
	}
	principal, err := a.keys.find(ctx, secret)
	if minoots.ErrorCode(err) == minoots.CodeNotFound {
		err = minoots.Errorf(minoots.CodeUnauthenticated, "the key is not known, or is revoked")
	}
	if err != nil {
		return minoots.Principal{}, err
	}
	for _, tenant := range headers.Values("X-Tenant-Id") {
		if err := sameTenant(principal, tenant, "x-tenant-id"); err != nil {
			return minoots.Principal{}, err
		}
	}
	return principal, nil
}

// credential is the one key that the headers give, however often.
func credential(h http.Header) (string, error) {
	keys := slices.Clone(h.Values("X-Api-Key"))
	for _, value := range h.Values("Authorization") {
		scheme, key, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", minoots.Errorf(minoots.CodeUnauthenticated, "the Authorization header has another scheme than Bearer")
		}
		keys = append(keys, strings.TrimSpace(key))
	}
	if len(keys) == 0 {
		return "", minoots.Errorf(minoots.CodeUnauthenticated, "send a key, as Authorization: Bearer KEY or X-API-Key: KEY")
	}
	for _, other := range keys[1:] {
		if other != keys[0] {
			return "", minoots.Errorf(minoots.CodeUnauthenticated, "the headers give two different keys; send one")
		}
	}
	if keys[0] == "" || len(keys[0]) > maxCredential {
		return "", minoots.Errorf(minoots.CodeUnauthenticated, "the key is not known, or is revoked")
	}
	return keys[0], nil
}

// authorize tells whether the principal has the role.
func authorize(p minoots.Principal, role minoots.Role) error {
	if p.May(role) {
		return nil
	}
	return minoots.Errorf(minoots.CodeForbidden, "the key has no role %s, which this needs", role)
}

// sameTenant holds what a request says of its tenant against the credential's.
func sameTenant(p minoots.Principal, tenant, path string) error {
	if tenant == "" || tenant == p.TenantID {
		return nil
	}
	return minoots.Errorf(minoots.CodeForbidden, "%s does not agree with the tenant of the key", path)
}

// grantable are the roles that a caller may give to a key: those it has itself.
func grantable(ctx context.Context) []minoots.Role {
	p := principalOf(ctx)
	return slices.DeleteFunc(slices.Clone(minoots.Roles), func(r minoots.Role) bool { return !p.May(r) })
}
