package main

import (
	"io"
	"time"
)

// noticeEvery is how often a notice that stays the same is repeated.
const noticeEvery = 30 * time.Second

// notice tells what a command waits for: at once, and then seldom, since it tries
// again every second or so.
type notice struct {
	to   io.Writer
	last string
	at   time.Time
}

func (n *notice) say(text string) {
	if text == n.last && time.Since(n.at) < noticeEvery {
		return
	}
	n.last, n.at = text, time.Now()
	say(n.to, "%s", text)
}
