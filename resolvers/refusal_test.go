package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// bomb is a small request with a large response.
type bomb struct {
	name      string
	document  string
	variables map[string]any
	code      string
}

func bombs() []bomb {
	repeat := strings.Repeat
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	doubling := "fragment f0 on Version { version commit } "
	for i := 1; i < 200; i++ {
		doubling += fmt.Sprintf("fragment f%d on Version { ...f%d ...f%d } ", i, i-1, i-1)
	}
	pairs := "fragment g0 on Query { version { version } } "
	for i := 1; i < 150; i++ {
		pairs += fmt.Sprintf("fragment g%d on Query { ...g%d ... on Query { ...g%d } } ", i, i-1, i-1)
	}
	deep := any("x")
	for range 5000 {
		deep = []any{deep}
	}
	allowed := any("x")
	for range 70 {
		allowed = []any{allowed}
	}
	where := map[string]any{}
	for range 5000 {
		where = map[string]any{"not": where}
	}
	return []bomb{
		{"42 KiB of one field", `{ version { ` + repeat("version ", 5376) + `} }`, nil, "TOO_COMPLEX"},
		{"40 deep", repeat("{ invitation ", 40) + repeat("}", 40), nil, "TOO_COMPLEX"},
		{"5000 unknown directives", `{ version ` + repeat("@a ", 5000) + `{ version } }`, nil, "TOO_COMPLEX"},
		{"900 unknown directives", `{ version ` + repeat("@a ", 900) + `{ version } }`, nil, "TOO_COMPLEX"},
		{"as many fields as tokens", `{ version { ` + repeat("version ", 1900) + `} }`, nil, "TOO_COMPLEX"},
		{"aliases", `{ version { ` + numbered(400, "a%d: version ") + `} }`, nil, "TOO_COMPLEX"},
		{"root fields", `{ ` + repeat("version { version } ", 150) + `}`, nil, "TOO_COMPLEX"},
		{"fragments that double", doubling + `{ version { ...f199 } }`, nil, "TOO_COMPLEX"},
		{"fragments in pairs", pairs + `{ ...g149 }`, nil, "TOO_COMPLEX"},
		{"fragments in a circle", `{ ...c0 } ` + numbered(90, "fragment c%[1]d on Query { ...d%[1]d } fragment d%[1]d on Query { ...c%[1]d } "), nil, "BAD_DOCUMENT"},
		{"one field to the limit", `{ version { ` + repeat("version ", 499) + `} }`, nil, "TOO_COMPLEX"},
		{"one field with many arguments", `{ invitation(id: "x") { ` + numbered(200, "timeline(first: %d) { totalCount } ") + `} }`, nil, "TOO_COMPLEX"},
		{"as many repeats as may be", `{ invitation(id: "x") { ` + numbered(100, "timeline(first: %d) { totalCount } ") + `} }`, nil, "TOO_COMPLEX"},
		{"nearly so many", `{ invitation(id: "x") { ` + numbered(70, "timeline(first: %d) { totalCount } ") + `} }`, nil, "BAD_DOCUMENT"},
		{"fields that overlap in fragments", `{ invitation(id: "x") { ` + numbered(40, "...f%d ") + `} } ` +
			numbered(40, "fragment f%[1]d on Invitation { timeline(first: %[1]d) { nodes { subject { id } } } }"), nil, "BAD_DOCUMENT"},
		{"fields that overlap in layers", `{ ` + repeat(`lifecycle(of: QUIZ) { `+repeat("states { name final } ", 2)+`} `, 20) + `}`, nil, ""},
		{"fields that are none", `{ version { ` + numbered(499, "x%d ") + `} }`, nil, "BAD_DOCUMENT"},
		{"one argument very often", `{ invitation(` + repeat(`id: "a" `, 480) + `) { id } }`, nil, "BAD_DOCUMENT"},
		{"variables", `query(` + numbered(480, "$v%d: ID ") + `) { version { version } }`, nil, "BAD_DOCUMENT"},
		{"variables that are not there", `{ ` + numbered(20, "v%[1]d: invitation(id: $v%[1]d) { id } ") + `}`, nil, "BAD_DOCUMENT"},
		{"one variable very often", `query(` + repeat("$v: ID ", 480) + `) { version { version } }`, nil, "BAD_DOCUMENT"},
		{"operations", numbered(200, "query q%d { version { version } } "), nil, "BAD_DOCUMENT"},
		{"operations of one name", repeat("query q { version { version } } ", 200), nil, "BAD_DOCUMENT"},
		{"fragments nobody spreads", numbered(60, "fragment f%[1]d on Version { version } ") + "{ version { version } }", nil, "BAD_DOCUMENT"},
		{"a very long field", `{ ` + repeat("x", 60<<10) + ` }`, nil, "BAD_DOCUMENT"},
		{"a very long type", `query($x: ` + repeat("x", 60<<10) + `) { version { version } }`, nil, "BAD_DOCUMENT"},
		{"a very long argument", `{ invitation(` + repeat("x", 60<<10) + `: 1) { id } }`, nil, "BAD_DOCUMENT"},
		{"a very long word of an enumeration", `{ lifecycle(of: ` + repeat("X", 60<<10) + `) { name } }`, nil, "BAD_DOCUMENT"},
		{"a very long member", `{ invitations(where: {` + repeat("x", 60<<10) + `: 1}) { nodes { id } } }`, nil, "BAD_DOCUMENT"},
		{"a very long variable", `query($` + repeat("x", 30<<10) + `: Int!) { invitations(first: $` + repeat("x", 30<<10) + `) { nodes { id } } }`, nil, "BAD_DOCUMENT"},
		{"a very long number", `{ invitations(first: ` + repeat("9", 60<<10) + `) { nodes { id } } }`, nil, "BAD_DOCUMENT"},
		{"a list in a list, in the document", `{ nodes(ids: ` + repeat("[", 900) + repeat("]", 900) + `) { id } }`, nil, "TOO_COMPLEX"},
		{"a list in a list, in a variable", `query($i: [ID!]!) { nodes(ids: $i) { id } }`, map[string]any{"i": deep}, "TOO_COMPLEX"},
		{"as deep a list as may be", `query($i: [ID!]!) { nodes(ids: $i) { id } }`, map[string]any{"i": allowed}, "BAD_DOCUMENT"},
		{"a where in a where", `query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }`, map[string]any{"w": where}, "TOO_COMPLEX"},
		{"a large number in a variable", `query($n: Int) { invitations(first: $n) { nodes { id } } }`, map[string]any{"n": json.Number("1" + repeat("0", 40000))}, "BAD_DOCUMENT"},
		{"an exponent in a variable", `query($n: Int) { invitations(first: $n) { nodes { id } } }`, map[string]any{"n": json.Number("1e999999999")}, "BAD_DOCUMENT"},
		{"a body that is too large", `{ version { version } } ` + repeat("#\n", 25000), nil, "TOO_COMPLEX"},
		{"many ids", `query($i: [ID!]!) { nodes(ids: $i) { id } }`, map[string]any{"i": strings.Split(repeat("inv_0 ", 6000)+"x", " ")}, "TOO_COMPLEX"},
		{"a wide where", `query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }`, map[string]any{"w": map[string]any{"or": make([]map[string]any, 10000)}}, "BAD_DOCUMENT"},
		{"types of types, for an administrator", `{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }`, nil, "BAD_DOCUMENT"},
	}
}

