package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
)

const tagTenants = "tenants"

func (a *API) tenantRoutes() {
	register(a, route{
		ID: "createTenant", Method: http.MethodPost, Path: "/v1/tenants", Tag: tagTenants,
		Summary:     "Create a tenant",
		Description: "Its first key is made with `minoots keys create --tenant ID`.",
		Role:        minoots.RoleOperator, Status: http.StatusCreated, Errors: []int{http.StatusConflict},
		Example: `{"id": "acme", "name": "Acme Ltd."}`,
	}, a.createTenant)
	register(a, route{
		ID: "listTenants", Method: http.MethodGet, Path: "/v1/tenants", Tag: tagTenants,
		Summary: "List tenants", Description: "By id.",
		Role: minoots.RoleOperator,
	}, a.listTenants)
	register(a, route{
		ID: "getTenant", Method: http.MethodGet, Path: "/v1/tenants/{id}", Tag: tagTenants,
		Summary: "Get a tenant", Description: "By its id, such as `acme`.",
		Role: minoots.RoleOperator, Errors: []int{http.StatusNotFound},
	}, a.getTenant)
	register(a, route{
		ID: "updateTenant", Method: http.MethodPatch, Path: "/v1/tenants/{id}", Tag: tagTenants,
		Summary: "Change a tenant", Description: "Its name; the id stays.",
		Role: minoots.RoleOperator, Errors: []int{http.StatusNotFound},
		Example: `{"name": "Acme Inc."}`,
	}, a.updateTenant)
}

type tenantRequest struct {
	ID   string `json:"id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" doc:"Part of subjects and file names, so it is plain." example:"acme"`
	Name string `json:"name,omitempty" maxLength:"256" doc:"For people." example:"Acme Ltd."`
}

type createTenantInput struct {
	Tenant body[tenantRequest]
}

type createTenantOutput struct {
	Location string `header:"Location" doc:"The tenant's path."`
	Body     minoots.Tenant
}

func (a *API) createTenant(ctx context.Context, in *createTenantInput) (*createTenantOutput, error) {
	asked := in.Tenant.Value
	if err := minoots.ValidateTenantID(asked.ID); err != nil {
		return nil, err
	}
	if err := checkLengths("tenant", field{"name", &asked.Name}); err != nil {
		return nil, err
	}
	made, err := a.db.TenantCreate(ctx, asked.ID, asked.Name)
	return &createTenantOutput{Location: "/v1/tenants/" + made.ID, Body: made}, err
}

type listTenantsInput struct {
	Paging
	after string
}

// Resolve implements huma.Resolver.
func (in *listTenantsInput) Resolve(huma.Context) []error {
	place, bad := in.place(cursorTenants, func(b []byte) bool { return minoots.ValidateTenantID(string(b)) == nil })
	in.after = string(place)
	return bad
}

type listTenantsOutput struct {
	Body list[minoots.Tenant]
}

func (a *API) listTenants(ctx context.Context, in *listTenantsInput) (*listTenantsOutput, error) {
	tenants, err := a.db.TenantPage(ctx, in.after, in.Limit+1)
	return &listTenantsOutput{Body: pageOf(tenants, in.Limit, func(t minoots.Tenant) string {
		return encodeCursor(cursorTenants, []byte(t.ID))
	})}, err
}

type tenantOutput struct {
	Body minoots.Tenant
}

type getTenantInput struct {
	ID string `path:"id" doc:"The tenant's id."`
}

// Resolve implements huma.Resolver.
func (in *getTenantInput) Resolve(huma.Context) []error { return checkTenantPath(in.ID) }

func checkTenantPath(id string) []error {
	if minoots.ValidateTenantID(id) != nil {
		return []error{badParam("path", "id", "must be a tenant's id: 1 to 63 of a-z, 0-9, _ and -")}
	}
	return nil
}

func (a *API) getTenant(ctx context.Context, in *getTenantInput) (*tenantOutput, error) {
	tenant, err := a.db.TenantGet(ctx, in.ID)
	return &tenantOutput{Body: tenant}, err
}

type tenantPatch struct {
	Name *string `json:"name,omitempty" maxLength:"256" doc:"For people." example:"Acme Inc."`
}

type updateTenantInput struct {
	ID    string `path:"id" doc:"The tenant's id."`
	Patch body[tenantPatch]
}

// Resolve implements huma.Resolver.
func (in *updateTenantInput) Resolve(huma.Context) []error { return checkTenantPath(in.ID) }

func (a *API) updateTenant(ctx context.Context, in *updateTenantInput) (*tenantOutput, error) {
	name := in.Patch.Value.Name
	if name == nil {
		return a.getTenant(ctx, &getTenantInput{ID: in.ID})
	}
	if err := checkLengths("tenant", field{"name", name}); err != nil {
		return nil, err
	}
	tenant, err := a.db.TenantRename(ctx, in.ID, *name)
	return &tenantOutput{Body: tenant}, err
}
