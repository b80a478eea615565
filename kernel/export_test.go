package kernel

import (
	"context"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// What the tests of package kernel_test see of the insides: parts that are pure
// are tested as such.

type (
	Instants = instants
	Pacer    = pacer
	LowWater = lowWater
	Step     = step
)

const (
	StepFire, StepBackup, StepPoll, StepRefresh = stepFire, stepBackup, stepPoll, stepRefresh

	MaxHeap, MaxNews                = maxHeap, maxNews
	RefreshEvery, RefreshGap        = refreshEvery, refreshGap
	FireGap, BackupDelay, BackupGap = fireGap, backupDelay, backupGap
	Patience, ClaimSlack, PollSlack = patience, claimSlack, pollSlack
	RefreshAhead                    = refreshAhead
	FinishTimeout                   = finishTimeout
	Upkeep                          = upkeepEvery
	ReapGrace                       = reapGrace
)

var (
	NewInstants = newInstants
	NewPacer    = newPacer
	NewInbox    = newInbox
	Backoff     = backoff
	NextSweep   = nextSweep
)

func (h *instants) Add(at time.Time) time.Time { return h.add(at) }
func (h *instants) First() (time.Time, bool)   { return h.first() }
func (h *instants) DropUntil(t time.Time)      { h.dropUntil(t) }
func (h *instants) Len() int                   { return h.len() }
func (h *instants) Renew(after time.Time, window []time.Time) time.Time {
	return h.renew(after, window)
}

func (p *pacer) Next() (step, time.Duration) { return p.next() }
func (p *pacer) Add(at time.Time)            { p.add(at) }
func (p *pacer) SetSeat(seat int)            { p.setSeat(seat) }
func (p *pacer) Fires()                      { p.fires() }
func (p *pacer) Fired(until time.Time)       { p.fired(until) }
func (p *pacer) Looked(now time.Time)        { p.looked(now) }
func (p *pacer) Polled()                     { p.polled() }
func (p *pacer) Failed(s step)               { p.failed(s) }
func (p *pacer) RefreshSoon()                { p.refreshSoon() }
func (p *pacer) Known() int                  { return p.len() }
func (p *pacer) Refreshed(after time.Time, window []time.Time) {
	p.refreshed(after, window)
}

func (l *lowWater) RaiseTo(at time.Time) { l.raiseTo(at) }
func (l *lowWater) LowerTo(at time.Time) { l.lowerTo(at) }
func (l *lowWater) ForClaim() time.Time  { return l.forClaim() }
func (l *lowWater) ForPoll() time.Time   { return l.forPoll() }

func (b *inbox) Due(instants []time.Time, more bool) { b.due(instants, more) }
func (b *inbox) Sit(seat int)                        { b.sit(seat) }
func (b *inbox) Filled() <-chan struct{}             { return b.filled }

// Take gives the news apart.
func (b *inbox) Take() (instants []time.Time, more bool, seat int, moved bool) {
	n := b.take()
	return n.instants, n.more, n.seat, n.moved
}

// Sweep sets the gauges of the backlog, and reads them.
func Sweep(ctx context.Context, k *Kernel) (backlog, oldest float64, err error) {
	_, err = k.sweep(ctx)
	var b, o dto.Metric
	_ = k.metrics.backlog.Write(&b)
	_ = k.metrics.oldest.Write(&o)
	return b.GetGauge().GetValue(), o.GetGauge().GetValue(), err
}

// Mark gives where a kernel's next claim will begin to look.
func Mark(k *Kernel) time.Time { return k.low.forClaim() }

// Retain looks for what is past its time, as the kernel does every now and then.
func Retain(ctx context.Context, k *Kernel) { k.retainInTurn(ctx) }
