package action

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"unicode/utf8"

	"github.com/minoots/minoots"
)

// drainLimit is how much more of an answer is read and thrown away after the
// part that is kept. A connection can only be used again once its answer has
// been read to the end: 32 KiB cost less than a new handshake, more may not.
const drainLimit = 32 << 10

// captures holds buffers between deliveries; what is kept is copied out at its
// own length, which for most answers is nothing or a few bytes.
var captures = sync.Pool{New: func() any { return new([minoots.MaxResponseCapture]byte) }}

// readAnswer reads the beginning of the answer's body, closes it, and gives it as
// text; nil when there is none. An answer that breaks off is kept as far as it came.
func readAnswer(answer *http.Response) []byte {
	defer func() { _ = answer.Body.Close() }()
	// The body of 101 Switching Protocols is the naked connection, with no end.
	if answer.ContentLength == 0 || answer.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	buffer := captures.Get().(*[minoots.MaxResponseCapture]byte)
	defer captures.Put(buffer)

	n, err := io.ReadFull(answer.Body, buffer[:])
	text := cleanText(buffer[:n])
	if err == nil {
		drain(answer.Body, buffer[:])
	}
	return text
}

// drain reads up to drainLimit bytes. It does not use io.Copy to io.Discard,
// which would bring a buffer of its own.
func drain(body io.Reader, buffer []byte) {
	for left := drainLimit; left > 0; {
		n, err := body.Read(buffer[:min(left, len(buffer))])
		if err != nil {
			return
		}
		left -= n
	}
}

// cleanText copies b as text that Postgres can hold: valid UTF-8 without NUL,
// still at most MaxResponseCapture bytes although the replacement character is
// longer than what it replaces. A character cut in two at the end is dropped.
func cleanText(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	if utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 {
		return bytes.Clone(b)
	}
	out := make([]byte, 0, min(len(b)*utf8.UTFMax, minoots.MaxResponseCapture))
	for len(b) > 0 && utf8.FullRune(b) {
		r, size := utf8.DecodeRune(b)
		if r == 0 {
			r = utf8.RuneError
		}
		if len(out)+utf8.RuneLen(r) > minoots.MaxResponseCapture {
			break
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	return out
}

// wholeLimit bounds an answer whose body is looked into.
const wholeLimit = 1 << 20

var errAnswerTooLarge = errors.New("the answer is too large")

// readWhole reads an answer that is looked into, and closes it.
func readWhole(answer *http.Response) ([]byte, error) {
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, wholeLimit+1))
	if err == nil && len(body) > wholeLimit {
		err = errAnswerTooLarge
	}
	return body, err
}

// capture gives what is kept of a body, as text.
func capture(body []byte) []byte { return cleanText(body[:min(len(body), minoots.MaxResponseCapture)]) }
