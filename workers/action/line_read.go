package action

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
)

// answerReader reads an answer from a line. It is not kept with the line: idle lines
// need no memory.
type answerReader struct {
	*bufio.Reader
	limit headerLimit
}

// incoming holds readers between answers.
var incoming = sync.Pool{New: func() any { return &answerReader{Reader: bufio.NewReader(nil)} }}

func readerOf(line io.Reader) *answerReader {
	r := incoming.Get().(*answerReader)
	r.limit = headerLimit{line, maxAnswerHeader}
	r.Reset(&r.limit)
	return r
}

func (r *answerReader) release() {
	r.limit.from = nil
	incoming.Put(r)
}

// answer reads an answer's header, and before it those of 1xx answers, which nobody
// asked for. The request could be any but HEAD, whose answers have no body.
func (r *answerReader) answer() (*http.Response, error) {
	for {
		answer, err := http.ReadResponse(r.Reader, nil)
		if err != nil {
			return nil, err
		}
		if code := answer.StatusCode; code < 100 || code > 199 || code == http.StatusSwitchingProtocols {
			r.limit.left = math.MaxInt64 // the body has limits of its own
			return answer, nil
		}
	}
}

var errHeaderTooLarge = errors.New("the answer's header is too large")

// headerLimit lets no more than so many bytes be read.
type headerLimit struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (r *headerLimit) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errHeaderTooLarge
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}
