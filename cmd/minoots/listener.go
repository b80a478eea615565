package main

import (
	"context"

	"github.com/minoots/minoots/db"
)

// listener is the direct connection of a replica with an API and without a kernel,
// by which it hears what a kernel's would tell; nil if there is to be none.
func (r *replica) listener(d *db.DB, ear db.Ear) *loop {
	url := r.listenURL(d)
	if url == "" {
		return nil
	}
	session := &db.Session{URL: url, Name: r.name, Log: r.log.With("part", "listener"), Ear: ear}
	return &loop{name: "listener", run: func(ctx context.Context) error {
		if err := session.Run(ctx); err != nil {
			// Not fatal: without it the API polls while anybody waits.
			r.log.Warn("no direct connection: requests that wait for timers poll", "error", err)
			<-ctx.Done()
		}
		return nil
	}}
}
