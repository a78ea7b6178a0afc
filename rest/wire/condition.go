package wire

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// NoVersion is a version that no record ever has. It stands for an If-Match whose tags name other resources or other
// representations, so that the rules report it as stale at the proper place in their order of checks.
const NoVersion = -1

// ETag returns the strong tag of a version of a record.
func ETag(id string, version int) string { return `"` + id + ":" + strconv.Itoa(version) + `"` }

// ParseIfMatch reads the header If-Match of a request for the record. Version is the version that the request expects,
// and NoVersion if no tag belongs to this record; anything is set for the tag *. Both are unset if the header is
// absent. A header that is not a list of tags is refused with InvalidParameter.
func ParseIfMatch(r *http.Request, id string) (version *int, anything bool, err error) {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return nil, false, nil
	}
	tags, star, ok := parseTags(strings.Join(values, ","))
	switch {
	case !ok:
		return nil, false, problem.New(problem.InvalidParameter).
			Because("The header If-Match must be a list of entity tags.").With("name", "If-Match")
	case star:
		return nil, true, nil
	}
	// Only the newest of several versions can be the current one.
	newest := NoVersion
	for _, t := range tags {
		digits, found := strings.CutPrefix(t.opaque, id+":")
		if n, err := strconv.Atoi(digits); found && !t.weak && err == nil && strconv.Itoa(n) == digits {
			newest = max(newest, n)
		}
	}
	return &newest, false, nil
}

// NotModified reports whether the header If-None-Match names the tag, by the weak comparison.
func NotModified(r *http.Request, etag string) bool {
	tags, star, ok := parseTags(strings.Join(r.Header.Values("If-None-Match"), ","))
	if !ok {
		return false
	}
	current := strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	for _, t := range tags {
		if t.opaque == current {
			return true
		}
	}
	return star
}

type entityTag struct {
	opaque string
	weak   bool
}

// parseTags reads * or a list of entity tags. An opaque tag may contain a comma.
func parseTags(text string) (tags []entityTag, star, ok bool) {
	if strings.Trim(text, " \t") == "*" {
		return nil, true, true
	}
	for {
		text = strings.TrimLeft(text, " \t,")
		if text == "" {
			return tags, false, len(tags) > 0
		}
		rest, weak := strings.CutPrefix(text, "W/")
		rest, open := strings.CutPrefix(rest, `"`)
		opaque, rest, closed := strings.Cut(rest, `"`)
		rest = strings.TrimLeft(rest, " \t")
		if !open || !closed || rest != "" && rest[0] != ',' {
			return nil, false, false
		}
		tags = append(tags, entityTag{opaque: opaque, weak: weak})
		text = rest
	}
}
