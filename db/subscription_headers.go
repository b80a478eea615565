package db

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/minoots/minoots"
)

//go:embed query/subscription_headers.sql
var subscriptionHeadersSQL string

//go:embed query/subscription_reseal_page.sql
var subscriptionResealPageSQL string

//go:embed query/subscription_reseal.sql
var subscriptionResealSQL string

var subscriptionHeaders = sealed{"subscription headers", subscriptionResealPageSQL, subscriptionResealSQL}

// storedHeaders is what a row has of a subscription's headers: plain, or sealed
// with a key, and then plain has none.
type storedHeaders struct {
	plain  map[string]string
	sealed []byte
	key    *string
	names  []string
}

// sealHeaders gives what is stored of a subscription's headers. Where there are
// none there is nothing to hide.
func (d *DB) sealHeaders(s *minoots.Subscription) (storedHeaders, error) {
	h := storedHeaders{plain: map[string]string{}}
	id := d.keys.KeyID()
	if id == "" || len(s.Headers) == 0 {
		maps.Copy(h.plain, s.Headers)
		return h, nil
	}
	text, err := json.Marshal(s.Headers)
	if err != nil {
		return h, err
	}
	h.sealed, h.key = d.keys.Seal(text, subscriptionHeaders.of(s.TenantID, s.ID)), &id
	h.names = slices.Sorted(maps.Keys(s.Headers))
	return h, nil
}

// SubscriptionHeaders gives the headers of a subscription with their values, and
// the version as of which they are so.
func (d *DB) SubscriptionHeaders(ctx context.Context, tenant string, id minoots.ID) (headers map[string]string, version int, err error) {
	return d.headers(ctx, d.pool, tenant, id)
}

func (d *DB) headers(ctx context.Context, q querier, tenant string, id minoots.ID) (headers map[string]string, version int, err error) {
	var stored []byte
	var keyID string
	if err := q.QueryRow(ctx, subscriptionHeadersSQL, id, tenant).Scan(&stored, &keyID, &version); err != nil {
		return nil, 0, notFound(translate(err), "subscription")
	}
	text, err := d.unseal(&subscriptionHeaders, tenant, id, stored, keyID)
	if errors.Is(err, ErrSealed) {
		return nil, 0, &minoots.Error{
			Code: minoots.CodeConflict, Message: "the headers of the subscription cannot be read: the service lacks the key that sealed them",
			Hint: "have the operator bring the key back, or delete the subscription and make it again", Err: err,
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &headers)
	}
	return headers, version, err
}
