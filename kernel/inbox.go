package kernel

import (
	"sync"
	"time"
)

// maxNews bounds the instants that wait for the loop. In a storm it may be away
// for a second while each replica notifies 200 times, of 100 instants each.
const maxNews = 10_000

// news is what the direct connection told since the loop last asked.
type news struct {
	instants []time.Time
	more     bool // instants may be missing: read the window
	seat     int
	moved    bool // seat is news
}

// inbox keeps news for the loop, so that neither ever waits for the other.
type inbox struct {
	filled chan struct{} // has a token when there is news

	mu   sync.Mutex
	news news
}

func newInbox() *inbox { return &inbox{filled: make(chan struct{}, 1)} }

// due implements db.Session's OnDue. Of instants that do not fit the earliest is
// kept: one in the past must lower the low-water mark to be found.
func (b *inbox) due(instants []time.Time, more bool) {
	b.put(func(n *news) {
		n.more = n.more || more
		for _, at := range instants {
			if last := len(n.instants) - 1; last+1 >= maxNews {
				n.instants[last] = earlier(n.instants[last], at)
				n.more = true
				continue
			}
			n.instants = append(n.instants, at)
		}
	})
}

// sit notes a new seat; only the last one counts.
func (b *inbox) sit(seat int) { b.put(func(n *news) { n.seat, n.moved = seat, true }) }

func (b *inbox) put(change func(*news)) {
	b.mu.Lock()
	change(&b.news)
	b.mu.Unlock()
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

func (b *inbox) take() news {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.news
	b.news = news{}
	return n
}
