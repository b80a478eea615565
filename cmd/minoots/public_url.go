package main

import (
	"net"

	"github.com/minoots/minoots/internal/config"
)

// announcedURL is publicURL, with a warning if agents may not get anywhere by it.
// It is no reason not to run: a replica cannot know whether there are agents, nor
// where they are.
func (r *replica) announcedURL() string {
	url, doubt := r.publicURL()
	if doubt != "" {
		r.log.Warn("agents may not reach the URL by which they are to acknowledge: set "+config.PublicURL, "url", url, "reason", doubt)
	}
	return url
}

// publicURL is the API as agents reach it, for the URLs by which they acknowledge:
// as it is set, or else where it listens. doubt says why that may be nobody's
// address but this replica's.
func (r *replica) publicURL() (url, doubt string) {
	if r.cfg.PublicURL != "" {
		return r.cfg.PublicURL, ""
	}
	addr := r.cfg.HTTPAddr
	if r.http != nil {
		addr = r.http.Addr().String() // the port that it is, where any would do
	} else {
		doubt = "this replica has no API of its own"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", doubt
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if doubt == "" {
			doubt = "the API listens on all addresses, and agents on other machines need one of them"
		}
	}
	return "http://" + net.JoinHostPort(host, port), doubt
}
