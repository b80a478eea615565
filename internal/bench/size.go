package bench

import "time"

// sizes says how much of everything.
type sizes struct {
	warm, window time.Duration // of a step that measures a rate
	backlog      int           // due timers of L2 and P3
	jobs         int           // of L3
	stormSmall   int
	stormLarge   int
	rates        []int // timers a second of P5
	replicas     []int // of P5
	lateness     time.Duration
	pending      int // timers of P5, P6 and P7 that are due in years
	firedBefore  int // timers of P6 whose dead rows cannot be vacuumed
	settle, rest time.Duration
	herd         int // replicas of P8
	herdRate     int
	recurring    int // timers of R
	recurringFor time.Duration
	costTimers   int
	noisy        int // due timers of the noisy neighbour
	quietRate    int // timers a second of the other tenant
	found        int // timers of F
	waiters      int // of W
	imported     int // lines of a file of I
	// quiet is how long nothing may come, after all timers are due, before what
	// is missing is given up for lost: longer than a kernel's sweeps and the
	// first retries of a delivery take.
	quiet time.Duration
}

// full is what the goals are for.
var full = sizes{
	warm: time.Second, window: 8 * time.Second,
	backlog: 200_000, jobs: 100_000,
	stormSmall: 20_000, stormLarge: 100_000,
	rates: []int{100, 300, 600, 1000}, replicas: []int{1, 3}, lateness: 10 * time.Second,
	pending: 1_000_000, firedBefore: 200_000,
	settle: 10 * time.Second, rest: 30 * time.Second,
	herd: 10, herdRate: 300,
	recurring: 10_000, recurringFor: time.Minute,
	costTimers: 10_000,
	noisy:      50_000, quietRate: 100,
	found: 1_000_000, waiters: 5000, imported: 100_000,
	quiet: 30 * time.Second,
}

// short ends within 90 seconds on two cores. The rate and the replicas for which
// P5 has a goal are in it, so that every line of the goals' table is tried.
var short = sizes{
	warm: 500 * time.Millisecond, window: 1500 * time.Millisecond,
	backlog: 10_000, jobs: 10_000,
	stormSmall: 1_000, stormLarge: 4_000,
	rates: []int{600}, replicas: []int{1, 3}, lateness: 1500 * time.Millisecond,
	pending: 20_000, firedBefore: 2_000,
	settle: 2 * time.Second, rest: 3 * time.Second,
	herd: 4, herdRate: 100,
	recurring: 200, recurringFor: 3 * time.Second,
	costTimers: 500,
	noisy:      500, quietRate: 50,
	found: 20_000, waiters: 200, imported: 5_000,
	quiet: 15 * time.Second,
}

// The steps' lengths, for people who wait. setUp is a database and replicas.
const setUp = 3 * time.Second

func rateTakes(s sizes) time.Duration { return s.warm + s.window + setUp }

func windowTakes(n int) func(sizes) time.Duration {
	return func(s sizes) time.Duration { return time.Duration(n)*s.lateness + 2*setUp }
}

func countTakes(count func(sizes) int, perSecond int) func(sizes) time.Duration {
	return func(s sizes) time.Duration {
		return time.Duration(count(s))*time.Second/time.Duration(perSecond) + 2*setUp
	}
}

func recurringTakes(s sizes) time.Duration {
	return setUp + volleyLead + time.Duration(s.recurring)*time.Second/volleyPerSecond + s.recurringFor
}

func stormTakes(s sizes) time.Duration {
	timers := time.Duration(s.stormSmall + s.stormLarge)
	return 2*(stormLead+setUp) + timers*time.Second/stormPerSecond + timers*time.Second/6_000
}

func latenessTakes(s sizes) time.Duration {
	each := s.warm + s.lateness + 5*time.Second
	seeding := time.Duration(s.pending) * time.Second / 20_000
	return time.Duration(2*len(s.replicas)*len(s.rates))*each + seeding
}
