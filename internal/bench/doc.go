// Package bench measures the service against what its Postgres can do at best.
// In one run, on one server, it takes the limits (rows inserted, rows claimed,
// River alone) and the product (creates, claims, storms, lateness, rest, cost),
// and says of each figure whether it reaches its goal.
//
// The replicas are real processes of `minoots serve`; the callers and the
// receiver of the webhooks are in this process; Postgres is one of the bench's
// own. All of them share the machine, as they do for somebody who tries this at
// home: a figure is what is left when the client, the receiver and the database
// have had their part of the same cores.
//
// Each step has a database of its own, copied from one migrated template, so
// that none inherits the dead rows of another. The steps that need a million
// pending timers share one, and run last.
//
// Read in this order:
//
//	bench.go      Run: the steps, one after another
//	goal.go       what is to be reached, in one table
//	size.go       how much of everything, in full and --short
//	server.go     Postgres and the databases
//	replica.go    the processes under test
//	reference.go  the timer that all steps create; seed.go, load.go: how
//	receiver.go   where the webhooks arrive; door.go answers most of them
//
// and then the steps: limits.go, limit_river.go, create.go, claim.go, storm.go,
// lateness.go, rest.go, herd.go, notify.go, cost.go, neighbour.go.
package bench
