package action

import (
	"context"
	"slices"
	"sync"
	"time"
)

// linePool keeps lines between exchanges. No goroutine watches an idle one: it is
// asked whether it still stands when it is taken, and closed when it has been idle
// for idleTimeout.
type linePool struct {
	open      func(context.Context, origin) (*line, error)
	perOrigin int // lines to one origin, those that are being dialled included
	maxIdle   int // to all
	// dials outlive whoever asked for them, but not the pool.
	dials  context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	origins map[origin]*lines
	idle    lineList
	sweeper *time.Timer // nil while nothing is idle
}

// lines are those to one origin.
type lines struct {
	open    int // idle, in use and being dialled
	idle    []*line
	waiting []*lineWait
}

// lineWait waits for a line: the one that is dialled for it, or one that others are
// done with, whichever comes first.
type lineWait struct {
	dialled bool // a dial is under way, or was
	ready   chan lineOrError
}

type lineOrError struct {
	line *line
	err  error
}

func newLinePool(open func(context.Context, origin) (*line, error), perOrigin, maxIdle int) *linePool {
	p := &linePool{open: open, perOrigin: perOrigin, maxIdle: maxIdle, origins: map[origin]*lines{}}
	p.dials, p.cancel = context.WithCancel(context.Background())
	return p
}

// get gives a line, which is then to be given to put or drop. One that is asked to
// be new has not been idle.
func (p *linePool) get(ctx context.Context, to origin, isNew bool) (*line, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l, wait := p.ask(to, isNew)
		if wait != nil {
			return p.await(ctx, to, wait)
		}
		if l.silent() {
			return l, nil
		}
		p.drop(l)
	}
}

// ask takes an idle line or gets in line for one.
func (p *linePool) ask(to origin, isNew bool) (*line, *lineWait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.origins[to]
	if o == nil {
		o = &lines{}
		p.origins[to] = o
	}
	if last := len(o.idle) - 1; last >= 0 && !isNew { // the last used, so that what is too much grows old
		l := o.idle[last]
		o.idle[last], o.idle = nil, o.idle[:last]
		p.idle.remove(l)
		return l, nil
	}
	wait := &lineWait{ready: make(chan lineOrError, 1)}
	o.waiting = append(o.waiting, wait)
	if o.open >= p.perOrigin && len(o.idle) > 0 { // a new one is wanted: it takes an old one's place
		p.end(o.idle[0])
	}
	p.dialNext(to, o)
	return nil, wait
}

// dialNext dials for the first in line who has no dial yet, if there may be more.
// The caller holds mu.
func (p *linePool) dialNext(to origin, o *lines) {
	if o.open >= p.perOrigin {
		return
	}
	next := slices.IndexFunc(o.waiting, func(w *lineWait) bool { return !w.dialled })
	if next < 0 {
		return
	}
	o.open++
	wait := o.waiting[next]
	wait.dialled = true
	go p.dialFor(to, wait)
}

// dialFor brings a line. Whoever asked may have got another, or have given up: then
// it is for the next, or kept.
func (p *linePool) dialFor(to origin, wait *lineWait) {
	l, err := p.open(p.dials, to)
	if err == nil {
		p.put(l)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.origins[to]
	asked := o.leave(wait)
	p.closed(to, o)
	if asked {
		wait.ready <- lineOrError{err: err}
	}
}

// await waits for a line, or until ctx ends.
func (p *linePool) await(ctx context.Context, to origin, wait *lineWait) (*line, error) {
	select {
	case got := <-wait.ready:
		return got.line, got.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	o := p.origins[to]
	left := o != nil && o.leave(wait)
	if left {
		p.tidy(to, o)
	}
	p.mu.Unlock()
	if !left { // it came at this moment
		if got := <-wait.ready; got.line != nil {
			p.put(got.line)
		}
	}
	return nil, context.Cause(ctx)
}

// leave takes one out of the waiting, if it is there.
func (o *lines) leave(wait *lineWait) bool {
	at := slices.Index(o.waiting, wait)
	if at >= 0 {
		o.waiting = slices.Delete(o.waiting, at, at+1)
	}
	return at >= 0
}

// put gives a line to the first who waits for one, or keeps it.
func (p *linePool) put(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dials.Err() != nil {
		p.end(l)
		return
	}
	o := p.origins[l.to]
	if len(o.waiting) > 0 {
		wait := o.waiting[0]
		o.waiting[0], o.waiting = nil, o.waiting[1:]
		wait.ready <- lineOrError{line: l}
		return
	}
	if p.idle.length >= p.maxIdle {
		p.end(p.idle.oldest)
	}
	l.since, l.kept = time.Now(), true
	o.idle = append(o.idle, l)
	p.idle.add(l)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(idleTimeout, p.sweep)
	}
}

// drop closes a line that is not to be used again.
func (p *linePool) drop(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(l)
}

// end closes a line, idle or not. The caller holds mu.
func (p *linePool) end(l *line) {
	o := p.origins[l.to]
	if at := slices.Index(o.idle, l); at >= 0 {
		o.idle = slices.Delete(o.idle, at, at+1)
		p.idle.remove(l)
		_ = l.Close() // with TLS's goodbye, which does not wait where nothing is under way
	} else {
		l.cut()
	}
	p.closed(l.to, o)
}

// closed makes room for another. The caller holds mu.
func (p *linePool) closed(to origin, o *lines) {
	o.open--
	p.dialNext(to, o)
	p.tidy(to, o)
}

// tidy forgets an origin that nothing leads to. The caller holds mu.
func (p *linePool) tidy(to origin, o *lines) {
	if o.open == 0 && len(o.waiting) == 0 {
		delete(p.origins, to)
	}
}

// sweep closes what has been idle for too long, and comes again while there is more.
func (p *linePool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := p.idle.oldest; l != nil; l = p.idle.oldest {
		if left := idleTimeout - time.Since(l.since); left > 0 {
			p.sweeper.Reset(left)
			return
		}
		p.end(l)
	}
	p.sweeper = nil
}

// close closes what is idle, and what comes back from now on.
func (p *linePool) close() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.idle.oldest != nil {
		p.end(p.idle.oldest)
	}
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
}

// lineList is all idle lines, the oldest first.
type lineList struct {
	oldest, newest *line
	length         int
}

func (s *lineList) add(l *line) {
	l.older, l.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = l
	} else {
		s.oldest = l
	}
	s.newest = l
	s.length++
}

func (s *lineList) remove(l *line) {
	if l.older != nil {
		l.older.newer = l.newer
	} else {
		s.oldest = l.newer
	}
	if l.newer != nil {
		l.newer.older = l.older
	} else {
		s.newest = l.older
	}
	l.older, l.newer = nil, nil
	s.length--
}
