package db

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/minoots/minoots"
)

// EventCursor is a place in the log: behind all that snapshot p sees and, of what
// s sees beyond that, behind the events up to seq after. It says exactly which
// events a reader has had, in whatever order transactions commit, and grows by
// two bytes for each that was in flight. docs/adr/0020-events.md has the proof.
//
// It is opaque to callers, and needs no signature: it only says where to go on
// among events that its holder may read anyway.
type EventCursor struct {
	log   uint32 // which log it is of
	base  uint64 // how far the log had been dropped when p was its place
	p, s  snapshot
	after int64 // 0: s is not in use
}

// maxInFlight is how many transactions a cursor may know to be in flight: far
// more than a server has connections.
const maxInFlight = 16_384

const cursorVersion = 1

// IsZero tells whether the cursor is none: it was not read from the log.
func (c EventCursor) IsZero() bool { return c.p.xmax == 0 }

// Sees tells whether a reader at the cursor has had the event.
func (c EventCursor) Sees(e *LogEvent) bool {
	return c.p.sees(e.xid) || e.Seq <= c.after && c.s.sees(e.xid)
}

// Compare tells which of two cursors of one reader is earlier (-1: c), 0 for the
// same place.
func (c EventCursor) Compare(d EventCursor) int {
	return cmp.Or(c.p.compare(d.p), cmp.Compare(c.after, d.after))
}

// String gives the cursor as callers see it, in characters that need no escaping
// in a URL.
func (c EventCursor) String() string {
	b := binary.BigEndian.AppendUint32([]byte{cursorVersion}, c.log)
	b = binary.AppendUvarint(b, c.base)
	b = appendSnapshot(b, c.p)
	b = binary.AppendUvarint(b, uint64(c.after))
	if c.after > 0 {
		b = appendSnapshot(b, c.s)
	}
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// appendSnapshot writes xmax and, from above, the distances to what is in flight.
func appendSnapshot(b []byte, s snapshot) []byte {
	b = binary.AppendUvarint(b, s.xmax)
	b = binary.AppendUvarint(b, uint64(len(s.xip)))
	above := s.xmax
	for i := len(s.xip) - 1; i >= 0; i-- {
		b = binary.AppendUvarint(b, above-s.xip[i])
		above = s.xip[i]
	}
	return b
}

// ParseEventCursor reads what String wrote; CodeInvalid for anything else. Only
// EventPage can tell whether the log knows it.
func ParseEventCursor(text string) (EventCursor, error) {
	bad := &minoots.Error{Code: minoots.CodeInvalid, Message: "must be a cursor that an event, or a page of events, came with"}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 9 || b[0] != cursorVersion {
		return EventCursor{}, bad
	}
	end := len(b) - 4
	if binary.BigEndian.Uint32(b[end:]) != crc32.ChecksumIEEE(b[:end]) {
		return EventCursor{}, bad
	}
	r := &varints{b: b[5:end]}
	c := EventCursor{log: binary.BigEndian.Uint32(b[1:]), base: r.next(), p: r.snapshot()}
	if after := r.next(); after > 0 {
		c.after, c.s = int64(after), r.snapshot()
		r.bad = r.bad || c.after < 0 || c.s.compare(c.p) < 0
	}
	if r.bad || len(r.b) > 0 {
		return EventCursor{}, bad
	}
	return c, nil
}

// varints reads numbers until one is bad.
type varints struct {
	b   []byte
	bad bool
}

func (r *varints) next() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) snapshot() snapshot {
	s := snapshot{xmax: r.next()}
	n := r.next()
	if s.xmax == 0 || s.xmax > 1<<63 || n > maxInFlight || n > uint64(len(r.b)) {
		r.bad = true
		return s
	}
	if n == 0 {
		return s
	}
	s.xip = make([]uint64, n)
	above := s.xmax
	for i := len(s.xip) - 1; i >= 0; i-- {
		down := r.next()
		if down == 0 || down >= above {
			r.bad = true
			return s
		}
		above -= down
		s.xip[i] = above
	}
	return s
}
