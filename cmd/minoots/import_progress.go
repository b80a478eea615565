package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// importProgress shows how far an import is: on a terminal a bar that is drawn
// anew, else a line now and then.
type importProgress struct {
	out      io.Writer
	terminal bool
	total    int64 // bytes; 0 if unknown
	every    time.Duration

	mu     sync.Mutex
	bytes  int64
	timers int
	began  time.Time
	last   time.Time
}

func newImportProgress(out io.Writer, total int64) *importProgress {
	p := &importProgress{out: out, terminal: isTerminal(out), total: total, every: 5 * time.Second, began: time.Now(), last: time.Now()}
	if p.terminal {
		p.every = 100 * time.Millisecond
	}
	return p
}

// done counts bytes of the file that are dealt with, and timers that are scheduled.
func (p *importProgress) done(bytes, timers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(bytes)
	p.timers += timers
	if time.Since(p.last) >= p.every {
		p.draw()
	}
}

// note writes a line of its own.
func (p *importProgress) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		_, _ = io.WriteString(p.out, eraseLine)
	}
	say(p.out, "%s", printable(fmt.Sprintf(format, args...)))
}

// end leaves the last state on the terminal.
func (p *importProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.draw()
		_, _ = io.WriteString(p.out, "\n")
	}
}

const (
	eraseLine = "\r\x1b[K"
	barWidth  = 30
)

func (p *importProgress) draw() {
	p.last = time.Now()
	line := fmt.Sprintf("%d timers, %.0f/s", p.timers, float64(p.timers)/max(time.Since(p.began).Seconds(), 0.001))
	if p.total > 0 {
		share := min(1, float64(p.bytes)/float64(p.total))
		filled := int(share * barWidth)
		line = fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", filled), strings.Repeat("-", barWidth-filled), 100*share, line)
	}
	if p.terminal {
		_, _ = io.WriteString(p.out, eraseLine+line)
		return
	}
	say(p.out, "%s", line)
}
