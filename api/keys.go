package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/minoots/minoots"
)

const (
	tagKeys = "api-keys"
	noStore = "no-store" // the answer has a secret
)

func (a *API) keyRoutes() {
	register(a, route{
		ID: "createApiKey", Method: http.MethodPost, Path: "/v1/api-keys", Tag: tagKeys,
		Summary: "Create an API key",
		Description: "Of the caller's tenant. The key itself is shown now and never again. A key cannot be given a " +
			"role that its maker lacks.",
		Role: minoots.RoleTenantAdmin, Status: http.StatusCreated,
		Example: `{"name": "planner", "roles": ["timer.read", "timer.write"]}`,
	}, a.createKey)
	register(a, route{
		ID: "listApiKeys", Method: http.MethodGet, Path: "/v1/api-keys", Tag: tagKeys,
		Summary: "List API keys", Description: "By age, revoked ones too.",
		Role: minoots.RoleTenantAdmin,
	}, a.listKeys)
	register(a, route{
		ID: "deleteApiKey", Method: http.MethodDelete, Path: "/v1/api-keys/{id}", Tag: tagKeys,
		Summary:     "Revoke an API key",
		Description: "It stops working within five seconds on every replica. Revoking twice changes nothing.",
		Role:        minoots.RoleTenantAdmin, Errors: []int{http.StatusNotFound},
	}, a.deleteKey)
	register(a, route{
		ID: "rotateApiKey", Method: http.MethodPost, Path: "/v1/api-keys/{id}/rotate", Tag: tagKeys,
		Summary: "Replace an API key",
		Description: "Makes a new key with the same name and roles and revokes the old one, in one transaction; the " +
			"old one stops working within five seconds.",
		Role: minoots.RoleTenantAdmin, Status: http.StatusCreated, Errors: []int{http.StatusNotFound},
	}, a.rotateKey)
}

type keyRequest struct {
	Name  string         `json:"name,omitempty" maxLength:"256" doc:"For people." example:"planner"`
	Roles []minoots.Role `json:"roles" minItems:"1" maxItems:"16" doc:"What the key may do." example:"timer.read,timer.write"`
}

type createKeyInput struct {
	Key body[keyRequest]
}

// createdKey is a key with the one thing that is not kept.
type createdKey struct {
	minoots.Key
	Secret string `json:"key" doc:"The key itself: shown now and never again." example:"mnt_…"`
}

type createdKeyOutput struct {
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Body         createdKey
}

func (a *API) createKey(ctx context.Context, in *createKeyInput) (*createdKeyOutput, error) {
	asked := in.Key.Value
	if err := checkLengths("key", field{"name", &asked.Name}); err != nil {
		return nil, err
	}
	if err := minoots.ValidateRoles(asked.Roles); err != nil {
		return nil, err
	}
	for i, role := range asked.Roles {
		if !slices.Contains(grantable(ctx), role) {
			return nil, minoots.Errorf(minoots.CodeForbidden, "roles[%d]: a key without the role %s cannot grant it", i, role)
		}
	}
	secret, prefix, hash := minoots.NewCredential()
	made, err := a.db.KeyCreate(ctx, minoots.Key{
		ID: minoots.NewID(), TenantID: principalOf(ctx).TenantID, Name: asked.Name, Prefix: prefix, Roles: asked.Roles,
	}, hash)
	return &createdKeyOutput{CacheControl: noStore, Body: createdKey{made, secret}}, err
}

type listKeysOutput struct {
	Body list[minoots.Key]
}

func (a *API) listKeys(ctx context.Context, in *listByIDInput) (*listKeysOutput, error) {
	keys, err := a.db.KeyPage(ctx, principalOf(ctx).TenantID, in.after, in.Limit+1)
	return &listKeysOutput{Body: pageOf(keys, in.Limit, func(k minoots.Key) string {
		return encodeCursor(cursorKeys, k.ID[:])
	})}, err
}

type keyInput struct {
	ID minoots.ID `path:"id" format:"uuid" doc:"The key's id."`
}

func (a *API) deleteKey(ctx context.Context, in *keyInput) (*struct{}, error) {
	_, err := a.db.KeyRevoke(ctx, principalOf(ctx).TenantID, in.ID)
	a.keys.forget(in.ID)
	return nil, err
}

func (a *API) rotateKey(ctx context.Context, in *keyInput) (*createdKeyOutput, error) {
	secret, prefix, hash := minoots.NewCredential()
	made, err := a.db.KeyRotate(ctx, principalOf(ctx).TenantID, in.ID,
		minoots.Key{ID: minoots.NewID(), Prefix: prefix}, hash, grantable(ctx))
	a.keys.forget(in.ID)
	return &createdKeyOutput{CacheControl: noStore, Body: createdKey{made, secret}}, err
}
