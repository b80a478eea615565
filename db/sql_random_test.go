package db_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/minoots/minoots"
)

// Random changes of a good spec: what one side takes, the other takes, and reads
// it alike.
func TestScheduleValidatesAlikeAtRandom(t *testing.T) {
	t.Parallel()
	_, _, conn := setupSQL(t)
	j := newJudge(t, conn)
	all := samples(t)
	base := all[slices.IndexFunc(all, func(s sample) bool { return s.Name == "everything" })].Spec
	rapid.Check(t, func(r *rapid.T) {
		for range 3 {
			tree := decodeTree(r, base)
			changes := rapid.IntRange(1, 3).Draw(r, "changes")
			for range changes {
				changes += changeSpec(r, tree)
			}
			raw, err := json.Marshal(tree)
			if err != nil {
				r.Fatal(err)
			}
			spec, inGo, early := j.asGo(raw)
			inSQL, same := j.check(r, raw, spec)
			if found := differ(withoutURLs(inGo), withoutURLs(inSQL), early && changes > 1); found != "" {
				r.Fatalf("%s\n%s", raw, found)
			}
			if len(inGo) == 0 && !same {
				r.Fatalf("read differently: %s", raw)
			}
		}
	})
}

// check asks check_timer, which is what schedule asks, and whether SQL reads the
// spec as Go did.
func (j *judge) check(r *rapid.T, raw []byte, spec minoots.TimerSpec) (bad []minoots.FieldError, same bool) {
	var duration *int64
	var bundle []byte
	if spec.Duration != nil {
		duration = (*int64)(spec.Duration)
	}
	if spec.ActionBundle != nil {
		bundle, _ = json.Marshal(spec.WithDefaults().ActionBundle)
	}
	var at *time.Time
	if spec.FireAt != nil {
		at = &spec.FireAt.Time
	}
	ctx := context.Background()
	var told []byte
	err := j.conn.QueryRow(ctx, "SELECT minoots.check_timer($1, $2)", tenant, string(raw)).Scan(&told)
	if err == nil {
		err = json.Unmarshal(told, &bad)
	}
	if err == nil && len(bad) == 0 {
		err = j.conn.QueryRow(ctx, `
			SELECT (minoots.parse_duration(spec -> 'duration')).nanos IS NOT DISTINCT FROM $2
				AND (minoots.parse_instant(spec -> 'fireAt')).instant IS NOT DISTINCT FROM $3
				AND CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle') END
					IS NOT DISTINCT FROM $4::jsonb
			FROM (SELECT $1::jsonb AS spec) s`, string(raw), duration, at, bundle).Scan(&same)
	}
	if err != nil {
		r.Fatalf("%s: %v", raw, err)
	}
	return bad, same
}

func decodeTree(r *rapid.T, raw []byte) (tree any) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		r.Fatal(err)
	}
	return tree
}

// spot is a place in a tree where a value can be set or removed.
type spot struct {
	key    string
	set    func(any)
	remove func()
}

// spots lists the fields and items of a tree, in an order that does not change.
func spots(tree any) (all []spot) {
	switch v := tree.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			all = append(all, spot{key, func(x any) { v[key] = x }, func() { delete(v, key) }})
			all = append(all, spots(v[key])...)
		}
	case []any:
		for i := range v {
			all = append(all, spot{"", func(x any) { v[i] = x }, func() { v[i] = map[string]any{} }})
			all = append(all, spots(v[i])...)
		}
	}
	return all
}

// changeSpec sets or removes one thing, or adds one, which may be one too many: it
// gives how many mistakes more than one it may make.
func changeSpec(r *rapid.T, tree any) (more int) {
	all := spots(tree)
	if len(all) == 0 {
		return 0
	}
	at := all[rapid.IntRange(0, len(all)-1).Draw(r, "spot")]
	switch rapid.IntRange(0, 9).Draw(r, "how") {
	case 0:
		at.remove()
	case 1:
		name := rapid.SampledFrom([]string{"x", "fireAt", "recurrence"}).Draw(r, "added")
		tree.(map[string]any)[name] = someValue(r, name)
		return 1
	default:
		at.set(someValue(r, at.key))
	}
	return 0
}

// withoutURLs drops what is said of URLs: which of two mistakes in one is told is
// left to each side. The corpus has a sentence for each.
func withoutURLs(bad []minoots.FieldError) []minoots.FieldError {
	bad = slices.Clone(bad)
	for i := range bad {
		if strings.HasSuffix(bad[i].Path, ".url") || bad[i].Path == "agentBinding.target" {
			bad[i].Message = ""
		}
	}
	return bad
}

// someValue is mostly of the sort that stands at the key.
func someValue(r *rapid.T, key string) any {
	if kind, ok := someOf[key]; ok && rapid.IntRange(0, 4).Draw(r, "sort") > 0 {
		return kind.Draw(r, key)
	}
	return someJSON.Draw(r, "value")
}

func joined(most int, pieces ...string) *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, most), func(s []string) string { return strings.Join(s, "") })
}

