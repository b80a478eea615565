package api

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// checkQuery refuses query parameters that the operation does not know, since a
// filter with a mistake in its name would else be no filter; those that stand
// twice where one is expected; and text that Postgres cannot hold.
func checkQuery(ctx huma.Context) []error {
	u := ctx.URL()
	if u.RawQuery == "" {
		return nil
	}
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return []error{badParam("query", "", "is not a query string: a percent sign must stand before two hexadecimal digits, and no semicolon between parameters")}
	}
	var bad []error
	for name, values := range given {
		p := queryParam(ctx.Operation(), name)
		switch {
		case p == nil:
			bad = append(bad, badParam("query", printable(name), "is not a parameter here: want one of %s", queryParams(ctx.Operation())))
		case len(values) > 1 && (p.Explode == nil || !*p.Explode):
			bad = append(bad, badParam("query", name, "stands twice"))
		case !mayBeEmpty[name] && slices.Contains(values, ""):
			bad = append(bad, badParam("query", name, "is empty: give it a value, or leave it out"))
		case slices.ContainsFunc(values, func(v string) bool { return !storable(v) }):
			bad = append(bad, badParam("query", name, "must be valid UTF-8 without NUL"))
		}
	}
	slices.SortFunc(bad, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return bad
}

// mayBeEmpty are the parameters of which nothing means the beginning. Of others it
// is a mistake in what made the request, such as a variable without a value: as no
// filter at all, it would find everything.
var mayBeEmpty = map[string]bool{"cursor": true, "after": true}

func queryParam(op *huma.Operation, name string) *huma.Param {
	for _, p := range op.Parameters {
		if p.In == "query" && p.Name == name {
			return p
		}
	}
	return nil
}

func queryParams(op *huma.Operation) string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// printable cuts a name that a caller made up.
func printable(name string) string {
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	return strings.ToValidUTF8(name, "?")
}
