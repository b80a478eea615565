// Package chaos breaks the service while timers are due, and judges what it
// promises then. Replicas are real processes of `minoots serve`, on a real
// Postgres, with a real receiver; a load creates timers over the API through
// any replica that lives, and remembers those that were acknowledged. Each
// scenario has a database of its own, injects one kind of fault, and ends in one
// Row: what became of the acknowledged timers, and which promises were broken.
//
// A seed decides which replica is hit, and when. It reproduces the faults, not
// the scheduling of processes around them.
//
// Read in this order:
//
//	chaos.go     Run, and the scenarios in one table
//	world.go     what a scenario works with, from its start to its end
//	server.go    Postgres and the databases
//	fleet.go     the replicas, and their deaths
//	load.go      who creates timers; call.go: how
//	receiver.go  where the webhooks arrive
//	judge.go     from all that to a Row; record.go: what the database knows
//
// and then the scenarios, a file for each kind of fault.
package chaos
