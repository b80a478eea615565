package action

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// exchange sends a request and gives the answer, whose body is still to be read and
// closed. All of it happens on the caller's goroutine: the request leaves in one
// write, and the answer is read by net/http's own parser. net/http's Transport has
// two goroutines for each connection, and hands every request and every answer over
// between them.
func (p *linePool) exchange(ctx context.Context, to origin, request []byte) (*http.Response, error) {
	for again := false; ; again = true {
		l, err := p.get(ctx, to, again)
		if err != nil {
			return nil, err
		}
		kept := l.kept
		answer, begun, err := p.converse(ctx, l, request)
		if err == nil {
			return answer, nil
		}
		// A kept connection that the receiver closes just as we write to it is no
		// failed attempt: the webhook-id lets the request arrive twice. Once, and on a
		// new connection: whoever closes that does not want the request. What has
		// begun to be answered is not asked again.
		if again || begun || !kept || ctx.Err() != nil {
			return nil, err
		}
	}
}

// converse writes a request and reads the answer up to its body. begun tells
// whether an answer had begun when it failed. The line is the answer's, or dropped.
func (p *linePool) converse(ctx context.Context, l *line, request []byte) (_ *http.Response, begun bool, _ error) {
	a := &lineBody{pool: p, line: l, ctx: ctx, in: readerOf(l), stop: context.AfterFunc(ctx, l.cut)}
	_, failed := l.Write(request)
	// Looked for even so: who closes without reading all may have said why.
	if _, err := a.in.Peek(1); err != nil {
		a.end(false)
		if failed == nil {
			failed = err
		}
		return nil, false, a.errorOf(failed)
	}
	answer, err := a.in.answer()
	if err != nil {
		a.end(false)
		return nil, true, a.errorOf(err)
	}
	a.again = failed == nil && !answer.Close && answer.StatusCode != http.StatusSwitchingProtocols
	if answer.Body == http.NoBody {
		a.end(true)
		return answer, true, nil
	}
	a.ReadCloser = answer.Body
	answer.Body = a
	return answer, true, nil
}

// lineBody is the body of an answer, and gives the line back at its end.
type lineBody struct {
	io.ReadCloser
	pool  *linePool
	line  *line
	in    *answerReader
	ctx   context.Context
	stop  func() bool // what cuts the line when ctx ends
	again bool        // the line may be used again, once the answer is read
	ended atomic.Bool // Close may come from another goroutine
	eof   bool
}

// Read implements io.Reader.
func (a *lineBody) Read(p []byte) (int, error) {
	if a.ended.Load() {
		if a.eof {
			return 0, io.EOF
		}
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := a.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	a.eof = err == io.EOF //nolint:errorlint // io.Reader's own
	a.end(a.eof)
	return n, a.errorOf(err)
}

// Close implements io.Closer. An answer that has not been read to its end ends the
// line.
func (a *lineBody) Close() error {
	a.end(false)
	return nil
}

// end gives the line back; whole says that all of the answer has been read.
func (a *lineBody) end(whole bool) {
	if a.ended.Swap(true) {
		return
	}
	again := a.stop() && whole && a.again && a.in.Buffered() == 0
	if whole { // else somebody may still be reading
		a.in.release()
	}
	if again {
		a.line.kept = true
		a.pool.put(a.line)
	} else {
		a.pool.drop(a.line)
	}
}

// errorOf is what went wrong: if ctx ended, that is why the line was cut.
func (a *lineBody) errorOf(err error) error {
	if a.ctx.Err() != nil && err != io.EOF { //nolint:errorlint // io.Reader's own
		return context.Cause(a.ctx)
	}
	return err
}
