package action

import (
	"container/list"
	"crypto/sha256"
	"sync"

	"github.com/minoots/minoots"
)

// The cache of compiled templates, which is worth having since a herd of timers
// has one template: to compile two expressions takes 67 µs, to render with them 20
// (BenchmarkTemplate). It holds the compiled form of at most
// 16 MiB of sources.
const (
	cachedTemplates = 256
	cachedBytes     = 64 << 10 // larger ones are compiled each time
)

// templates is a bounded cache: the one that was not asked for longest goes first.
type templates struct {
	mu    sync.Mutex
	order list.List // of *cachedTemplate, the last used in front
	known map[[sha256.Size]byte]*list.Element
}

type cachedTemplate struct {
	key      [sha256.Size]byte
	template *template
}

func newTemplates() *templates { return &templates{known: map[[sha256.Size]byte]*list.Element{}} }

// compile gives the compiled template. Two that ask at once may both compile.
func (t *templates) compile(source []byte) (*template, []minoots.FieldError) {
	if len(source) > cachedBytes {
		return compileTemplate(source)
	}
	key := sha256.Sum256(source)
	if found := t.find(key); found != nil {
		return found, nil
	}
	compiled, bad := compileTemplate(source)
	if len(bad) == 0 {
		t.keep(key, compiled)
	}
	return compiled, bad
}

func (t *templates) find(key [sha256.Size]byte) *template {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.known[key]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return e.Value.(*cachedTemplate).template
}

func (t *templates) keep(key [sha256.Size]byte, compiled *template) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[key] != nil {
		return
	}
	t.known[key] = t.order.PushFront(&cachedTemplate{key, compiled})
	if t.order.Len() > cachedTemplates {
		oldest := t.order.Remove(t.order.Back()).(*cachedTemplate)
		delete(t.known, oldest.key)
	}
}
