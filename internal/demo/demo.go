package demo

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/client"
)

// Config is what a run needs of the service.
type Config struct {
	// Client calls the API with a key that may do all in its tenant.
	Client *client.Client
	// Secrets are the tenant's webhook secrets, raw.
	Secrets [][]byte
	// Run marks the timers of this run.
	Run string
	// Now is the receiver's clock: this machine's, or for a service whose
	// database is elsewhere an estimate of that one's. Defaults to time.Now.
	Now func() time.Time
	// Deadline bounds the run. Defaults to 60 s.
	Deadline time.Duration
	// Say receives progress, a line at a time.
	Say func(line string)
}

// Run schedules, receives and judges. The error says that the demo could not be
// carried out; what the service did wrong is in the report.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Deadline == 0 {
		cfg.Deadline = time.Minute
	}
	deadline, cancel := context.WithTimeout(ctx, cfg.Deadline-readTime)
	defer cancel()
	r, err := newReceiver(ctx, cfg.Secrets, cfg.Now)
	if err != nil {
		return Report{}, err
	}
	defer r.close(ctx)

	d := &demo{Config: cfg, receiver: r}
	if err := d.schedule(deadline); err != nil {
		return Report{}, fmt.Errorf("schedule the timers: %w", err)
	}
	d.wait(deadline)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	// Reading back gets time of its own: after a deadline that passed, it says
	// what became of the timers that did not arrive.
	reading, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	after, err := d.readBack(reading)
	if err != nil {
		return Report{}, fmt.Errorf("read the timers back: %w", err)
	}
	return judge(d.expected, r.got(), after), nil
}

// readTime is the part of the deadline that is kept for reading back.
const readTime = 10 * time.Second

type demo struct {
	Config
	receiver *receiver
	expected []expectation
	asked    time.Time // when REST was last asked whether all is over
}

func (d *demo) say(format string, args ...any) {
	if d.Say != nil {
		d.Say(fmt.Sprintf(format, args...))
	}
}

// schedule makes the timers of all shapes.
func (d *demo) schedule(ctx context.Context) error {
	start := d.Now()
	for _, s := range plan {
		specs, err := s.specs(d.receiver.url, d.Run, start)
		if err != nil {
			return err
		}
		timers, err := d.create(ctx, s, specs)
		if err != nil {
			return fmt.Errorf("%s.json: %w", s.file, err)
		}
		for i, t := range timers {
			if err := answers(specs[i], t); err != nil {
				return fmt.Errorf("%s.json: %w", s.file, err)
			}
			d.expected = append(d.expected, s.expect(t))
			if s.fails > 0 {
				d.receiver.refuse(t.ID, s.fails)
			}
		}
		if s.cancel {
			if err := d.cancel(ctx, timers); err != nil {
				return fmt.Errorf("cancel %s.json: %w", s.file, err)
			}
		}
	}
	d.say("scheduled %d timers in %s", len(d.expected), d.Now().Sub(start).Round(time.Millisecond))
	return nil
}

// creators is how many requests are under way at once.
const creators = 4

