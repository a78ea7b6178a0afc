// Package recent implements a bounded cache of recently used entries. It has no knowledge of the stored values.
package recent

import (
	"cmp"
	"sync"
)

// Generation is the default maximum number of entries of one generation. A cache holds at most twice as many.
const Generation = 5000

// Cache is a two-generation cache that is safe for concurrent use. When the young generation is full, the old one is
// dropped and the young one becomes the old one. The zero value is an empty cache ready to use.
type Cache[K comparable, V any] struct {
	// Size is the maximum number of entries of one generation; 0 means Generation.
	Size int

	mu         sync.Mutex
	young, old map[K]V
}

// Get returns the entry for key and moves it to the young generation.
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

// Add stores an entry.
func (m *Cache[K, V]) Add(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, v)
}

func (m *Cache[K, V]) put(key K, v V) {
	if m.young == nil || len(m.young) >= cmp.Or(m.Size, Generation) {
		m.young, m.old = map[K]V{}, m.young
	}
	m.young[key] = v
}

// Forget removes an entry.
func (m *Cache[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, key)
	delete(m.old, key)
}
