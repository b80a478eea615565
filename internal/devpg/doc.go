// Package devpg runs a local PostgreSQL for development, demos and tests.
//
// The server is a child of the process that starts it: it listens on the
// loopback address only, trusts every local connection, and dies with its
// parent. It is a convenience for one machine and never a production server.
//
// A server lives in a home directory of its own:
//
//	home/data        the database cluster (PGDATA)
//	home/port        the TCP port, kept so that a restart has the same URL
//	home/server.log  what the server wrote since its last start
//	home/lock        held (flock) by whoever is starting it
//
// The order of reading: [Start] in server.go is the whole story; find.go and
// get.go say where the binaries come from, home.go who owns the directory,
// cluster.go how the cluster is made, live.go what happens when a server of an
// earlier run is still there, process.go how it ends.
package devpg
