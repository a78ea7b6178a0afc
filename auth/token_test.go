package auth

import (
	"encoding/binary"
	"testing"
)

// However many tokens come, the memory of them is bounded, and those that come again stay in it.
func TestBelievedIsBounded(t *testing.T) {
	t.Parallel()
	b := newBelieved()
	mark := func(n uint64) (f fingerprint) {
		binary.BigEndian.PutUint64(f[:], n)
		return f
	}
	often := mark(0)
	b.add(often, Claims{Subject: "often"})
	for n := uint64(1); n <= 4*generation; n++ {
		b.add(mark(n), Claims{})
		if len(b.young)+len(b.old) > 2*generation {
			t.Fatalf("%d tokens remembered", len(b.young)+len(b.old))
		}
		if c, ok := b.get(often); !ok || c.Subject != "often" {
			t.Fatalf("forgotten after %d others", n)
		}
	}
	if _, ok := b.get(mark(1)); ok {
		t.Error("a token that came once is remembered forever")
	}
	b.forget(often)
	if _, ok := b.get(often); ok {
		t.Error("not forgotten")
	}
}
