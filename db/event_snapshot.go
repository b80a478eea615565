package db

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// snapshot is a pg_snapshot: which transactions had ended at a moment. Those
// below xmax had, but for those in xip, which is sorted.
type snapshot struct {
	xmax uint64
	xip  []uint64
}

// nothing is the snapshot that sees no event.
var nothing = snapshot{xmax: 1}

// sees tells whether the transaction had ended, as pg_visible_in_snapshot does.
func (s snapshot) sees(xid uint64) bool {
	if xid >= s.xmax {
		return false
	}
	_, inFlight := slices.BinarySearch(s.xip, xid)
	return !inFlight
}

// xmin is the lowest transaction that it does not see.
func (s snapshot) xmin() uint64 {
	if len(s.xip) > 0 {
		return s.xip[0]
	}
	return s.xmax
}

// upTo cuts what is above a transaction. If that is the highest of an event which
// the snapshot sees, it is the same snapshot as far as events go, and better: it
// stays as it is while transactions that write none come and go, and a crash
// cannot make the server give a number below its xmax again, since an event of
// the highest is committed.
func (s snapshot) upTo(highest uint64) snapshot {
	if highest >= s.xmax {
		return s
	}
	end, _ := slices.BinarySearch(s.xip, highest)
	return snapshot{xmax: highest + 1, xip: s.xip[:end:end]}
}

// String gives the form that Postgres reads.
func (s snapshot) String() string {
	b := strconv.AppendUint(nil, s.xmin(), 10)
	b = strconv.AppendUint(append(b, ':'), s.xmax, 10)
	b = append(b, ':')
	for i, xid := range s.xip {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, xid, 10)
	}
	return string(b)
}

var errSnapshot = errors.New("not a snapshot: want xmin:xmax:xid,xid…")

// parseSnapshot reads what Postgres writes.
func parseSnapshot(text string) (snapshot, error) {
	var s snapshot
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, errSnapshot
	}
	var err error
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return s, errSnapshot
	}
	if parts[2] == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(parts[2], ",") {
		xid, err := strconv.ParseUint(part, 10, 64)
		if err != nil || xid >= s.xmax || len(s.xip) > 0 && xid <= s.xip[len(s.xip)-1] {
			return s, errSnapshot
		}
		s.xip = append(s.xip, xid)
	}
	return s, nil
}

// compare orders the snapshots of one log by time: what an earlier one sees, a
// later one sees too.
func (s snapshot) compare(t snapshot) int {
	return cmp.Or(cmp.Compare(s.xmax, t.xmax), cmp.Compare(len(t.xip), len(s.xip)))
}
