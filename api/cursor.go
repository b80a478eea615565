package api

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/db"
)

// A cursor names the last item of a page by its place in the list's order, so
// that the next page begins after it whatever has come or gone since. It is
// opaque: a byte for the list it is of, the place, and a checksum, which catches
// accidents. It needs no signature, for it only says where to go on among things
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
	var bad []error
	if p.Limit < 1 || p.Limit > maxLimit {
		bad = append(bad, badParam("query", "limit", "must be from 1 to %d", maxLimit))
	}
	if p.Cursor == "" {
		return nil, bad
	}
	place, ok := decodeCursor(list, p.Cursor)
	if !ok || !valid(place) {
		return nil, append(bad, badParam("query", "cursor", "must be the nextCursor of a page of this list"))
	}
	return place, bad
}

func encodeCursor(list byte, place []byte) string {
	b := append([]byte{list}, place...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(list byte, text string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 5 || b[0] != list {
		return nil, false
	}
	end := len(b) - 4
	return b[1:end], binary.BigEndian.Uint32(b[end:]) == crc32.ChecksumIEEE(b[:end])
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

func timerCursor(t minoots.Timer) string {
	place := binary.BigEndian.AppendUint64(nil, uint64(t.FireAt.UnixMicro()))
	return encodeCursor(cursorTimers, append(place, t.ID[:]...))
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
