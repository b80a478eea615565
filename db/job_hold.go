package db

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"hash/fnv"
	"strings"
)

//go:embed query/job_hold.sql
var jobHoldSQL string

// HeldPrefix begins the names of the queues in which deliveries wait for their
// destination. No client of River's fetches from them. What follows is the number
// of a lane, for when the wait is over, and who waits for whom.
const HeldPrefix = "held-"

// HeldQueue names the queue in which a tenant's deliveries wait for a destination.
// The hash is one that nobody can aim at another's queue.
func HeldQueue(tenant, destination string) string {
	sum := sha256.Sum256([]byte(tenant + "\x00" + destination))
	return fmt.Sprintf("%s%d-%x", HeldPrefix, LaneNumber(tenant, destination), sum[:16])
}

// Lanes bounds the lanes of a kind; flows that share one share its workers.
const Lanes = 64

// LaneNumber is that of the lane of a tenant's deliveries to a destination.
func LaneNumber(tenant, destination string) int {
	h := fnv.New32a()
	h.Write([]byte(tenant))
	h.Write([]byte{0})
	h.Write([]byte(destination))
	return int(h.Sum32() % Lanes)
}

// IsHeld tells whether a queue is one in which deliveries wait for a destination.
func IsHeld(queue string) bool { return strings.HasPrefix(queue, HeldPrefix) }

// HeldJob is a job that this replica has running, and in which queue it is to
// wait.
type HeldJob struct {
	ID      int64
	Attempt int
	Queue   string
}

// JobHold puts jobs that this replica has running into queues, as if their
// present attempt had not begun, and gives how many: those that another has taken
// over meanwhile are left alone. Doing it twice is harmless.
func (d *DB) JobHold(ctx context.Context, replica string, jobs []HeldJob) (int, error) {
	ids, attempts, queues := make([]int64, len(jobs)), make([]int16, len(jobs)), make([]string, len(jobs))
	for i, j := range jobs {
		ids[i], attempts[i], queues[i] = j.ID, int16(j.Attempt), j.Queue
	}
	tag, err := d.pool.Exec(ctx, jobHoldSQL, replica, ids, attempts, queues)
	return int(tag.RowsAffected()), translate(err)
}
