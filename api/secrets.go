package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

const (
	tagSecrets   = "signing-secrets"
	defaultGrace = 24 * time.Hour
	maxGrace     = 7 * 24 * time.Hour
)

func (a *API) secretRoutes() {
	register(a, route{
		ID: "createSigningSecret", Method: http.MethodPost, Path: "/v1/signing-secrets", Tag: tagSecrets,
		Summary: "Create or show the first signing secret",
		Description: "Webhooks of the tenant are signed with it, by Standard Webhooks. A delivery makes one where there " +
			"is none yet; this makes it if no delivery has, and shows it, once. When it has been shown the answer is a " +
			"conflict: rotate it.",
		Role: minoots.RoleTenantAdmin, Status: http.StatusCreated, Errors: []int{http.StatusConflict},
	}, a.createSecret)
	register(a, route{
		ID: "listSigningSecrets", Method: http.MethodGet, Path: "/v1/signing-secrets", Tag: tagSecrets,
		Summary:     "List the live signing secrets",
		Description: "Two at most, the current one first, without the secrets themselves.",
		Role:        minoots.RoleTenantAdmin,
	}, a.listSecrets)
	register(a, route{
		ID: "rotateSigningSecret", Method: http.MethodPost, Path: "/v1/signing-secrets/rotate", Tag: tagSecrets,
		Summary: "Replace the signing secret",
		Description: "The new secret is shown now and never again. The one before signs too until the grace is over, " +
			"so that receivers can change at leisure; one that was still expiring ends at once.",
		Role: minoots.RoleTenantAdmin, Status: http.StatusCreated, Errors: []int{http.StatusConflict},
		Example: `{"grace": "24h"}`,
	}, a.rotateSecret)
}

// signingSecret is a secret as it may be shown again.
type signingSecret struct {
	ID        minoots.ID       `json:"id"`
	Prefix    string           `json:"prefix" doc:"How the secret begins, to tell it from others." example:"whsec_dGVz"`
	CreatedAt minoots.Instant  `json:"createdAt"`
	ExpiresAt *minoots.Instant `json:"expiresAt" doc:"null for the current one."`
	ShownAt   *minoots.Instant `json:"shownAt" doc:"null for one that a delivery made and nobody has seen: POST /v1/signing-secrets shows it."`
}

// createdSecret is a secret when it is made.
type createdSecret struct {
	ID        minoots.ID      `json:"id"`
	CreatedAt minoots.Instant `json:"createdAt"`
	Secret    string          `json:"secret" doc:"For the receivers' Standard Webhooks library: shown now and never again." example:"whsec_…"`
}

type createdSecretOutput struct {
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Body         createdSecret
}

func showSecret(s db.Secret) *createdSecretOutput {
	return &createdSecretOutput{CacheControl: noStore, Body: createdSecret{
		ID: s.ID, CreatedAt: minoots.InstantOf(s.CreatedAt),
		Secret: db.SecretText(s.Secret),
	}}
}

// newSecret makes a secret of 256 bits, within the 24 to 64 bytes that Standard
// Webhooks asks for.
func newSecret() db.Secret {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return db.Secret{ID: minoots.NewID(), Secret: random}
}

func (a *API) createSecret(ctx context.Context, _ *struct{}) (*createdSecretOutput, error) {
	tenant := principalOf(ctx).TenantID
	if _, err := a.db.SecretEnsure(ctx, tenant, newSecret()); err != nil {
		return nil, err
	}
	shown, err := a.db.SecretShow(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return showSecret(shown), nil
}

type listSecretsOutput struct {
	Body list[signingSecret]
}

func (a *API) listSecrets(ctx context.Context, _ *struct{}) (*listSecretsOutput, error) {
	live, err := a.db.SecretList(ctx, principalOf(ctx).TenantID)
	if err != nil {
		return nil, err
	}
	items := make([]signingSecret, len(live))
	for i, s := range live {
		items[i] = signingSecret{
			ID: s.ID, Prefix: s.Prefix, CreatedAt: minoots.InstantOf(s.CreatedAt),
			ExpiresAt: optionalInstant(s.ExpiresAt), ShownAt: optionalInstant(s.ShownAt),
		}
	}
	return &listSecretsOutput{Body: list[signingSecret]{Items: items}}, nil
}

// optionalInstant keeps what is not there so.
func optionalInstant(t *time.Time) *minoots.Instant {
	if t == nil {
		return nil
	}
	at := minoots.InstantOf(*t)
	return &at
}

type rotateSecretRequest struct {
	Grace *minoots.Duration `json:"grace,omitempty" doc:"How long the secret before goes on signing. Default 24h, at most 7d, and 0s ends it at once." example:"24h"`
}

type rotateSecretInput struct {
	Request optionalBody[rotateSecretRequest]
}

func (a *API) rotateSecret(ctx context.Context, in *rotateSecretInput) (*createdSecretOutput, error) {
	grace := defaultGrace
	if asked := in.Request.Value.Grace; asked != nil {
		grace = time.Duration(*asked)
	}
	if grace < 0 || grace > maxGrace {
		return nil, &minoots.Error{
			Code: minoots.CodeInvalid, Message: "rotation does not validate",
			Fields: []minoots.FieldError{{Path: "grace", Message: "must be from 0s to 7d"}},
		}
	}
	made, err := a.db.SecretRotate(ctx, principalOf(ctx).TenantID, newSecret(), grace)
	if minoots.ErrorCode(err) == minoots.CodeConflict {
		err = minoots.Errorf(minoots.CodeConflict, "another rotation was quicker; look at the list before trying again")
	}
	if err != nil {
		return nil, err
	}
	return showSecret(made), nil
}
