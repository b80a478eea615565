package minoots

import (
	"fmt"
	"regexp"
	"slices"
)

// Role is a right of a key.
type Role string

// tenant.admin includes the other rights within its tenant; operator, which
// manages tenants, is apart and is included by none.
const (
	RoleTimerRead   Role = "timer.read"
	RoleTimerWrite  Role = "timer.write"
	RoleTimerCancel Role = "timer.cancel"
	RoleTenantAdmin Role = "tenant.admin"
	RoleOperator    Role = "operator"
)

// Roles lists them all.
var Roles = []Role{RoleTimerRead, RoleTimerWrite, RoleTimerCancel, RoleTenantAdmin, RoleOperator}

// Principal is who makes a request: the tenant comes from the credential and
// from nowhere else.
type Principal struct {
	TenantID string
	KeyID    ID
	Roles    []Role
}

// May tells whether the principal has the right.
func (p Principal) May(role Role) bool {
	return slices.Contains(p.Roles, role) ||
		role != RoleOperator && slices.Contains(p.Roles, RoleTenantAdmin)
}

// Tenant is a customer: everything but the operator's own data belongs to one.
type Tenant struct {
	ID        string  `json:"id" example:"acme"`
	Name      string  `json:"name"`
	CreatedAt Instant `json:"createdAt"`
}

// Key is an API key as it may be shown again: the secret itself is kept only as
// a hash, and Prefix tells keys apart.
type Key struct {
	ID        ID       `json:"id"`
	TenantID  string   `json:"tenantId"`
	Name      string   `json:"name"`
	Prefix    string   `json:"prefix" doc:"The first characters of the key."`
	Roles     []Role   `json:"roles"`
	CreatedAt Instant  `json:"createdAt"`
	RevokedAt *Instant `json:"revokedAt"`
}

var tenantPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// ValidateTenantID checks the form of a tenant's id. It becomes part of NATS
// subjects and file names, so dots, spaces and capitals are out.
func ValidateTenantID(id string) error {
	var bad problems
	if !tenantPattern.MatchString(id) {
		bad.add("id", "must be 1 to 63 of a-z, 0-9, _ and -, and begin with a letter or digit")
	}
	return bad.err("tenant")
}

// ValidateRoles checks that each role exists and that there is one.
func ValidateRoles(roles []Role) error {
	var bad problems
	if len(roles) == 0 {
		bad.add("roles", "must name at least one of %v", Roles)
	}
	for i, role := range roles {
		if !slices.Contains(Roles, role) {
			bad.add(fmt.Sprintf("roles[%d]", i), "must be one of %v", Roles)
		}
	}
	return bad.err("key")
}
