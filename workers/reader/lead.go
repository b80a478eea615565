package reader

import (
	"context"
	"time"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// lead deals with page after page. The first is dealt with though it may have no
// events: so what the work lacks is told at once, and not when events come.
func (r *Reader) lead(ctx context.Context, after db.EventCursor) error {
	after, err := r.cfg.Work.Begin(ctx, after)
	if err != nil {
		return err
	}
	var kept, looked time.Time
	pause := r.cfg.Pace.Busy
	for ctx.Err() == nil && r.cfg.Switch.on() {
		page, err := r.page(ctx, after)
		if err != nil {
			return err
		}
		if len(page.Events) > 0 || time.Since(kept) >= r.cfg.Pace.Keep {
			if ok, err := r.deal(ctx, &page); err != nil || !ok {
				return err
			}
			kept = time.Now()
		}
		if time.Since(looked) >= r.cfg.Pace.Keep {
			if err := r.cfg.Work.Look(ctx); err != nil {
				return err
			}
			looked = time.Now()
		}
		after = page.Next
		if page.More {
			continue
		}
		if pause = min(pause*5/4, r.cfg.Pace.Idle); len(page.Events) > 0 {
			pause = r.cfg.Pace.Busy
		}
		sleep(ctx, pause)
	}
	return nil
}

// page reads the next page. Where retention was faster than the reader, it goes on
// at the oldest event there is, and says so.
func (r *Reader) page(ctx context.Context, after db.EventCursor) (db.EventPage, error) {
	step, cancel := context.WithTimeout(ctx, r.cfg.Pace.Lease)
	defer cancel()
	page, err := r.cfg.DB.EventPage(step, db.EventRequest{After: after, Limit: r.cfg.Pace.Page})
	if code := minoots.ErrorCode(err); code != minoots.CodeGone && code != minoots.CodeInvalid {
		return page, err
	}
	r.metrics.gaps.Inc()
	r.cfg.Log.Error(r.cfg.Words.Gap, "error", err)
	oldest, err := r.cfg.DB.EventOldest(step)
	if err != nil {
		return page, err
	}
	return r.cfg.DB.EventPage(step, db.EventRequest{After: oldest, Limit: r.cfg.Pace.Page})
}

// deal has the work deal with a page. ok is false if another replica reads by now.
func (r *Reader) deal(ctx context.Context, page *db.EventPage) (ok bool, err error) {
	if len(page.Events) > 0 {
		r.oldest.Store(page.Events[0].OccurredAt.UnixMicro())
	}
	done, ok, err := r.cfg.Work.Deal(ctx, &r.lease, page)
	r.metrics.events.Add(float64(done))
	if err != nil || !ok {
		return false, err
	}
	r.oldest.Store(0)
	if r.failing {
		r.failing = false
		r.cfg.Log.Info(r.cfg.Words.Again)
	}
	return true, nil
}
