package domain_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/testkit"
)

// TestTimelinesArePagedAsListsAre: each page of the timelines of several records equals the page computed in memory for
// each record.
func TestTimelinesArePagedAsListsAre(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			ctx := testkit.Admin()
			var records []domain.Record
			for n := range 3 { // with 1, 3 and 5 events
				i := k.Invite(t)
				records = append(records, i)
				for v := range 2 * n {
					at := k.Clock.Now()
					err := testkit.Commit(ctx, k.DB, &domain.Unit{Events: []*domain.LifecycleEvent{{
						ID: domain.NewID("evt", at), Name: "more", From: "a", To: "b", OccurredAt: at, SubjectKind: domain.KindInvitation, SubjectID: i.ID, Version: v + 2,
					}}})
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			all := map[string][]*domain.LifecycleEvent{}
			cursors := []string{""}
			everything, err := k.Timelines(ctx, records, domain.Paging{First: new(100)})
			if err != nil {
				t.Fatal(err)
			}
			for n, page := range everything {
				if len(page.Items) != 1+2*n || page.HasNext || page.HasPrevious {
					t.Fatalf("record %d: %+v", n, page)
				}
				all[records[n].Head().ID] = page.Items
				cursors = append(cursors, page.Cursors...)
			}
			sizes := []*int{new(0), new(1), new(2), new(4), new(9)}
			for _, after := range cursors {
				for _, before := range cursors {
					for _, size := range sizes {
						for _, paging := range []domain.Paging{
							{First: size, After: after, Before: before, WithCount: true}, {Last: size, After: after, Before: before},
						} {
							pages, err := k.Timelines(ctx, records, paging)
							if err != nil {
								t.Fatal(err)
							}
							for n, got := range pages {
								q, _ := paging.Query()
								q.Order = []listing.Order{{Field: "seq"}}
								want, err := listing.Paginate(domain.EventSchema, domain.EventValue, all[records[n].Head().ID], q)
								if err != nil {
									t.Fatal(err)
								}
								if shown(got) != shown(want) {
									t.Fatalf("record %d, %+v, size %d:\ngot  %s\nwant %s", n, paging, *size, shown(got), shown(want))
								}
							}
						}
					}
				}
			}
		})
	}
}

func shown(p listing.Page[domain.LifecycleEvent]) string {
	ids := []string{}
	for _, e := range p.Items {
		ids = append(ids, e.ID)
	}
	return fmt.Sprint(ids, slices.Clone(p.Cursors), p.HasPrevious, p.HasNext, p.Count)
}
