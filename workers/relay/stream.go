package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamName names the stream that takes the events.
const StreamName = "MINOOTS_EVENTS"

// Subjects are what the stream takes: minoots.<tenant>.<type>, by the first word
// of the type, so that no other subject below minoots is caught.
var Subjects = []string{"minoots.*.timer.>", "minoots.*.action.>", "minoots.*.firing.>"}

// dedupeWindow is for how long the stream knows what it has had: a relay that dies
// before it notes its place is followed within 2 seconds.
const dedupeWindow = 2 * time.Minute

// streamTimeout bounds what is asked of the server about the stream.
const streamTimeout = 2 * time.Second

// ensureStream makes the stream, or checks the one that there is: an operator may
// have made it otherwise, with replicas or a limit, and it is theirs then. What it
// must have is our subjects and a window for repeats.
func (r *Relay) ensureStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := r.stream.Stream(ctx, StreamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = r.stream.CreateStream(ctx, jetstream.StreamConfig{
			Name: StreamName, Subjects: Subjects, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardOld, MaxAge: 7 * 24 * time.Hour, Duplicates: dedupeWindow,
			Description: "Lifecycle events of MINOOTS timers",
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica was faster
			stream, err = r.stream.Stream(ctx, StreamName)
		} else if err == nil {
			r.log.Info("stream made", "stream", StreamName)
		}
	}
	if err != nil {
		return fmt.Errorf("look for the stream %s: %w", StreamName, err)
	}
	config := stream.CachedInfo().Config
	for _, subject := range Subjects {
		if !slices.Contains(config.Subjects, subject) && !slices.Contains(config.Subjects, "minoots.>") {
			return fmt.Errorf("the stream %s does not take %s: add the subject to it", StreamName, subject)
		}
	}
	if config.Duplicates < 10*time.Second {
		return fmt.Errorf("the stream %s drops repeats for %s only: give it a duplicate window of 2 minutes", StreamName, config.Duplicates)
	}
	return nil
}
