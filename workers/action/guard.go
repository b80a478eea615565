package action

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// dialTimeout bounds one connection attempt. Lines and the transport go on dialling
// after the delivery that asked has given up, so that the next one finds the
// connection; this is what ends that.
const dialTimeout = 10 * time.Second

// errNoAllowedAddress stands for the error of a host with addresses of both
// sorts, none of which could be connected to.
var errNoAllowedAddress = errors.New("no address that may be dialled answers")

// guard keeps deliveries away from addresses inside: the tenant writes the URL,
// but it is our network position that the request would be made from (SSRF). A
// name proves nothing, since it may resolve to anything and to something else
// the next time (DNS rebinding). So the check is made on the resolved IP, in the
// dialer, on every dial, immediately before connect. A connection that is kept
// alive goes to the address it was checked for.
//
// Any port is allowed: a public address has no inside, and receivers on 8443 are
// common.
type guard struct {
	rules  *ssrf.Guardian
	dialer net.Dialer // a template; each dial takes a copy
}

func newGuard(allow []netip.Prefix) *guard {
	v4, v6 := splitFamilies(allow)
	return &guard{
		rules: ssrf.New(
			ssrf.WithAnyPort(),
			ssrf.WithAllowedV4Prefixes(v4...),
			ssrf.WithAllowedV6Prefixes(v6...),
		),
		dialer: net.Dialer{Timeout: dialTimeout},
	}
}

// dial connects to a public address of the host, or to one of the allow list.
//
// A host may have addresses of both sorts: "localhost" is ::1 and 127.0.0.1, and
// perhaps only the second is allowed. The dialer tries both and reports the
// first error, the denial, even when the allowed one was merely down. A denial
// is final and a receiver that is down is not, so the two must not be confused.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var allowed atomic.Bool // the dialer races IPv6 against IPv4
	dialer := g.dialer
	dialer.Control = func(network, address string, conn syscall.RawConn) error {
		err := g.rules.Safe(network, address, conn)
		if err == nil {
			allowed.Store(true)
		}
		return err
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil && denied(err) && allowed.Load() {
		return nil, errNoAllowedAddress
	}
	return conn, err
}

// allows tells whether an address may be dialled.
func (g *guard) allows(ip netip.Addr) bool {
	// Go dials ::ffff:10.0.0.1 as 10.0.0.1, so it is judged as that.
	return g.rules.SafeAddr(ip.Unmap()) == nil
}

// allowsHost tells, without resolving, whether a URL's host can be dialled at
// all. Only literal addresses and the names that RFC 6761 fixes to loopback can
// be told before the dial.
func (g *guard) allowsHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.allows(ip)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || g.allows(netip.IPv6Loopback())
	}
	return true
}

// splitFamilies sorts an allow list by what the guardian compares it with. A
// prefix of IPv4 written as IPv6 is taken for the IPv4 it means.
func splitFamilies(prefixes []netip.Prefix) (v4, v6 []netip.Prefix) {
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return v4, v6
}
