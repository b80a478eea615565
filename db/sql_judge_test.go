package db_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/minoots/minoots"
	"github.com/minoots/minoots/internal/cron"
	"github.com/minoots/minoots/internal/jsonguard"
	"github.com/minoots/minoots/workers/action"
)

// minoots.schedule and the API must refuse the same. Three tests hold them
// together: the corpus, with a spec or more for every rule; the fields, which the
// SQL lists and the Go types are; and random changes of a good spec.

// judge says what Go and what SQL find wrong with a spec.
type judge struct {
	decoder  *jsonguard.Decoder[minoots.TimerSpec]
	registry *action.Registry
	conn     *pgx.Conn
	now      time.Time
}

// newJudge makes one that allows all private ranges, since SQL knows none to deny.
func newJudge(t testing.TB, conn *pgx.Conn) *judge {
	t.Helper()
	registry := action.NewRegistry(action.Config{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}})
	t.Cleanup(registry.Close)
	j := &judge{decoder: jsonguard.New[minoots.TimerSpec](minoots.MaxJSONDepth), registry: registry, conn: conn}
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT now()").Scan(&j.now))
	return j
}

// asGo reads and validates as the API does. early says that it did not come to
// its end: it decodes first, and judges values only of what decoded.
func (j *judge) asGo(raw []byte) (spec minoots.TimerSpec, bad []minoots.FieldError, early bool) {
	if len(raw) > minoots.MaxTimerBytes {
		return spec, []minoots.FieldError{{Message: fmt.Sprintf("must be at most %d bytes", minoots.MaxTimerBytes)}}, false
	}
	var refused *jsonguard.Error
	if errors.As(j.decoder.Decode(raw, &spec), &refused) {
		for _, f := range refused.Fields {
			bad = append(bad, minoots.FieldError(f))
		}
		return spec, bad, true
	}
	var invalid *minoots.Error
	if errors.As(spec.Validate(j.now, minoots.Checks{Parameters: j.registry.Check, Agent: j.binding, Recurrence: cron.CheckTimer}), &invalid) {
		bad = invalid.Fields
	}
	if spec.TenantID != "" && spec.TenantID != tenant {
		bad = append(bad, minoots.FieldError{Path: "tenantId", Message: "must be the tenant that the timer is scheduled for, or be left out"})
	}
	return spec, bad, slices.ContainsFunc(bad, func(f minoots.FieldError) bool {
		return slices.Contains(mistyped, f.Message) // then encoding/json has told the first of them
	})
}

// binding tells what is wrong with an agent's binding, but not with its template,
// which SQL cannot compile.
func (j *judge) binding(agent *minoots.AgentBinding) []minoots.FieldError {
	return slices.DeleteFunc(j.registry.CheckAgent(agent), func(f minoots.FieldError) bool {
		return strings.HasPrefix(f.Path, "payloadTemplate")
	})
}

var mistyped = []string{
	"must be a JSON object", "must be a string", "must be an object whose values are strings", "must be a whole number of milliseconds",
}

// asSQL schedules, as a statement of its own, and gives the mistakes that the
// error lists.
func (j *judge) asSQL(ctx context.Context, raw []byte) (id minoots.ID, bad []minoots.FieldError, err error) {
	err = j.conn.QueryRow(ctx, "SELECT minoots.schedule($1, $2)", tenant, string(raw)).Scan(&id)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "22023" {
		return id, nil, err
	}
	if err := json.Unmarshal([]byte(refused.Detail), &bad); err != nil {
		return id, nil, err
	}
	told := make([]string, len(bad))
	for i, f := range bad {
		told[i] = strings.TrimSpace(f.Path + " " + f.Message)
	}
	if want := "timer does not validate: " + strings.Join(told, "; "); refused.Message != want {
		return id, nil, fmt.Errorf("the message is %q, want %q", refused.Message, want)
	}
	return id, bad, nil
}

// differ says how the verdicts differ, "" if they do not. Where Go did not come
// to its end, SQL may tell more.
func differ(inGo, inSQL []minoots.FieldError, early bool) string {
	g, s := levelled(inGo), levelled(inSQL)
	same := slices.Equal(g, s)
	if early {
		same = len(g) > 0 && !slices.ContainsFunc(g, func(f minoots.FieldError) bool { return !slices.Contains(s, f) })
	}
	if same {
		return ""
	}
	return fmt.Sprintf("Go tells %q\nSQL tells %q", g, s)
}

// nowIs is the time, which the two take at different moments, and the version of
// the zones, which Go alone knows.
var nowIs = regexp.MustCompile(`\(now is [^)]*\)|at or after [-0-9T:.]+Z|occurrences? \([^)]*\)| \(20\d\d[a-z]\)`)

// cronFault is what both say of a field of a cron, before the sentence that each
// has of its own, and of one that never comes.
var cronFault = regexp.MustCompile(`^(?s:(second|minute|hour|day of month|month|day of week|never comes): .*|".*" is not known: .*)`)

// levelled sorts mistakes and levels what is different by nature: the time, what
// refuses the zone of an address, which of two headers that differ in case is the
// second, how %q and JSON write what is not ASCII, and the sentences on crons.
func levelled(bad []minoots.FieldError) []minoots.FieldError {
	out := slices.Clone(bad)
	for i := range out {
		f := &out[i]
		f.Message = nowIs.ReplaceAllString(f.Message, "")
		if strings.Contains(f.Message, "webhooks reach only public ones") { // with all ranges allowed, this is a zone
			f.Message = `is not a URL; want one such as "https://example.com/hook"`
		}
		if strings.HasSuffix(f.Message, "are the same here") {
			f.Path = strings.ToLower(f.Path)
		}
		if f.Path == "recurrence.cron" {
			f.Message = cronFault.ReplaceAllString(f.Message, "$1")
		}
		if strings.Contains(f.Message, `\`) {
			f.Message = f.Message[:strings.IndexByte(f.Message, '"')]
		}
	}
	slices.SortFunc(out, func(a, b minoots.FieldError) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return out
}

// pathsOf is the paths of mistakes, sorted, one a line.
func pathsOf(bad []minoots.FieldError) string {
	all := make([]string, len(bad))
	for i, f := range bad {
		all[i] = f.Path
	}
	return sortedLines(all)
}

func sortedLines(all []string) string { return strings.Join(slices.Sorted(slices.Values(all)), "\n") }
