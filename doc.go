// Package minoots is the dictionary of MINOOTS, a durable timer service on one
// PostgreSQL: "in 45 minutes, or at 17:03:20, call this webhook", on time, at
// least once, with retries, and with a record that plain SQL can read.
//
// # The story of a timer
//
// A caller sends a TimerSpec to the api. It is validated as a whole
// (validate.go), so that every mistake is reported at once, and written by one
// statement as two rows (timers: what was asked for; timer_states: where it
// stands), an Event, and, if asked for, an idempotency key. From then on it is
// safe: nothing that matters lives outside Postgres.
//
// If it is due within half a minute, the api tells the kernels of the instant by
// a coalesced NOTIFY. That is a hint; a kernel that misses it finds the timer
// within its poll interval.
//
// Each replica's kernel sleeps on a heap of the next due instants. When one
// comes, by the database's clock, a single statement locks the due rows with
// SKIP LOCKED, marks them fired, writes a Firing and an Event for each, and
// returns their actions; the same transaction inserts a River job per Delivery
// and commits. All of it happens or none. A kernel that dies before the commit
// leaves the rows due for the next one.
//
// The workers fetch the jobs and execute each Action: one attempt, one Outcome.
// Outcomes are committed in groups, in the transaction that also ends the
// jobs and settles the Firing and the Timer. An attempt that may succeed later
// is retried by its RetryPolicy. A worker that dies before its outcome is
// committed leaves its job to be run again, under the same webhook-id.
//
// # The rules
//
//   - Never early: due-ness is compared with the database's clock, in SQL.
//   - Never lost: an acknowledged timer is a committed row, and every step that
//     moves it is a transaction.
//   - At least once: a delivery may repeat, always with the same
//     Delivery.WebhookID, so that the receiver can drop it.
//   - The row decides: seats, heaps and notifications only say when to look.
//
// # Where to read on
//
//	timer.go, status.go, action.go, firing.go   the words
//	db/query/timer_claim.sql                    the heart
//	kernel/kernel.go, kernel/fire.go            on time
//	workers/job.go, workers/recorder.go         done and recorded
//	api/, client/, cmd/minoots/                 the doors
//
// Imports go one way: minoots ← db ← {kernel, workers, api} ← cmd. The last three
// never import one another; imports_test.go holds that, with the reasons.
package minoots
