package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// herdSeconds bounds the seconds that are remembered, some 10 MB.
const herdSeconds = 50_000

// herds counts the creates of this replica by the second in which they are due. A
// create is never delayed to find out whether a second is crowded: only where a
// replica has itself been sent HerdFrom timers for one second is Postgres asked,
// and then again only when their number has doubled.
type herds struct {
	mu         sync.Mutex
	young, old map[crowd]*herd
}

type crowd struct {
	tenant string
	second int64
}

type herd struct {
	sent    int // by this replica
	known   int // waiting, when last counted
	countAt int // the number sent at which to count again
}

// note counts creates, and tells how many timers are known to wait there, and
// whether to count them anew.
func (h *herds) note(c crowd, n int) (known int, ask bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.young[c]
	if found == nil {
		if found = h.old[c]; found == nil {
			found = &herd{countAt: minoots.HerdFrom}
		}
		if len(h.young) >= herdSeconds {
			h.old, h.young = h.young, nil
		}
		if h.young == nil {
			h.young = map[crowd]*herd{}
		}
		h.young[c] = found
	}
	found.sent += n
	found.known += n
	if ask = found.sent >= found.countAt; ask {
		found.countAt = 2 * found.sent
	}
	return found.known, ask
}

func (h *herds) counted(c crowd, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if found := h.young[c]; found != nil {
		found.known = n
	}
}

// warnOfHerds tells in the answer where timers without a jitter have landed on a
// crowded second. It is a hint: if Postgres does not answer it is left out.
func (a *API) warnOfHerds(ctx context.Context, tenant string, created []db.Created) {
	landed := map[int64]int{}
	for i := range created {
		if c := &created[i]; !c.Replayed && c.Timer.JitterMs == 0 {
			landed[c.Timer.FireAt.Unix()]++
		}
	}
	crowds := map[int64]int{}
	for second, n := range landed {
		c := crowd{tenant, second}
		known, ask := a.herds.note(c, n)
		if ask {
			counted, err := a.db.TimerCrowd(ctx, tenant, time.Unix(second, 0), minoots.MaxHerd)
			if err != nil {
				a.log.Debug("crowd not counted", "error", err)
				continue
			}
			known = counted
			a.herds.counted(c, counted)
		}
		if known >= minoots.HerdFrom {
			crowds[second] = min(known, minoots.MaxHerd)
		}
	}
	for i := range created {
		t := &created[i].Timer
		if n := crowds[t.FireAt.Unix()]; n > 0 && t.JitterMs == 0 && !created[i].Replayed {
			t.Herd = &minoots.Herd{
				At: minoots.Instant{Time: t.FireAt.Truncate(time.Second)}, Count: n,
				Hint: fmt.Sprintf("%d of your timers are due in this second; jitterMs, such as 30000, spreads them", n),
			}
		}
	}
}