func (d *demo) create(ctx context.Context, s shape, specs []minoots.TimerSpec) ([]minoots.Timer, error) {
	if s.batch {
		timers, err := d.Client.CreateTimers(ctx, specs)
		if err == nil && len(timers) != len(specs) {
			err = fmt.Errorf("%d timers were asked for and %d answered", len(specs), len(timers))
		}
		return timers, err
	}
	timers := make([]minoots.Timer, len(specs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(creators)
	for i := range specs {
		g.Go(func() (err error) {
			timers[i], err = d.Client.CreateTimer(ctx, specs[i], fmt.Sprintf("demo-%s-%s-%d", d.Run, s.file, i))
			return err
		})
	}
	return timers, g.Wait()
}

// answers checks the due instant that the service made of a spec.
func answers(spec minoots.TimerSpec, t minoots.Timer) error {
	switch {
	case spec.FireAt != nil && !t.FireAt.Equal(spec.FireAt.Time):
		return fmt.Errorf("asked for %s and answered %s", spec.FireAt, t.FireAt)
	case spec.Duration != nil && t.FireAt.Sub(t.CreatedAt.Time) != time.Duration(*spec.Duration):
		return fmt.Errorf("asked for %s and is due %s after it was made", spec.Duration, t.FireAt.Sub(t.CreatedAt.Time))
	case t.ID.IsZero() || t.Status != minoots.StatusScheduled:
		return fmt.Errorf("answered %s with status %q", t.ID, t.Status)
	}
	return nil
}

func (d *demo) cancel(ctx context.Context, timers []minoots.Timer) error {
	for _, t := range timers {
		if _, err := d.Client.CancelTimer(ctx, t.ID, "the demo's one that is cancelled", "minoots demo"); err != nil {
			return err
		}
	}
	return nil
}

// afterLast is how long to listen on after the last due instant: for repeats,
// and for the cancelled timer, which must not come.
const afterLast = time.Second

// wait returns when all has arrived and the last due instant is past, or at the
// deadline.
func (d *demo) wait(ctx context.Context) {
	const every, tell = 50 * time.Millisecond, time.Second
	var last time.Time
	for _, e := range d.expected {
		last = later(last, e.timer.FireAt.Add(time.Duration(e.timer.JitterMs)*time.Millisecond))
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	told, toldAt := -1, time.Now()
	for {
		got, want := d.progress()
		all := got >= want && d.Now().After(last.Add(afterLast))
		if got != told && (all || time.Since(toldAt) >= tell) {
			d.say("received %d of %d", got, want)
			told, toldAt = got, time.Now()
		}
		if all || d.Now().After(last.Add(afterLast)) && d.over(ctx) {
			return
		}
		select {
		case <-ctx.Done():
			d.say("the time is up with %d of %d received", got, want)
			return
		case <-tick.C:
		}
	}
}

// over tells whether nothing more can come: what has not arrived is lost.
func (d *demo) over(ctx context.Context) bool {
	if time.Since(d.asked) < time.Second {
		return false
	}
	d.asked = time.Now()
	after, over, err := d.readOnce(ctx)
	return err == nil && over && len(after) == len(d.expected)
}

// progress counts the deliveries that have been accepted, and those to come.
func (d *demo) progress() (got, want int) {
	accepted := map[string]bool{}
	for _, a := range d.receiver.got() {
		if a.accepted {
			accepted[a.webhookID] = true
		}
	}
	for _, e := range d.expected {
		want += e.actions
	}
	return len(accepted), want
}

// readBack reads all the timers over REST, again and again until they are over:
// an outcome is committed shortly after its delivery was answered.
func (d *demo) readBack(ctx context.Context) (map[minoots.ID]readBack, error) {
	var last map[minoots.ID]readBack
	for {
		after, over, err := d.readOnce(ctx)
		switch {
		case err == nil && over:
			return after, d.readAttempts(ctx, after)
		case err == nil:
			last = after
		}
		select {
		case <-ctx.Done():
			if last != nil {
				err = nil // some are not over, which the judgement will say
			}
			return last, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (d *demo) readOnce(ctx context.Context) (map[minoots.ID]readBack, bool, error) {
	after := map[minoots.ID]readBack{}
	over := true
	f := client.TimerFilter{Labels: map[string]string{label: d.Run}, PageSize: 100} // several pages
	for t, err := range d.Client.AllTimers(ctx, f) {
		if err != nil {
			return after, false, err
		}
		after[t.ID] = readBack{timer: t}
		over = over && t.Status.Terminal()
	}
	return after, over, nil
}

// readAttempts adds the attempts of the timers that had to be tried again.
func (d *demo) readAttempts(ctx context.Context, after map[minoots.ID]readBack) error {
	for _, e := range d.expected {
		if e.fails == 0 {
			continue
		}
		page, err := d.Client.ListFirings(ctx, e.timer.ID, "", 10)
		if err != nil {
			return err
		}
		for _, f := range page.Items {
			b := after[e.timer.ID]
			b.attempts = append(b.attempts, f.Attempts...)
			after[e.timer.ID] = b
		}
	}
	return nil
}
