package minoots

// Herd tells a caller who creates a timer that many of theirs are due at once.
type Herd struct {
	At    Instant `json:"at" doc:"The second in which they are due."`
	Count int     `json:"count" doc:"How many wait for it, this one included; 10000 means at least that."`
	Hint  string  `json:"hint" doc:"What to do."`
}

const (
	// HerdFrom is how many timers of a second are a herd.
	HerdFrom = 100
	// MaxHerd is how far they are counted.
	MaxHerd = 10_000
)
