package api_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
)

// needs is the role of each operation. The test below walks the document, so an
// operation that is not here fails it.
var needs = map[string]minoots.Role{
	"createTimer": minoots.RoleTimerWrite, "createTimers": minoots.RoleTimerWrite,
	"listTimers": minoots.RoleTimerRead, "getTimer": minoots.RoleTimerRead,
	"listFirings": minoots.RoleTimerRead, "getFiring": minoots.RoleTimerRead,
	"listDeadLetters": minoots.RoleTimerRead, "getDeadLetter": minoots.RoleTimerRead,
	"redriveDeadLetter": minoots.RoleTimerWrite, "redriveDeadLetters": minoots.RoleTimerWrite,
	"discardDeadLetter": minoots.RoleTimerWrite,
	"previewRecurrence": minoots.RoleTimerRead,
	"cancelTimer":       minoots.RoleTimerCancel,
	"updateTimer":       minoots.RoleTimerWrite,
	"pauseTimer":        minoots.RoleTimerWrite, "resumeTimer": minoots.RoleTimerWrite,
	"listEvents":  minoots.RoleTimerRead,
	"snoozeTimer": minoots.RoleTimerWrite, "fireTimer": minoots.RoleTimerWrite,
	"replayTimer": minoots.RoleTimerWrite, "waitTimer": minoots.RoleTimerRead,
	"cancelTimers": minoots.RoleTimerCancel, "pauseTimers": minoots.RoleTimerWrite,
	"resumeTimers": minoots.RoleTimerWrite, "rescheduleTimers": minoots.RoleTimerWrite,
	"getUsage":     minoots.RoleTimerRead,
	"createApiKey": minoots.RoleTenantAdmin, "listApiKeys": minoots.RoleTenantAdmin,
	"deleteApiKey": minoots.RoleTenantAdmin, "rotateApiKey": minoots.RoleTenantAdmin,
	"createSigningSecret": minoots.RoleTenantAdmin, "listSigningSecrets": minoots.RoleTenantAdmin,
	"rotateSigningSecret": minoots.RoleTenantAdmin,
	"acknowledge":         "", "extendAcknowledgement": "", // the token is the credential
	"listDestinations": minoots.RoleTimerRead, "setDestinationLimits": minoots.RoleTenantAdmin,
	"resetDestination": minoots.RoleTenantAdmin,
	"createTenant":     minoots.RoleOperator, "listTenants": minoots.RoleOperator,
	"createSubscription": minoots.RoleTenantAdmin, "listSubscriptions": minoots.RoleTimerRead,
	"getSubscription": minoots.RoleTimerRead, "updateSubscription": minoots.RoleTenantAdmin,
	"deleteSubscription": minoots.RoleTenantAdmin, "pauseSubscription": minoots.RoleTenantAdmin,
	"resumeSubscription": minoots.RoleTenantAdmin, "testSubscription": minoots.RoleTenantAdmin,
	"listSubscriptionDeliveries": minoots.RoleTimerRead, "redeliver": minoots.RoleTenantAdmin,
	"getTenant": minoots.RoleOperator, "updateTenant": minoots.RoleOperator,
}

