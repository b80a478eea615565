package action

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// templateVariables are what expressions may speak of, and the fields of those
// whose shape is ours: a name that is mistyped is told when the timer is made.
// nil is for values of the caller's own shape. The same as a webhook's "data",
// and metadata and labels once more, for short.
var templateVariables = map[string][]string{
	"timer":    {"id", "tenantId", "name", "labels", "metadata", "requestedBy"},
	"firing":   {"occurrence", "dueAt", "firedAt"},
	"action":   {"id", "kind"},
	"attempt":  nil,
	"metadata": nil,
	"labels":   nil,
	"cause":    nil, // what this action escalates or compensates; null if nothing

	"acknowledgement": {"url", "token", "deadline"},
}

// assumedSize is the number of items of a list, and of characters of a text, that
// the estimate of an expression's cost reckons with. Real ones may be larger; the
// real cost is bounded when it arises.
const assumedSize = 1000

var templateEnv = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		// JSON does not tell 1 from 1.0, so neither do comparisons.
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(32),
		cel.ParserExpressionSizeLimit(maxExpressionBytes),
	}
	for name := range templateVariables {
		options = append(options, cel.Variable(name, cel.DynType))
	}
	return cel.NewEnv(options...)
})

// compileExpression compiles one expression and estimates its cost.
func compileExpression(source string) (cel.Program, uint64, error) {
	env, err := templateEnv()
	if err != nil {
		return nil, 0, fmt.Errorf("make the CEL environment: %w", err)
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, 0, fmt.Errorf("does not compile, at character %d of {{ %.60s }}: %s", first.Location.Column()+1, source, first.Message)
	}
	if err := checkExpression(checked.NativeRep()); err != nil {
		return nil, 0, err
	}
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, 0, fmt.Errorf("has a cost that cannot be told: %w", err)
	}
	program, err := env.Program(checked,
		cel.CostTracking(weights{}), cel.CostLimit(maxTemplateCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, 0, fmt.Errorf("does not compile: %w", err)
	}
	return program, estimate.Max, nil
}

// checkExpression refuses fields that there are not, and a list macro within
// another: by binding names to lists of themselves, nested macros build values
// that are a few references to write and exponential to compare or to print.
func checkExpression(checked *ast.AST) error {
	root := ast.NavigateAST(checked)
	for _, loop := range ast.MatchDescendants(root, ast.KindMatcher(ast.ComprehensionKind)) {
		for above, ok := loop.Parent(); ok; above, ok = above.Parent() {
			if above.Kind() == ast.ComprehensionKind {
				return errors.New("has a list macro (map, filter, exists, all) within or after another, which is not allowed; " +
					"map takes a condition: list.map(x, condition, value)")
			}
		}
	}
	for _, e := range ast.MatchDescendants(root, ast.KindMatcher(ast.SelectKind)) {
		selects := e.AsSelect()
		if selects.Operand().Kind() != ast.IdentKind {
			continue
		}
		variable := selects.Operand().AsIdent()
		if fields := templateVariables[variable]; fields != nil && !slices.Contains(fields, selects.FieldName()) {
			return fmt.Errorf("%s has no %q; there are %s", variable, selects.FieldName(), strings.Join(fields, ", "))
		}
	}
	return nil
}

// sizes tells the estimator what it cannot know.
type sizes struct{}

func (sizes) EstimateSize(cost.AstNode) *cost.SizeEstimate {
	return &cost.SizeEstimate{Min: 0, Max: assumedSize}
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// weights charges comparisons for all that they look at: CEL charges a list by
// its length, whatever is in it.
type weights struct{}

func (weights) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	switch function {
	case operators.Equals, operators.NotEquals, operators.In:
	default:
		return nil
	}
	left := maxTemplateCost
	for _, v := range args {
		left = weigh(v, left)
	}
	spent := uint64(maxTemplateCost - left)
	return &spent
}

// weigh counts the values within v and gives what is left of the budget.
func weigh(v ref.Val, left int) int {
	left--
	switch v := v.(type) {
	case types.String:
		left -= len(v) / 10 // as CEL charges texts
	case traits.Mapper:
		for it := v.Iterator(); left > 0 && it.HasNext() == types.True; {
			left = weigh(v.Get(it.Next()), left-1)
		}
	case traits.Lister:
		for it := v.Iterator(); left > 0 && it.HasNext() == types.True; {
			left = weigh(it.Next(), left)
		}
	}
	return max(left, 0)
}
