package seal

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ring(t *testing.T, keys ...string) *Ring {
	t.Helper()
	r, err := Parse(strings.Join(keys, ","))
	require.NoError(t, err)
	return r
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	r := ring(t, NewKey())
	one, two := r.Seal(secret, "acme/1"), r.Seal(secret, "acme/1")
	assert.NotEqual(t, one, two, "a nonce of its own each")
	assert.NotContains(t, string(one), string(secret))
	for _, sealed := range [][]byte{one, two} {
		plain, err := r.Open(r.KeyID(), sealed, "acme/1")
		require.NoError(t, err)
		assert.Equal(t, secret, plain)
	}
	_, err := r.Open(r.KeyID(), one, "acme/2")
	require.ErrorIs(t, err, ErrBroken, "the secret of another row")
	for i := range one {
		changed := append([]byte{}, one...)
		changed[i] ^= 1
		_, err := r.Open(r.KeyID(), changed, "acme/1")
		require.ErrorIs(t, err, ErrBroken, "byte %d", i)
		_, err = r.Open(r.KeyID(), one[:i], "acme/1")
		require.ErrorIs(t, err, ErrBroken, "cut to %d bytes", i)
	}
}

func TestARingOpensWhatAnyOfItsKeysSealed(t *testing.T) {
	t.Parallel()
	first, second := NewKey(), NewKey()
	before, both, after := ring(t, first), ring(t, second, first), ring(t, second)
	sealed := before.Seal([]byte("s"), "x")
	plain, err := both.Open(before.KeyID(), sealed, "x")
	require.NoError(t, err)
	assert.Equal(t, "s", string(plain))
	assert.Equal(t, after.KeyID(), both.KeyID(), "the first seals")
	_, err = after.Open(before.KeyID(), sealed, "x")
	require.ErrorIs(t, err, ErrUnknownKey)
	_, err = (*Ring)(nil).Open(before.KeyID(), sealed, "x")
	require.ErrorIs(t, err, ErrUnknownKey)
	assert.Empty(t, (*Ring)(nil).KeyID())
	assert.True(t, both.Has(before.KeyID()))
	assert.False(t, after.Has(before.KeyID()))
}

func TestParse(t *testing.T) {
	t.Parallel()
	key := NewKey()
	raw, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	for _, text := range []string{
		key, " " + key + "\n", strings.TrimRight(key, "="), base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw), key + "\n" + NewKey(), key + ", " + NewKey(),
	} {
		r, err := Parse(text)
		require.NoError(t, err)
		assert.Equal(t, ring(t, key).KeyID(), r.KeyID())
	}
	for text, says := range map[string]string{
		"":                                     "holds no key",
		" , ":                                  "holds no key",
		"swordfish!":                           "key 1 of 1 is not base64",
		key + ",swordfish":                     "key 2 of 2",
		key[:40]:                               "has 30 bytes",
		key + "," + key:                        "twice",
		strings.Repeat("A", 43):                "over and over",
		base64.StdEncoding.EncodeToString(nil): "holds no key",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "swordfish")
		assert.NotContains(t, err.Error(), key[:10])
	}
}

// Only ids show, however a ring is printed, and whatever it is a part of.
func TestNoKeyIsPrinted(t *testing.T) {
	t.Parallel()
	key := NewKey()
	raw, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	r := ring(t, key)
	holder := struct{ Keys *Ring }{r}
	encoded, err := json.Marshal(holder)
	require.NoError(t, err)
	for _, shown := range []string{
		fmt.Sprint(r), fmt.Sprintf("%v %+v %#v %s", r, r, r, r), fmt.Sprintf("%+v %#v", holder, holder), string(encoded),
	} {
		assert.NotContains(t, shown, key)
		assert.NotContains(t, shown, fmt.Sprint(raw[0], " ", raw[1]))
	}
	assert.Contains(t, string(encoded), r.KeyID())
}