// sent returns the n-th request of its kind: all documents differ, so that caches have no effect.
func (b *bomb) sent(ctx context.Context, n int) *http.Request {
	body, err := json.Marshal(map[string]any{"query": b.document + " #" + strconv.Itoa(n), "variables": b.variables})
	if err != nil {
		panic(err)
	}
	actor := as("alice")
	if strings.HasSuffix(b.name, "administrator") {
		actor = administrator()
	}
	return post(string(body)).WithContext(domain.WithActor(ctx, actor))
}

// BenchmarkRefusal measures the cost of a refusal, including reading the request (docs/graphql.md has the figures). In
// addition to the mean it reports the shortest time, which other load on the machine does not affect.
func BenchmarkRefusal(b *testing.B) {
	d := open(b)
	n := 0
	for _, one := range bombs() {
		b.Run(one.name, func(b *testing.B) {
			b.ReportAllocs()
			shortest := time.Hour
			for b.Loop() {
				b.StopTimer()
				n++
				r, w := one.sent(b.Context(), n), httptest.NewRecorder()
				b.StartTimer()
				start := time.Now()
				d.handler.ServeHTTP(w, r)
				shortest = min(shortest, time.Since(start))
			}
			b.ReportMetric(float64(shortest.Nanoseconds()), "shortest-ns/op")
		})
	}
}

// TestRefusalsAreCheap: an excessive request is refused before it causes work. The test measures the allocations of the
// whole process, so it is not parallel.
func TestRefusalsAreCheap(t *testing.T) {
	const most = 4 << 20 // for a body of at most 64 KiB
	d := open(t)
	n := 0
	for _, one := range bombs() {
		t.Run(one.name, func(t *testing.T) {
			least := uint64(math.MaxUint64)
			for range 3 {
				n++
				r, w := one.sent(t.Context(), n), httptest.NewRecorder()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				d.handler.ServeHTTP(w, r)
				runtime.ReadMemStats(&after)
				least = min(least, after.TotalAlloc-before.TotalAlloc)
				answer := &reply{t: t, status: w.Code, header: w.Header(), text: w.Body.String()}
				if err := json.Unmarshal(w.Body.Bytes(), &answer.body); err != nil {
					t.Fatal(err)
				}
				if one.code == "" {
					answer.done()
					continue
				}
				answer.refused(one.code)
				if len(answer.body.Errors) > 5 || len(answer.text) > 3000 {
					t.Errorf("%d errors, %d bytes", len(answer.body.Errors), len(answer.text))
				}
			}
			if least > most {
				t.Errorf("%d bytes were allocated", least)
			}
		})
	}
}
