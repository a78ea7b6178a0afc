package recent

import (
	"sync"
	"testing"
)

// The number of entries is bounded, and entries that are used again stay in the cache.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m Cache[int, string]
	m.Add(0, "often")
	for n := 1; n <= 4*Generation; n++ {
		m.Add(n, "once")
		if len(m.young)+len(m.old) > 2*Generation {
			t.Fatalf("the cache holds %d entries", len(m.young)+len(m.old))
		}
		if v, ok := m.Get(0); !ok || v != "often" {
			t.Fatalf("evicted after %d other entries", n)
		}
	}
	if _, ok := m.Get(1); ok {
		t.Error("an entry that was used once is never evicted")
	}
	m.Forget(0)
	if _, ok := m.Get(0); ok {
		t.Error("Forget does not remove the entry")
	}
}

// Several goroutines use more keys than the cache holds. Each entry that is found is the one that was stored.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	m := Cache[int, int]{Size: 8}
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for n := range 2000 {
				key := n % 40
				if v, ok := m.Get(key); ok && v != -key {
					t.Errorf("got %d for key %d", v, key)
				}
				m.Add(key, -key)
				if n%7 == 0 {
					m.Forget(key)
				}
			}
		})
	}
	users.Wait()
	if n := len(m.young) + len(m.old); n > 2*m.Size {
		t.Errorf("the cache holds %d entries", n)
	}
}
