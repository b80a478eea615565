package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/minoots/minoots"
)

// The limits of a payload template. They bound what one tenant's template can
// cost all others: to compile, to evaluate and to send.
const (
	maxExpressions     = 100       // in a template
	maxExpressionBytes = 1 << 10   // of one
	maxSourceBytes     = 4 << 10   // of all together
	maxTemplateCost    = 1_000_000 // CEL's units of cost, of all together
	maxRenderedBytes   = minoots.MaxTimerBytes
)

// template is a compiled agentBinding.payloadTemplate: a JSON object whose
// strings may hold expressions, {{ like.this }}.
type template struct{ root object }

// A node of the tree is one of these.
type (
	literal json.RawMessage // without any expression below
	object  struct {
		names  []string
		values []any
	}
	items []any
	// text is literal pieces with an expression behind each but the last.
	text struct {
		pieces      []string
		expressions []*expression
	}
	// whole is a string that is one expression: its value keeps its type.
	whole struct{ *expression }
)

// expression is a compiled one, with its place for error messages.
type expression struct {
	path    string
	program cel.Program
}

// compileTemplate compiles a template and finds all that is wrong with it. Paths
// are below "agentBinding".
func compileTemplate(source []byte) (*template, []minoots.FieldError) {
	c := &compiler{}
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, []minoots.FieldError{{Path: templatePath, Message: "must be valid JSON"}}
	}
	given, ok := tree.(map[string]any)
	if !ok {
		return nil, []minoots.FieldError{{Path: templatePath, Message: "must be a JSON object, whose strings may hold {{ expressions }}"}}
	}
	root := c.object(templatePath, given)
	if len(c.bad) > 0 {
		return nil, c.bad
	}
	return &template{root}, nil
}

const templatePath = "payloadTemplate"

// compiler walks over a template.
type compiler struct {
	bad   []minoots.FieldError
	count int    // of expressions
	bytes int    // of their source
	cost  uint64 // their estimates together
}

func (c *compiler) fail(path, format string, args ...any) {
	c.bad = append(c.bad, minoots.FieldError{Path: path, Message: oneLine(fmt.Sprintf(format, args...))})
}

func (c *compiler) object(path string, given map[string]any) object {
	names := slices.Sorted(maps.Keys(given))
	o := object{names: names, values: make([]any, len(names))}
	for i, name := range names {
		at := path + "." + name
		if strings.ContainsFunc(name, notTokenChar) || len(name) > maxHeaderName {
			at = fmt.Sprintf("%s[%.40q]", path, name)
		}
		if strings.Contains(name, "{{") {
			c.fail(at, "is a key, and those are taken as they are: {{ }} works in values")
		}
		o.values[i] = c.value(at, given[name])
	}
	return o
}

func (c *compiler) value(path string, given any) any {
	switch v := given.(type) {
	case map[string]any:
		return c.object(path, v)
	case []any:
		l := make(items, len(v))
		for i := range v {
			l[i] = c.value(fmt.Sprintf("%s[%d]", path, i), v[i])
		}
		return l
	case string:
		if strings.Contains(v, "{{") {
			return c.text(path, v)
		}
	}
	raw, err := json.Marshal(given)
	if err != nil { // a json.Number, string, bool or nil that came from JSON
		c.fail(path, "must be valid JSON")
	}
	return literal(raw)
}

func (c *compiler) text(path, given string) any {
	var t text
	for {
		before, rest, found := strings.Cut(given, "{{")
		t.pieces = append(t.pieces, before)
		if !found {
			break
		}
		end := endOfExpression(rest)
		if end < 0 {
			c.fail(path, `has a {{ without its }}; write {{ "{{" }} for the two braces themselves`)
			return nil
		}
		e := c.expression(path, strings.TrimSpace(rest[:end]))
		if e == nil {
			return nil
		}
		t.expressions = append(t.expressions, e)
		given = rest[end+2:]
	}
	if len(t.expressions) == 1 && t.pieces[0] == "" && t.pieces[1] == "" {
		return whole{t.expressions[0]}
	}
	return t
}

func (c *compiler) expression(path, source string) *expression {
	c.count++
	c.bytes += len(source)
	switch {
	case source == "":
		c.fail(path, "has an empty {{ }}; want such as {{ timer.name }}")
		return nil
	case len(source) > maxExpressionBytes:
		c.fail(path, "has an expression of %d bytes; at most %d are allowed", len(source), maxExpressionBytes)
		return nil
	case c.count > maxExpressions:
		if c.count == maxExpressions+1 {
			c.fail(path, "is expression number %d; at most %d are allowed in a template", c.count, maxExpressions)
		}
		return nil
	case c.bytes > maxSourceBytes:
		if c.bytes-len(source) <= maxSourceBytes {
			c.fail(path, "makes the template's expressions longer than %d bytes together", maxSourceBytes)
		}
		return nil
	}
	program, cost, err := compileExpression(source)
	if err != nil {
		c.fail(path, "%s", err)
		return nil
	}
	if c.cost+cost < c.cost || c.cost+cost > maxTemplateCost {
		c.fail(path, "may cost too much: with lists and texts of %d items the template's expressions come to more than %d steps",
			assumedSize, maxTemplateCost)
		return nil
	}
	c.cost += cost
	return &expression{path, program}
}

// endOfExpression finds the }} that ends an expression: not one within a text or
// a map of CEL's. -1 if there is none.
func endOfExpression(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"', '\'':
			quote := s[i]
			for i++; i < len(s) && s[i] != quote; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if strings.HasPrefix(s[i:], "}}") {
					return i
				}
				return -1
			}
			depth--
		}
	}
	return -1
}

var errTooLarge = errors.New("the payload is larger than 256 KiB")
