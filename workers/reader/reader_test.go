package reader_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots/db"
	"github.com/minoots/minoots/internal/faultproxy"
	"github.com/minoots/minoots/workers/reader"
)

func TestReaderReadsTheLogInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule(30) // before there is a reader, too
	r := w.read("a", w.db, nil)
	w.schedule(30)
	w.all()
	r.eventually("all counted", func() bool { return r.metric("test_events_total") == 60 && r.metric("test_lag_seconds") == 0 })
	assert.True(t, r.leads())
	assert.Len(t, w.by("a"), 60, "none twice")
	r.stop()
	assert.False(t, r.leads())

	w.schedule(5)
	w.read("b", w.db, nil)
	w.all()
	assert.Len(t, w.by("b"), 5, "from where the one before had got to")
}

// The replica that has the lease dies without a word; another has it within the
// lease and a try, and goes on where that had got to.
func TestReaderIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := faultproxy.New(t, w.URL)
	first := w.read("first", w.connect(proxy.URL()), nil)
	first.eventually("the first leads", first.leads)
	second, third := w.read("second", w.connect(w.URL), nil), w.read("third", w.connect(w.URL), nil)
	w.schedule(20)
	w.all()
	assert.Empty(t, append(w.by("second"), w.by("third")...), "one at a time")

	proxy.Close()
	died := time.Now()
	w.schedule(20)
	second.eventually("another leads", func() bool { return second.leads() != third.leads() })
	t.Logf("taken over after %s", time.Since(died).Round(time.Millisecond))
	w.all()
	assert.True(t, len(w.by("second")) == 0 || len(w.by("third")) == 0, "one at a time")
	first.eventually("the first says that it cannot", func() bool { return first.said.count("it fails") == 1 })
}

// What is asked to stop gives its lease back: nobody waits for it to run out.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.read("a", w.db, nil)
	r.eventually("it leads", r.leads)
	r.stop()
	mine := db.EventReader{DB: w.db, Name: "test", Replica: "mine", Lease: time.Minute}
	_, ok, err := mine.Take(t.Context())
	require.NoError(t, err)
	assert.True(t, ok)
	other := db.EventReader{DB: w.db, Name: "test", Replica: "other", Lease: time.Minute}
	_, ok, err = other.Take(t.Context())
	require.NoError(t, err)
	assert.False(t, ok)
	latest, err := w.db.EventLatest(t.Context())
	require.NoError(t, err)
	ok, err = other.Move(t.Context(), latest, 1, true)
	require.NoError(t, err)
	assert.False(t, ok, "who has lost the lease changes nothing")
}

// One that is at a page for longer than its lease has lost it: another deals with
// the page, and what the slow one says of its place counts for nothing.
func TestReaderThatIsTooSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := w.read("slow", w.db, nil)
	slow.eventually("the slow one leads", slow.leads)
	held, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	})
	slow.meets(func(context.Context) error {
		slow.meets(nil)
		close(held)
		<-release
		return nil
	})
	w.schedule(20)
	<-held
	other := w.read("other", w.db, nil)
	w.all()
	assert.Len(t, w.by("other"), 20)
	assert.Positive(t, slow.metric("test_lag_seconds"), "it can be seen")
	close(release)
	slow.eventually("the slow one has noticed", func() bool { return !slow.leads() && slow.metric("test_lag_seconds") == 0 })
	assert.Equal(t, pace.Page, len(w.by("slow")), "the page that it was at")
	assert.True(t, other.leads())
	w.schedule(5)
	w.all()
	assert.Len(t, w.by("other"), 25)
	assert.Zero(t, slow.metric("test_failures_total"))
}

// A failure has the same page come again; it is told once, and so is its end.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.read("a", w.db, nil)
	r.eventually("it leads", r.leads)
	r.meets(func(context.Context) error { return errors.New("broken") })
	w.schedule(3)
	r.eventually("it has failed twice", func() bool { return r.metric("test_failures_total") >= 2 })
	assert.Positive(t, r.metric("test_lag_seconds"), "also between two tries")
	assert.Empty(t, w.by("a"))
	r.meets(nil)
	w.all()
	r.eventually("it says that it goes again", func() bool { return r.said.count("it goes again") == 1 })
	assert.Equal(t, 1, r.said.count("it fails"))
	assert.Zero(t, r.metric("test_lag_seconds"))
}

// Where retention was faster, it goes on at the oldest event there is.
func TestReaderAfterAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.schedule(3)
	r := w.read("a", w.db, nil)
	r.eventually("its place is noted", func() bool { return r.metric("test_events_total") == 3 })
	r.stop()
	w.schedule(2)
	_, err := w.Pool.Exec(t.Context(), "UPDATE minoots.event_log SET dropped = pg_current_xact_id()")
	require.NoError(t, err)
	w.schedule(4)
	r = w.read("b", w.db, nil)
	r.eventually("it reads again", func() bool { return r.metric("test_events_total") == float64(len(w.log())) })
	assert.Equal(t, w.log(), w.by("b"))
	assert.Equal(t, 1.0, r.metric("test_gaps_total"))
	assert.Equal(t, 1, r.said.count("there is a gap"))
	assert.Zero(t, r.metric("test_failures_total"))
}

// While there is nothing to do, Postgres is not even asked for the lease.
func TestReaderIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on := reader.NewSwitch()
	r := w.read("a", w.db, on)
	other := w.read("b", w.db, nil)
	w.schedule(3)
	other.eventually("the other has read", func() bool { return other.metric("test_events_total") == 3 })
	other.stop()
	on.Set(true)
	r.eventually("it leads", r.leads)
	on.Set(false)
	r.eventually("it leaves", func() bool { return !r.leads() })
	w.schedule(3)
	on.Set(true)
	w.all()
	assert.Len(t, w.by("a"), 3)
}
