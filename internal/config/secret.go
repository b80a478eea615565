package config

import (
	"log/slog"
	"net/url"
	"regexp"
)

// Secret is a text that may hold a password. However it is printed, the password
// does not show; Reveal gives the text itself to the one who must have it.
type Secret struct{ text string }

// SecretOf hides a text.
func SecretOf(text string) Secret { return Secret{text} }

// Reveal gives the text itself.
func (s Secret) Reveal() string { return s.text }

// String gives what may be shown: of a connection string all but its password,
// of anything else only that it is there.
func (s Secret) String() string {
	switch u, err := url.Parse(s.text); {
	case s.text == "":
		return ""
	case err == nil && u.Host != "":
		return redactURL(u)
	case keywordDSN.MatchString(s.text):
		return keywordPassword.ReplaceAllString(s.text, "${1}…")
	default:
		return "…"
	}
}

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var (
	keywordDSN      = regexp.MustCompile(`(?i)^\s*[a-z_]+\s*=`)
	keywordPassword = regexp.MustCompile(`(?i)\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)`)
)

// redactURL leaves user, host and database, and drops the password and the
// query, in which a password may stand as well.
func redactURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	text := shown.String()
	if name := u.User.Username(); name != "" {
		shown.User = url.User(name)
		text = shown.String()
	}
	return text
}
