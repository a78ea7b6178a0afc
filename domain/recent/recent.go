// Package recent remembers what was found lately, and never more than it has room for.
package recent

import "sync"

// Generation is half of how many entries a memory holds.
const Generation = 5000

// Cache keeps two generations: when the young one is full, the old one is forgotten and the young one is the old one.
// Its zero value is empty and ready.
type Cache[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]V
}

// Get finds an entry, and keeps it young.
func (m *Cache[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.young[key]; ok {
		return v, true
	}
	v, ok := m.old[key]
	if ok {
		delete(m.old, key)
		m.put(key, v)
	}
	return v, ok
}

// Add remembers an entry.
func (m *Cache[K, V]) Add(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, v)
}

func (m *Cache[K, V]) put(key K, v V) {
	if m.young == nil || len(m.young) >= Generation {
		m.young, m.old = map[K]V{}, m.young
	}
	m.young[key] = v
}

// Forget takes an entry out.
func (m *Cache[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, key)
	delete(m.old, key)
}
