package api

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// A cursor names the last item of a page by its place in the list's order, so
// that the next page begins after it whatever has come or gone since. It is
// opaque: a byte for the list it is of, the place, a mark of the filters if the list
// has any, and a checksum, which catches accidents. It needs no signature, for it only says where to go on among things
// that its holder may see anyway.
const (
	cursorTimers  = 't'
	cursorFirings = 'f'
	cursorKeys    = 'k'
	cursorTenants = 'n'
	cursorBulk    = 'b'

	cursorDeadLetters = 'd'

	cursorSubscriptions = 's'
	cursorDeliveries    = 'v'
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Paging is the part of a list's input that all lists share. It is exported for
// huma, which finds parameters in exported fields only.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Items of a page at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

// place checks the limit and gives the place of the cursor, nil for a first page.
func (p *Paging) place(list byte, valid func([]byte) bool) ([]byte, []error) {
	return p.placeAmong(list, 0, valid)
}

// placeAmong is place for a list with filters; see markOf.
func (p *Paging) placeAmong(list byte, filters uint32, valid func([]byte) bool) ([]byte, []error) {
	var bad []error
	if p.Limit < 1 || p.Limit > maxLimit {
		bad = append(bad, badParam("query", "limit", "must be from 1 to %d", maxLimit))
	}
	if p.Cursor == "" {
		return nil, bad
	}
	place, err := decodeCursor(list, filters, p.Cursor)
	if err == nil && !valid(place) {
		err = errCursor
	}
	if err != nil {
		return nil, append(bad, badParam("query", "cursor", "%s", err))
	}
	return place, bad
}

func encodeCursor(list byte, place []byte) string {
	b := append([]byte{list}, place...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// What may be wrong with a cursor, as callers are told.
var (
	errCursor        = errors.New("must be the nextCursor of a page of this list")
	errCursorFilters = errors.New("is of a list with other filters: send it with those of the page before, or leave it out to begin anew")
)

// markOf is a short mark of a list's filters, never 0. Behind the place in a cursor
// it tells those apart that were made with other filters, and would go on somewhere
// in the middle.
func markOf(filters ...any) uint32 {
	text, _ := json.Marshal(filters) // of texts, numbers, and lists and maps of texts
	return max(1, crc32.ChecksumIEEE(text))
}

// marked is set in the byte of the list where a mark stands behind the place.
const marked = 0x80

// encodeMarked is encodeCursor for a list with filters.
func encodeMarked(list byte, filters uint32, place []byte) string {
	return encodeCursor(list|marked, binary.BigEndian.AppendUint32(slices.Clone(place), filters))
}

// decodeCursor gives the place. filters is the mark of those that stand beside the
// cursor, 0 for a list that has none. A cursor without a mark is from before there
// were any, and good for all.
func decodeCursor(list byte, filters uint32, text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	end := len(b) - 4
	if err != nil || end < 1 || binary.BigEndian.Uint32(b[end:]) != crc32.ChecksumIEEE(b[:end]) {
		return nil, errCursor
	}
	place := b[1:end]
	switch {
	case b[0] == list:
		return place, nil
	case filters == 0 || b[0] != list|marked || len(place) < 4:
		return nil, errCursor
	}
	end = len(place) - 4
	if binary.BigEndian.Uint32(place[end:]) != filters {
		return nil, errCursorFilters
	}
	return place[:end], nil
}

// list is a page of a list.
type list[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"nextCursor" doc:"Send it as cursor for the next page; null on the last."`
}

// pageOf makes a page of one item more than the limit, if there are so many.
func pageOf[T any](items []T, limit int, cursor func(T) string) list[T] {
	if items == nil {
		items = []T{}
	}
	if len(items) <= limit {
		return list[T]{Items: items}
	}
	next := cursor(items[limit-1])
	return list[T]{Items: items[:limit], NextCursor: &next}
}

// timerCursor makes the cursors of a list with these filters.
func timerCursor(f db.TimerFilter) func(minoots.Timer) string {
	filters := timerMark(f)
	return func(t minoots.Timer) string {
		place := binary.BigEndian.AppendUint64(nil, uint64(t.FireAt.UnixMicro()))
		return encodeMarked(cursorTimers, filters, append(place, t.ID[:]...))
	}
}

// timerMark is the mark of filters of timers, the same in whatever order they are
// written.
func timerMark(f db.TimerFilter) uint32 {
	statuses := slices.Clone(f.Statuses)
	slices.Sort(statuses)
	labels := f.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return markOf(slices.Compact(statuses), labels, f.Name, f.NamePrefix, f.RequestedBy, f.DueAfter.UnixMicro(), f.DueBefore.UnixMicro())
}

// The instant of a cursor that somebody made up stays within what Postgres holds.
const (
	firstMicro = -62_135_596_800_000_000 // the beginning of the year 1
	lastMicro  = 253_402_300_799_999_999 // the end of the year 9999
)

func validTimerPlace(b []byte) bool {
	if len(b) != 24 {
		return false
	}
	micros := int64(binary.BigEndian.Uint64(b))
	return micros >= firstMicro && micros <= lastMicro
}

func timerPosition(place []byte) db.TimerPosition {
	if place == nil {
		return db.TimerPosition{}
	}
	return db.TimerPosition{
		FireAt: time.UnixMicro(int64(binary.BigEndian.Uint64(place))).UTC(),
		ID:     minoots.ID(place[8:]),
	}
}

// listByIDInput is the input of lists in the order of ids.
type listByIDInput struct {
	Paging
	after minoots.ID
}

// Resolve implements huma.Resolver.
func (in *listByIDInput) Resolve(huma.Context) []error {
	place, bad := in.place(cursorKeys, func(b []byte) bool { return len(b) == len(in.after) })
	copy(in.after[:], place)
	return bad
}
