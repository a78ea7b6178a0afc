package db_test

import (
	"testing"
	"context"

	"github.com/gatehouse/gatehouse/testkit"
)

func BenchmarkX(b *testing.B) {
	for _, x := range testkit.Databases {
		k := testkit.New(b, x.URL(b))
		i := k.Invite(b)
		b.Run(x.Name+"/get", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() { if _, err := k.DB.Invitations().Get(context.Background(), i.ID); err != nil { b.Error(err) } }
		})
	}
}