// inTurn takes one piece of each list.
func inTurn(lists ...[]string) *rapid.Generator[any] {
	return rapid.Custom(func(r *rapid.T) any {
		var b strings.Builder
		for _, list := range lists {
			b.WriteString(rapid.SampledFrom(list).Draw(r, "piece"))
		}
		return b.String()
	})
}

var (
	someNumber = rapid.Map(rapid.SampledFrom([]string{
		"0", "-0", "1", "-1", "2", "50", "99", "100", "101", "1.5", "0.5", "1.0", "100.5", "1000", "300000", "300001", "86400000", "86400001",
		"604800000", "604800001", "31536000000", "31536000001", "3155760000000", "3155760000001", "9223372036854775807", "9223372036854775808",
	}), func(s string) any { return json.Number(s) })
	someText = rapid.Map(joined(3, "a", "é", "😀", " ", "", "skip", "fire_once", "GET", "webhook", "https://example.com/", strings.Repeat("x", 250)), toAny)
	someJSON = rapid.OneOf(someNumber, someText, rapid.Custom(func(r *rapid.T) any {
		return rapid.SampledFrom([]func() any{
			func() any { return nil }, func() any { return true }, func() any { return map[string]any{} }, func() any { return []any{} },
			func() any { return map[string]any{"x": "y"} }, func() any { return []any{"x", nil} },
		}).Draw(r, "odd")()
	}))
	someDuration = rapid.OneOf(
		rapid.Map(joined(4, "1", "0", "05", "1.5", ".5", "7.", "h", "m", "s", "ms", "us", "µs", "ns", "d", "w", "-", " "), toAny),
		rapid.Map(joined(3, "1h", "2.5m", "0.001s", "3ms", "7us", "36500d", "25d", "1ns", "999999ns"), toAny),
		rapid.Map(rapid.Map(joined(6, "1", "2", "0,5", "1.5", "T", "T", "W", "D", "H", "M", "S", "Y"), func(s string) string { return "P" + s }), toAny),
		someNumber)
	someInstant = inTurn([]string{"2090", "2088", "2000", "2100", "0000", "1920", "9999"}, []string{"-"}, []string{"01", "02", "04", "12", "13", "00", "1"},
		[]string{"-"}, []string{"01", "28", "29", "30", "31", "32", "00"}, []string{"T", "T", "T", "t", " "}, []string{"00", "7", "23", "24"}, []string{":59:", ":00:", ":60:"},
		[]string{"00", "59", "60"}, []string{"", "", ".1", ".999999999", ".0000001", ",5", ".", ".1234567891"}, []string{"Z", "Z", "+01:00", "-23:59", "+24:60", "+25:00", "", "z", "+0100"})
	someURL = inTurn([]string{"https://", "https://", "http://", "HTTPS://", "https:/", "https:", "ftp://", "//", ""}, []string{"", "", "", "u@", "u:p@", "@"},
		[]string{"example.com", "ex%C3%A4.de", "é", "192.0.2.1", "127.1", "0x7f.1", "a_b", "1_0", "[::1]", "[1:2::3]", "[::1", "[1.2.3.4]", "a b", "a\\b", "a^b", "a:b", "%41", "", "..", "a.", "1."},
		[]string{"", "", ":8080", ":0", ":65536", ":", ":x", ":080"}, []string{"", "/", "/a b/c;d", "/%zz", "/%20", "/:@", "/[]{}"}, []string{"", "", "?a=%zz&b", "?", "#", "\n"})
	someHeaders = rapid.Custom(func(r *rapid.T) any {
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(r, "headers") {
			name := joined(2, "X", "-", "a", "host", "webhook-", " ", ":", "é").Draw(r, "name")
			m[name] = rapid.OneOf(rapid.Map(joined(2, "v", "\t", "\n", "\x7f", "é"), toAny), rapid.Just[any](nil)).Draw(r, "value")
		}
		return m
	})
	someLabels = rapid.Custom(func(r *rapid.T) any {
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(r, "labels") {
			m[joined(2, "k", ":", "é", strings.Repeat("y", 35)).Draw(r, "key")] = someText.Draw(r, "value")
		}
		return m
	})
	someID = rapid.Map(joined(3, "a", "Z", "0", "_", "-", ".", ":", " ", "é", strings.Repeat("i", 40)), toAny)
	someOf = map[string]*rapid.Generator[any]{
		"duration": someDuration, "fireAt": someInstant, "url": someURL, "target": someURL, "headers": someHeaders, "labels": someLabels, "id": someID,
		"concurrency": someNumber, "maxAttempts": someNumber, "backoffInitialMs": someNumber, "backoffMultiplier": someNumber, "backoffMaxMs": someNumber,
		"graceMs": someNumber, "maxLatenessMs": someNumber, "afterAttempts": someNumber, "jitterMs": someNumber, "timeoutMs": someNumber, "acknowledgementTimeoutMs": someNumber, "policy": someText, "kind": someText, "method": someText, "retryOn": rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"404", "redirect", "500", "dns", "", "299", "4044"}), 0, 3), func(s []string) any {
			list := []any{}
			for _, on := range s {
				list = append(list, on)
			}
			return list
		}), "onFailure": rapid.Map(rapid.SampledFrom([]string{"", "stop", "continue", "Stop"}), toAny),
	}
)

func toAny(s string) any { return s }
