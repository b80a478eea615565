package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/jsonguard"
)

// The limits of a webhook's parameters.
const (
	maxURL         = 2048 // characters
	maxHeaders     = 50
	maxHeaderName  = 128 // characters
	defaultTimeout = 10 * time.Second
	minTimeout     = time.Millisecond
	maxTimeout     = 5 * time.Minute
)

var webhookMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// webhookSpec is the parameters of a webhook, as the caller writes them.
type webhookSpec struct {
	URL       string            `json:"url,omitempty"`
	Method    string            `json:"method,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Body      json.RawMessage   `json:"body,omitempty"`
	TimeoutMs int64             `json:"timeoutMs,omitempty"`

	target *url.URL // URL, parsed
	exact  bool     // no parameter is unknown or stands twice
}

var (
	webhookParameters = jsonNames(reflect.TypeFor[webhookSpec]())
	webhookDecoder    = jsonguard.New[webhookSpec](minoots.MaxJSONDepth)
)

func (s *webhookSpec) timeout() time.Duration {
	return time.Duration(s.TimeoutMs) * time.Millisecond
}

// hasBody tells whether the caller gave a body; null counts as none.
func (s *webhookSpec) hasBody() bool {
	return len(s.Body) > 0 && !bytes.Equal(s.Body, []byte("null"))
}

// parseWebhook reads and validates parameters. Check and Execute share it, so
// that what is sent can never be more than what is checked: a row may have been
// written by an older version or by a hand in SQL.
func parseWebhook(parameters json.RawMessage) (*webhookSpec, problems) {
	var bad problems
	s := &webhookSpec{Method: "POST", TimeoutMs: defaultTimeout.Milliseconds()}
	if len(parameters) > 0 {
		exact, err := webhookDecoder.Unmarshal(parameters, s)
		if err != nil {
			return nil, problems{jsonProblem(err)}
		}
		s.exact = exact
	}
	s.checkURL(&bad)
	if !slices.Contains(webhookMethods, s.Method) {
		bad.add("method", "must be one of %s", strings.Join(webhookMethods, ", "))
	}
	checkHeaders(&bad, s.Headers)
	checkTimeout(&bad, s.TimeoutMs)
	return s, bad
}

func checkTimeout(bad *problems, ms int64) {
	if ms < minTimeout.Milliseconds() || ms > maxTimeout.Milliseconds() {
		bad.add("timeoutMs", "must be from %d to %d", minTimeout.Milliseconds(), maxTimeout.Milliseconds())
	}
}

func (s *webhookSpec) checkURL(bad *problems) {
	target, mistake := parseTarget(s.URL)
	if mistake != "" {
		bad.add("url", "%s", mistake)
	}
	s.target = target
}

// parseTarget reads the URL of a receiver, and says what is wrong with it.
func parseTarget(text string) (target *url.URL, mistake string) {
	if text == "" {
		return nil, `is required, such as "https://example.com/hook"`
	}
	if utf8.RuneCountInString(text) > maxURL {
		return nil, fmt.Sprintf("must be at most %d characters", maxURL)
	}
	u, err := url.Parse(text)
	if err != nil { // its text repeats the URL, which may hold a password
		return nil, `is not a URL; want one such as "https://example.com/hook"`
	}
	host, port := u.Hostname(), u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		mistake = "must begin with https:// or http://"
	case u.User != nil:
		mistake = "must not hold a user name or password; send them in headers.Authorization"
	case host == "":
		mistake = "must name a host"
	case strings.Contains(text, "#"):
		mistake = "must not have a fragment (#…): it would not be sent"
	case port != "" && !validPort(port):
		mistake = "must have a port from 1 to 65535"
	case looksNumeric(host):
		mistake = "must name its host by a DNS name or a full IP address such as 192.0.2.1"
	}
	return u, mistake
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// looksNumeric tells hosts such as 127.1, 2130706433 and 0x7f.0.0.1. They are no
// IP addresses to Go but are to some resolvers, and serve nobody but those who
// try to slip past a filter.
func looksNumeric(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" || last[0] < '0' || last[0] > '9' {
		return false // nearly all names, without the error that ParseUint would make
	}
	_, err := strconv.ParseUint(last, 0, 64) // base 0: 0x… and 0… too
	return err == nil || errors.Is(err, strconv.ErrRange) || strings.Trim(last, "0123456789") == ""
}

// checkHeaders refuses names and values that would break out of a header line,
// and headers that are not the caller's to set.
func checkHeaders(bad *problems, headers map[string]string) {
	if len(headers) == 0 {
		return
	}
	if len(headers) > maxHeaders {
		bad.add("headers", "must be at most %d, not %d", maxHeaders, len(headers))
		return
	}
	seen := make(map[string]bool, len(headers))
	first := len(*bad)
	for name, value := range headers {
		lower := strings.ToLower(name)
		switch {
		case name == "" || len(name) > maxHeaderName || strings.ContainsFunc(name, notTokenChar):
			bad.add("headers", "name %.60q must be 1 to %d letters, digits and - _ . ! # $ %% & ' * + ^ ` | ~", name, maxHeaderName)
		case reservedHeader(lower):
			bad.add("headers."+name, "is set by MINOOTS or by HTTP itself and cannot be given")
		case seen[lower]:
			bad.add("headers."+name, "stands twice; upper and lower case are the same here")
		case strings.ContainsFunc(value, breaksHeader):
			bad.add("headers."+name, "must not contain line breaks or other control characters")
		}
		seen[lower] = true
	}
	slices.SortFunc((*bad)[first:], func(a, b minoots.FieldError) int { // maps have no order
		return strings.Compare(a.Path+a.Message, b.Path+b.Message)
	})
}

