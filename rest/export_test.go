package rest

// Prefixes returns the path prefixes of the dialects.
func Prefixes() []string {
	out := make([]string, 0, len(dialects))
	for _, d := range dialects {
		out = append(out, d.prefix)
	}
	return out
}
