package api_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

type createdKey struct {
	minoots.Key
	Secret string `json:"key"`
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made, next createdKey
	a := b.call("POST", "/v1/api-keys", `{"name":"planner","roles":["timer.read"]}`).is(http.StatusCreated)
	a.into(&made)
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	assert.Regexp(t, `^mnt_[A-Za-z0-9_-]{43}$`, made.Secret)
	assert.Equal(t, made.Secret[:12], made.Prefix)
	b.call("GET", "/v1/timers", "", "X-Api-Key", made.Secret).is(http.StatusOK)

	b.call("POST", "/v1/api-keys/"+made.ID.String()+"/rotate", "").is(http.StatusCreated).into(&next)
	assert.Equal(t, "planner", next.Name)
	assert.Equal(t, made.Roles, next.Roles)
	assert.NotEqual(t, made.ID, next.ID)
	b.call("GET", "/v1/timers", "", "X-Api-Key", made.Secret).is(http.StatusUnauthorized)
	b.call("GET", "/v1/timers", "", "X-Api-Key", next.Secret).is(http.StatusOK)
	b.call("POST", "/v1/api-keys/"+made.ID.String()+"/rotate", "").is(http.StatusNotFound)

	for range 2 {
		b.call("DELETE", "/v1/api-keys/"+next.ID.String(), "").is(http.StatusNoContent)
	}
	b.call("GET", "/v1/timers", "", "X-Api-Key", next.Secret).is(http.StatusUnauthorized)
	b.call("DELETE", "/v1/api-keys/"+next.ID.String(), "", "X-Api-Key", b.other).is(http.StatusNotFound)

	var p page[minoots.Key]
	list := b.call("GET", "/v1/api-keys?limit=2", "").is(http.StatusOK)
	list.into(&p)
	require.Len(t, p.Items, 2)
	assert.NotContains(t, string(list.body), b.admin)
	b.call("GET", "/v1/api-keys?limit=2&cursor="+*p.NextCursor, "").is(http.StatusOK).into(&p)
	require.Len(t, p.Items, 2)
	assert.Nil(t, p.NextCursor)
	assert.Equal(t, next.ID, p.Items[1].ID)
	assert.NotNil(t, p.Items[1].RevokedAt)
}

// TestRotateGrantsNothing: who may not grant a role may not get it by replacing a
// key that has it.
func TestRotateGrantsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made createdKey
	b.call("POST", "/v1/api-keys", `{"roles":["operator"]}`, "X-Api-Key", b.operator).is(http.StatusCreated).into(&made)
	rotate := "/v1/api-keys/" + made.ID.String() + "/rotate"
	b.call("POST", rotate, "").is(http.StatusNotFound)
	b.call("GET", "/v1/tenants", "", "X-Api-Key", made.Secret).is(http.StatusOK)
	b.call("POST", rotate, "", "X-Api-Key", b.operator).is(http.StatusCreated)
}

func TestSigningSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type secret struct {
		ID                 minoots.ID
		Secret, Prefix     string
		ExpiresAt, ShownAt *minoots.Instant
	}
	var first, second secret
	a := b.call("POST", "/v1/signing-secrets", "").is(http.StatusCreated)
	a.into(&first)
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(first.Secret, "whsec_"))
	require.NoError(t, err)
	assert.Len(t, raw, 32)
	assert.NotEmpty(t, b.call("POST", "/v1/signing-secrets", "").is(http.StatusConflict).problem().Hint)

	b.call("POST", "/v1/signing-secrets/rotate", "").is(http.StatusCreated).into(&second)
	var p page[secret]
	list := b.call("GET", "/v1/signing-secrets", "").is(http.StatusOK)
	list.into(&p)
	require.Len(t, p.Items, 2)
	assert.Equal(t, second.ID, p.Items[0].ID)
	assert.Nil(t, p.Items[0].ExpiresAt)
	assert.WithinDuration(t, time.Now().Add(24*time.Hour), p.Items[1].ExpiresAt.Time, time.Minute)
	assert.NotContains(t, string(list.body), second.Secret[:12])
	assert.Equal(t, second.Secret[:10], p.Items[0].Prefix)
	assert.NotNil(t, p.Items[0].ShownAt)

	b.call("POST", "/v1/signing-secrets/rotate", `{"grace":"0s"}`).is(http.StatusCreated)
	b.call("GET", "/v1/signing-secrets", "").is(http.StatusOK).into(&p)
	assert.Len(t, p.Items, 1)
	b.call("GET", "/v1/signing-secrets", "", "X-Api-Key", b.other).is(http.StatusOK).into(&p)
	assert.Empty(t, p.Items)
}

// A delivery makes a tenant's first secret and nobody sees it: it is to be had once.
func TestSigningSecretOfTheFirstUseIsShownOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := db.Secret{ID: minoots.NewID(), Secret: []byte("0123456789abcdef0123456789abcdef")}
	_, err := b.db.SecretEnsure(t.Context(), "acme", made)
	require.NoError(t, err)
	var p page[struct{ ShownAt *minoots.Instant }]
	b.call("GET", "/v1/signing-secrets", "").is(http.StatusOK).into(&p)
	require.Len(t, p.Items, 1)
	assert.Nil(t, p.Items[0].ShownAt)
	var shown struct {
		ID     minoots.ID
		Secret string
	}
	b.call("POST", "/v1/signing-secrets", "").is(http.StatusCreated).into(&shown)
	assert.Equal(t, made.ID, shown.ID)
	assert.Equal(t, db.SecretText(made.Secret), shown.Secret)
	assert.Contains(t, b.call("POST", "/v1/signing-secrets", "").is(http.StatusConflict).problem().Hint, "rotate")
}

func TestTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	as := []string{"X-Api-Key", b.operator}
	var tenant minoots.Tenant
	a := b.call("POST", "/v1/tenants", `{"id":"initech","name":"Initech"}`, as...).is(http.StatusCreated)
	a.into(&tenant)
	assert.Equal(t, "/v1/tenants/initech", a.Header.Get("Location"))
	patch := append([]string{"Content-Type", "application/merge-patch+json"}, as...)
	b.call("PATCH", "/v1/tenants/initech", `{"name":"Initrode"}`, patch...).is(http.StatusOK)
	b.call("PATCH", "/v1/tenants/initech", `{}`, as...).is(http.StatusOK).into(&tenant)
	assert.Equal(t, "Initrode", tenant.Name)

	var seen []string
	for query := "?limit=1"; ; {
		var p page[minoots.Tenant]
		b.call("GET", "/v1/tenants"+query, "", as...).is(http.StatusOK).into(&p)
		seen = append(seen, p.Items[0].ID)
		if p.NextCursor == nil {
			break
		}
		query = "?limit=1&cursor=" + *p.NextCursor
	}
	assert.Equal(t, []string{"acme", "globex", "initech"}, seen)
}
