package action

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/minoots/minoots"
)

// render evaluates a template over a firing. Its error says which field is to
// blame, in words that a tenant may read.
func (t *template) render(ctx context.Context, variables map[string]any) (json.RawMessage, error) {
	r := &rendering{ctx: ctx, variables: variables}
	if err := r.node(t.root); err != nil {
		return nil, err
	}
	return r.out.Bytes(), nil
}

// rendering writes the result as it goes, so that its size is bounded while it
// grows: a value of few references may print as gigabytes.
type rendering struct {
	ctx       context.Context
	variables map[string]any
	cost      uint64
	out       bytes.Buffer
}

func (r *rendering) node(n any) error {
	switch n := n.(type) {
	case literal:
		return r.write(n)
	case object:
		return r.object(n)
	case items:
		return r.items(n)
	case whole:
		v, err := r.eval(n.expression)
		if err != nil {
			return err
		}
		return blame(n.path, r.value(v))
	case text:
		return r.text(n)
	default:
		return fmt.Errorf("no such node: %T", n)
	}
}

func (r *rendering) object(o object) error {
	r.out.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			r.out.WriteByte(',')
		}
		if err := r.json(name); err != nil {
			return err
		}
		r.out.WriteByte(':')
		if err := r.node(o.values[i]); err != nil {
			return err
		}
	}
	return r.write([]byte("}"))
}

func (r *rendering) items(l items) error {
	r.out.WriteByte('[')
	for i := range l {
		if i > 0 {
			r.out.WriteByte(',')
		}
		if err := r.node(l[i]); err != nil {
			return err
		}
	}
	return r.write([]byte("]"))
}

// text joins pieces and values: texts as they are, null as nothing, all else as
// JSON.
func (r *rendering) text(t text) error {
	var joined strings.Builder
	for i, piece := range t.pieces {
		joined.WriteString(piece)
		if i == len(t.expressions) {
			break
		}
		v, err := r.eval(t.expressions[i])
		if err != nil {
			return err
		}
		s := &rendering{}
		switch err := s.value(v); {
		case err != nil:
			return blame(t.expressions[i].path, err)
		case v.Type() == types.NullType:
		case s.out.Len() > 0 && s.out.Bytes()[0] == '"':
			var plain string
			if err := json.Unmarshal(s.out.Bytes(), &plain); err != nil {
				return blame(t.expressions[i].path, err)
			}
			joined.WriteString(plain)
		default:
			joined.Write(s.out.Bytes())
		}
		if joined.Len() > maxRenderedBytes {
			return errTooLarge
		}
	}
	return r.json(joined.String())
}

func (r *rendering) eval(e *expression) (ref.Val, error) {
	v, details, err := e.program.ContextEval(r.ctx, r.variables)
	switch {
	case r.ctx.Err() != nil:
		return nil, r.ctx.Err()
	case err != nil:
		return nil, blame(e.path, err)
	}
	if spent := details.ActualCost(); spent != nil {
		r.cost += *spent
	}
	if r.cost > maxTemplateCost {
		return nil, blame(e.path, fmt.Errorf("the template takes more than %d steps", maxTemplateCost))
	}
	return v, nil
}

func blame(path string, err error) error {
	if err == nil || errors.Is(err, errTooLarge) {
		return err
	}
	return fmt.Errorf("agentBinding.%s: %w", path, err)
}

func (r *rendering) write(b []byte) error {
	r.out.Write(b)
	if r.out.Len() > maxRenderedBytes {
		return errTooLarge
	}
	return nil
}

func (r *rendering) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return r.write(b)
}

// value writes a value of CEL's as JSON.
func (r *rendering) value(v ref.Val) error {
	switch v := v.(type) {
	case types.String:
		return r.json(string(v))
	case types.Bool:
		return r.json(bool(v))
	case types.Int:
		return r.json(int64(v))
	case types.Uint:
		return r.json(uint64(v))
	case types.Double:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return errors.New("gives a number that JSON cannot hold")
		}
		return r.json(float64(v))
	case types.Null:
		return r.json(nil)
	case types.Bytes:
		return r.json(base64.StdEncoding.EncodeToString(v))
	case types.Timestamp:
		return r.json(minoots.InstantOf(v.Time).String())
	case types.Duration:
		return r.json(v.Duration.Round(time.Microsecond).String())
	case traits.Mapper:
		return r.mapping(v)
	case traits.Lister:
		return r.sequence(v)
	default:
		return fmt.Errorf("gives a %s, which JSON cannot hold", v.Type().TypeName())
	}
}

func (r *rendering) mapping(m traits.Mapper) error {
	r.out.WriteByte('{')
	first := true
	for it := m.Iterator(); it.HasNext() == types.True; first = false {
		key := it.Next()
		name, ok := key.ConvertToType(types.StringType).(types.String)
		if !ok {
			return errors.New("gives a map with a key that is no text")
		}
		if !first {
			r.out.WriteByte(',')
		}
		if err := r.json(string(name)); err != nil {
			return err
		}
		r.out.WriteByte(':')
		if err := r.value(m.Get(key)); err != nil {
			return err
		}
	}
	return r.write([]byte("}"))
}

func (r *rendering) sequence(l traits.Lister) error {
	r.out.WriteByte('[')
	first := true
	for it := l.Iterator(); it.HasNext() == types.True; first = false {
		if !first {
			r.out.WriteByte(',')
		}
		if err := r.value(it.Next()); err != nil {
			return err
		}
	}
	return r.write([]byte("]"))
}