// operations calls fn for each operation of the document, with a path in which
// ids stand and the example as a body.
func (b *bundle) operations(fn func(op *huma.Operation, path, body string)) {
	timer, key := b.create(`{"duration":"1h"}`).ID, minoots.NewID()
	fill := map[string]string{
		"/v1/timers/{id}":                       "/v1/timers/" + timer.String(),
		"/v1/timers/{id}/cancel":                "/v1/timers/" + timer.String() + "/cancel",
		"/v1/timers/{id}/pause":                 "/v1/timers/" + timer.String() + "/pause",
		"/v1/timers/{id}/resume":                "/v1/timers/" + timer.String() + "/resume",
		"/v1/timers/{id}/snooze":                "/v1/timers/" + timer.String() + "/snooze",
		"/v1/timers/{id}/fire":                  "/v1/timers/" + timer.String() + "/fire",
		"/v1/timers/{id}/firings":               "/v1/timers/" + timer.String() + "/firings",
		"/v1/timers/{id}/firings/{occurrence}":  "/v1/timers/" + timer.String() + "/firings/1",
		"/v1/dead-letters/{id}":                 "/v1/dead-letters/" + key.String(),
		"/v1/dead-letters/{id}/redrive":         "/v1/dead-letters/" + key.String() + "/redrive",
		"/v1/api-keys/{id}":                     "/v1/api-keys/" + key.String(),
		"/v1/api-keys/{id}/rotate":              "/v1/api-keys/" + key.String() + "/rotate",
		"/v1/tenants/{id}":                      "/v1/tenants/globex",
		"/v1/destinations/{destination}/limits": "/v1/destinations/https%3A%2F%2Fexample.com/limits",
		"/v1/destinations/{destination}/reset":  "/v1/destinations/https%3A%2F%2Fexample.com/reset",
		"/v1/timers/{id}/replay":                "/v1/timers/" + timer.String() + "/replay",
		"/v1/timers/{id}/wait":                  "/v1/timers/" + timer.String() + "/wait?timeout=0",
		"/v1/acks/{token}":                      "/v1/acks/" + minoots.NewAcknowledgementToken(),
		"/v1/acks/{token}/heartbeat":            "/v1/acks/" + minoots.NewAcknowledgementToken() + "/heartbeat",
	}
	for _, path := range []string{"", "/pause", "/resume", "/test", "/deliveries"} {
		fill["/v1/subscriptions/{id}"+path] = "/v1/subscriptions/" + key.String() + path
	}
	fill["/v1/subscriptions/{id}/deliveries/{deliveryId}/redeliver"] = "/v1/subscriptions/" + key.String() + "/deliveries/" + key.String() + "/redeliver"
	for path, item := range b.api.Document().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head} {
			if op == nil {
				continue
			}
			var body string
			if op.RequestBody != nil {
				example, ok := op.RequestBody.Content["application/json"].Example.(json.RawMessage)
				require.True(b.t, ok && len(example) > 0, "%s has no example", op.OperationID)
				body = string(example)
			}
			target := path
			if filled, ok := fill[path]; ok {
				target = filled
			}
			fn(op, target, body)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	keys := map[minoots.Role]string{}
	for _, role := range minoots.Roles {
		keys[role] = b.key("acme", role)
	}
	walked := 0
	b.operations(func(op *huma.Operation, path, body string) {
		walked++
		need, known := needs[op.OperationID]
		require.True(t, known, "%s is not in the table of roles", op.OperationID)
		if need == "" {
			assert.NotContains(t, op.Extensions, "x-minoots-role", op.OperationID)
			assert.Empty(t, op.Security, op.OperationID)
		} else {
			assert.Equal(t, need, op.Extensions["x-minoots-role"], op.OperationID)
		}
		for role, key := range keys {
			a := b.call(op.Method, path, body, "X-Api-Key", key)
			if need == "" || role == need || role == minoots.RoleTenantAdmin && need != minoots.RoleOperator {
				assert.NotContains(t, []int{401, 403, 400, 405, 422, 500}, a.StatusCode, "%s as %s", op.OperationID, role)
			} else {
				assert.Equal(t, http.StatusForbidden, a.StatusCode, "%s as %s", op.OperationID, role)
			}
			b.conforms(op, a)
		}
	})
	assert.Len(t, needs, walked)
}

func TestEveryOperationWantsACredential(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unknown, _, _ := minoots.NewCredential()
	b.operations(func(op *huma.Operation, path, body string) {
		if needs[op.OperationID] == "" {
			b.call(op.Method, path, body, "X-Api-Key", "", "X-Tenant-Id", "globex").is(http.StatusNotFound)
			return
		}
		for _, headers := range [][]string{
			{"X-Api-Key", ""},
			{"X-Api-Key", unknown},
			{"X-Api-Key", b.admin, "Authorization", "Bearer " + b.operator},
			{"X-Api-Key", "", "Authorization", "Basic " + b.admin},
			{"X-Api-Key", "", "Authorization", "Bearer "},
		} {
			a := b.call(op.Method, path, body, headers...).is(http.StatusUnauthorized)
			assert.Equal(t, minoots.CodeUnauthenticated, a.problem().Code)
			assert.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
		}
		p := b.call(op.Method, path, body, "X-Tenant-Id", "globex").is(http.StatusForbidden).problem()
		assert.Equal(t, minoots.CodeForbidden, p.Code)
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, headers := range [][]string{
		{"X-Api-Key", "", "Authorization", "Bearer " + b.admin},
		{"X-Api-Key", "", "Authorization", "bearer  " + b.admin},
		{"X-Api-Key", b.admin, "Authorization", "Bearer " + b.admin},
		{"X-Tenant-Id", "acme"},
	} {
		b.call("GET", "/v1/timers", "", headers...).is(http.StatusOK)
	}
}

// conforms holds an answer against the schema that the document has for it.
func (b *bundle) conforms(op *huma.Operation, a *answer) {
	b.t.Helper()
	documented := op.Responses[strconv.Itoa(a.StatusCode)]
	if a.StatusCode >= http.StatusBadRequest {
		documented = op.Responses["default"]
		assert.Contains(b.t, documented.Description, strconv.Itoa(a.StatusCode), op.OperationID)
	}
	require.NotNil(b.t, documented, "%s: status %d is not documented", op.OperationID, a.StatusCode)
	media := documented.Content[a.Header.Get("Content-Type")]
	if media == nil {
		assert.Empty(b.t, a.body, "%s: %d", op.OperationID, a.StatusCode)
		return
	}
	var body any
	a.into(&body)
	var result huma.ValidateResult
	huma.Validate(b.api.Document().Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, body, &result)
	assert.Empty(b.t, result.Errors, "%s: %s", op.OperationID, a.body)
}
