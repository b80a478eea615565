package action

import (
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// plainLimit is how large a request may be, in bytes, to go over a line. It is
// written before its answer is looked for, so it has to fit into the kernel's
// buffers: a receiver may answer 413 and read no further. 16 KiB are what Linux
// gives a socket to begin with, and twenty times a usual delivery.
const plainLimit = 16 << 10

// plain tells whether a line can carry a message. Whatever is unusual about one is
// left to net/http, to do or to refuse: names in other scripts, odd or dangerous
// characters, large bodies.
func (m *message) plain() bool {
	u := m.target
	if u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || !plainHost(u.Host) || !token(m.method) ||
		strings.ContainsFunc(m.id, breaksHeader) || strings.ContainsFunc(m.tenantID, breaksHeader) {
		return false
	}
	size := len(m.body) + len(u.Path) + len(u.RawPath) + len(u.RawQuery)
	for name, value := range m.headers {
		if !token(name) || strings.ContainsFunc(value, breaksHeader) || reservedHeader(strings.ToLower(name)) {
			return false
		}
		size += len(name) + len(value)
	}
	return size <= plainLimit
}

// token tells whether a word can be a method or the name of a header.
func token(word string) bool { return word != "" && !strings.ContainsFunc(word, notTokenChar) }

// plainHost tells a host whose name goes into Host and to the resolver as it is,
// perhaps with a port. Names in other scripts and IPv6 zones have a form of their
// own for each.
func plainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 'A' && c <= 'Z':
		case c != '.' && c != '-' && c != '_' && c != ':' && c != '[' && c != ']':
			return false
		}
	}
	return host != ""
}

// plainURI tells what can stand in a request's first line. Blanks and what is not
// ASCII can stand in a query as it was given.
func plainURI(uri string) bool {
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] >= 0x7f {
			return false
		}
	}
	return uri != "" && uri[0] == '/'
}

// appendPlain appends a plain message as HTTP/1.1, signed for the instant at: the
// same headers as message.header makes. It gives nil if it is not plain after all.
func (m *message) appendPlain(b []byte, secrets [][]byte, at time.Time, userAgent string) []byte {
	uri := m.target.RequestURI()
	if !plainURI(uri) {
		return nil
	}
	b = append(append(append(append(b, m.method...), ' '), uri...), " HTTP/1.1\r\n"...)
	b = appendHeader(b, "Host", m.target.Host)
	contentType, typed := "application/json", len(m.body) > 0
	for name, value := range m.headers {
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "User-Agent":
			userAgent = value
		case "Content-Type":
			contentType, typed = value, true
		default:
			b = appendHeader(b, name, value)
		}
	}
	if userAgent != "" { // net/http sends none for an empty one either
		b = appendHeader(b, "User-Agent", userAgent)
	}
	if typed {
		b = appendHeader(b, "Content-Type", contentType)
	}
	if len(m.body) > 0 || m.method == http.MethodPost || m.method == http.MethodPut || m.method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(m.body)), 10), "\r\n"...)
	}
	b = appendHeader(b, "Webhook-Id", m.id)
	timestamp := strconv.FormatInt(at.Unix(), 10)
	b = appendHeader(b, "Webhook-Timestamp", timestamp)
	b = appendHeader(b, "Webhook-Signature", sign(secrets, m.id, timestamp, m.body))
	b = appendHeader(b, "X-Minoots-Timer-Id", m.timerID)
	b = appendHeader(b, "X-Minoots-Tenant-Id", m.tenantID)
	b = append(b, "X-Minoots-Attempt: "...)
	b = append(strconv.AppendInt(b, int64(m.attempt), 10), "\r\n"...)
	b = appendHeader(b, "Traceparent", traceParent(m.id))
	return append(append(b, "\r\n"...), m.body...)
}

// appendHeader appends a header that has no line break in it.
func appendHeader(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, textproto.TrimString(value)...), "\r\n"...)
}

// origin is who a line leads to.
type origin struct {
	host string // as in the URL, perhaps with a port
	tls  bool
}

func originTo(u *url.URL) origin { return origin{host: u.Host, tls: u.Scheme == "https"} }

// address gives the host by itself and what to dial.
func (o origin) address() (host, address string) {
	u := url.URL{Host: o.host}
	port := u.Port()
	switch {
	case port != "":
	case o.tls:
		port = "443"
	default:
		port = "80"
	}
	return u.Hostname(), net.JoinHostPort(u.Hostname(), port)
}
