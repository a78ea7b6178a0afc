package recent

import "testing"

// The number of entries is bounded, and entries that are used again stay in the cache.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m Cache[int, string]
	m.Add(0, "often")
	for n := 1; n <= 4*Generation; n++ {
		m.Add(n, "once")
		if len(m.young)+len(m.old) > 2*Generation {
			t.Fatalf("%d entries remembered", len(m.young)+len(m.old))
		}
		if v, ok := m.Get(0); !ok || v != "often" {
			t.Fatalf("forgotten after %d others", n)
		}
	}
	if _, ok := m.Get(1); ok {
		t.Error("an entry that came once is remembered forever")
	}
	m.Forget(0)
	if _, ok := m.Get(0); ok {
		t.Error("not forgotten")
	}
}
