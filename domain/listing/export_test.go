package listing

// The order of two records, and of a record and a position, for tests. Databases and Paginate compare positions.

// Rank compares two records in the order completed by Total. The result is negative if a comes first.
func Rank[R any](s Schema, orders []Order, read Reader[R], a, b *R) int {
	keys := s.keys(orders)
	return rank(keys, position(keys, read, a), position(keys, read, b))
}

// Less reports whether a comes before b.
func Less[R any](s Schema, orders []Order, read Reader[R], a, b *R) bool {
	return Rank(s, orders, read, a, b) < 0
}

// After reports whether the record comes after the position.
func After[R any](s Schema, orders []Order, read Reader[R], r *R, at Position) bool {
	keys := s.keys(orders)
	return rank(keys, position(keys, read, r), at) > 0
}

// Before reports whether the record comes before the position.
func Before[R any](s Schema, orders []Order, read Reader[R], r *R, at Position) bool {
	keys := s.keys(orders)
	return rank(keys, position(keys, read, r), at) < 0
}
