package minoots

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// ID names a timer, a key or a secret: a UUID of version 7 (RFC 9562), so that
// ids sort by the time they were made and new rows land at the end of an index.
type ID [16]byte

// NewID makes an ID for the present. 48 bits of milliseconds, 12 bits of the
// fraction below (RFC 9562, 6.2, method 3) and 62 random bits.
func NewID() ID { return newIDAt(time.Now()) }

func newIDAt(t time.Time) ID {
	var id ID
	if _, err := rand.Read(id[8:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	ms := uint64(t.UnixMilli())
	fraction := uint64(t.UnixNano()%int64(time.Millisecond)) << 12 / uint64(time.Millisecond)
	binary.BigEndian.PutUint64(id[:8], ms<<16|0x7000|fraction)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the canonical form, "01890a5d-ac96-774b-bcce-b302099a8057".
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, Errorf(CodeInvalid, "is not an id: want a UUID such as %s", ID{6: 0x70, 8: 0x80})
	}
	compact := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(compact)); err != nil {
		return ID{}, Errorf(CodeInvalid, "is not an id: want a UUID such as %s", ID{6: 0x70, 8: 0x80})
	}
	return id, nil
}

// String gives the canonical form.
func (id ID) String() string { b, _ := id.MarshalText(); return string(b) }

// IsZero tells whether the ID was never set.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return b[:], nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *ID) UnmarshalText(b []byte) error {
	parsed, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
