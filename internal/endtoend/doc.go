// Package endtoend is one test of the built binary: three replicas as processes of
// their own, timers over REST and over gRPC, and every door through which a caller
// can hear what became of them. All must tell the same story, also when the replica
// that tells it is killed.
//
// It sees the service as users do: by its documented addresses, names and formats,
// and by the tables.
package endtoend
