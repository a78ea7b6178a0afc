package provider_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/provider"
	"github.com/gatehouse/gatehouse/testkit"
)

// TestTheRecordsAreCounted: choices are those of the stored records; an import takes effect when the population is
// refreshed; and the choices are stored, so that another instance shows the same.
func TestTheRecordsAreCounted(t *testing.T) {
	t.Parallel()
	for _, db := range testkit.Databases {
		t.Run(db.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, db.URL(t))
			instance := func() *provider.Local {
				return &provider.Local{
					Records: k.DB, Rules: provider.DefaultQuizRules(), Population: provider.NewPopulation(k.DB), Choices: k.DB, KeyedHash: k.DB.KeyedHash, Now: k.Clock.Now,
				}
			}
			store := func(records []*domain.IdentityRecord) {
				var all []any
				for _, r := range records {
					all = append(all, r)
				}
				for batch := range slices.Chunk(all, 500) {
					if err := k.DB.ImportBatch(t.Context(), batch); err != nil {
						t.Fatal(err)
					}
				}
			}
			records := people(1500, 21)
			store(records[:3])
			first := instance()
			if err := first.Population.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			store(records)
			asked := func(l *provider.Local) map[string][]domain.QuizQuestion {
				out := map[string][]domain.QuizQuestion{}
				for i, r := range records[:200] {
					if questions, err := ask(l, fmt.Sprint("quiz", i), r.Identity); err == nil {
						out[r.ID] = questions
					}
				}
				return out
			}
			before := asked(first)
			if err := first.Population.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			after := asked(first)
			if len(after) < 20 || len(before) >= len(after) {
				t.Errorf("%d people are asked before the records are counted, and %d after", len(before), len(after))
			}
			listed, invented := published(), 0
			for _, questions := range after {
				for _, q := range questions {
					for _, c := range q.Choices {
						if !listed[c] {
							invented++
						}
					}
				}
			}
			if invented == 0 {
				t.Error("no choice is from the records")
			}
			for id, questions := range asked(instance()) {
				if !slices.EqualFunc(questions, after[id], func(a, b domain.QuizQuestion) bool { return a.Right == b.Right && slices.Equal(a.Choices, b.Choices) }) {
					t.Errorf("another instance asks %v, not %v", questions, after[id])
				}
			}
		})
	}
}

// BenchmarkCounting counts the records of a bank of 200,000, the most that are counted of any number.
func BenchmarkCounting(b *testing.B) {
	k := testkit.New(b, testkit.SQLite(b))
	for batch := range slices.Chunk(people(200_000, 1), 1000) {
		var all []any
		for _, r := range batch {
			all = append(all, r)
		}
		if err := k.DB.ImportBatch(context.Background(), all); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		p := provider.NewPopulation(k.DB)
		if err := p.Refresh(context.Background()); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "B-kept")
		runtime.KeepAlive(p)
	}
}