// reservedHeader tells the headers that callers may not set: those that carry
// the signature's meaning, and those that frame the request. Content-Type and
// User-Agent may be overridden.
func reservedHeader(lower string) bool {
	if strings.HasPrefix(lower, "webhook-") || strings.HasPrefix(lower, "x-minoots-") {
		return true
	}
	switch lower {
	case "traceparent", "host", "content-length", "transfer-encoding", "connection",
		"keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade", "expect", "http2-settings":
		return true
	}
	return false
}

// notTokenChar tells what RFC 9110 does not allow in a header's name.
func notTokenChar(r rune) bool {
	switch {
	case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		return false
	default:
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
}

// breaksHeader tells what would end or corrupt a header line: all control
// characters but the tab.
func breaksHeader(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// problems collects what is wrong with an action's parameters.
type problems []minoots.FieldError

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, minoots.FieldError{Path: "parameters." + field, Message: fmt.Sprintf(format, args...)})
}

// addUnknown refuses keys outside known. encoding/json would ignore them, and
// take "URL" for "url": a caller who writes "timeout" for "timeoutMs" should be
// told today.
func (p *problems) addUnknown(parameters json.RawMessage, known []string) {
	p.addUnknownOf("", parameters, known)
}

// addUnknownOf says whose parameters they are.
func (p *problems) addUnknownOf(whose string, parameters json.RawMessage, known []string) {
	var given map[string]json.RawMessage
	if json.Unmarshal(parameters, &given) != nil {
		return // not an object, which has been told already
	}
	for name := range given {
		if slices.Contains(known, name) {
			continue
		}
		if len(name) > maxHeaderName || strings.ContainsFunc(name, notTokenChar) {
			name = fmt.Sprintf("%.40q", name) // not what a path is made of
		}
		p.add(name, "is not a parameter%s; there are %s", whose, strings.Join(known, ", "))
	}
	slices.SortStableFunc(*p, func(a, b minoots.FieldError) int { return strings.Compare(a.Path, b.Path) })
}

// jsonProblem puts an error of encoding/json in a caller's words.
func jsonProblem(err error) minoots.FieldError {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return minoots.FieldError{Path: "parameters", Message: "must be valid JSON"}
	}
	field, _, _ := strings.Cut(mismatch.Field, ".")
	switch field {
	case "":
		return minoots.FieldError{Path: "parameters", Message: "must be a JSON object"}
	case "headers":
		return minoots.FieldError{Path: "parameters.headers", Message: "must be an object whose values are strings"}
	case "timeoutMs":
		return minoots.FieldError{Path: "parameters.timeoutMs", Message: "must be a whole number of milliseconds"}
	}
	message := "must be a string"
	switch mismatch.Type.Kind() {
	case reflect.Bool:
		message = "must be true or false"
	case reflect.Slice:
		message = "must be a list"
	}
	if mismatch.Field != field { // an item of a list
		message = "must be a list of strings"
	}
	return minoots.FieldError{Path: "parameters." + field, Message: message}
}

// jsonNames lists the names that a struct's exported fields have in JSON.
func jsonNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}
