package wire

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The limits of a page, from conventions §4.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// indexed is the name of a parameter that a client wrote as an element of a list: state[] or state[0].
var indexed = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.]*)\[\d{0,4}\]$`)

// Parameters returns the query parameters of a request. The bracketed forms that some clients send for a repeated
// parameter are the same parameter. It refuses a malformed query with InvalidParameter.
func Parameters(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.New(problem.InvalidParameter).Because("The query string is malformed.").From(err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if m := indexed.FindStringSubmatch(name); m != nil {
			values[m[1]] = append(values[m[1]], values[name]...)
			delete(values, name)
		}
	}
	return values, nil
}

// Parameter returns a required query parameter. It refuses an absent or empty one with MissingParameter, and a repeated
// one with InvalidParameter.
func Parameter(r *http.Request, name string) (string, error) {
	values, err := Parameters(r)
	if err != nil {
		return "", err
	}
	if values.Get(name) == "" {
		return "", problem.New(problem.MissingParameter).Because("The parameter %s is required.", name).With("name", name)
	}
	return values.Get(name), once(values, name)
}

// once refuses a repeated parameter.
func once(values url.Values, name string) error {
	if len(values[name]) < 2 {
		return nil
	}
	return problem.New(problem.InvalidParameter).Because("The parameter %s must not occur more than once.", name).With("name", name)
}

// Flag reads a query parameter that is true or false; absent is false. It refuses a repeated one.
func Flag(r *http.Request, name string) (bool, error) {
	values, err := Parameters(r)
	if err != nil || !values.Has(name) {
		return false, err
	}
	if err := once(values, name); err != nil {
		return false, err
	}
	switch text := values.Get(name); text {
	case "true", "false":
		return text == "true", nil
	}
	return false, problem.New(problem.InvalidParameter).Because("The parameter %s must be true or false.", name).With("name", name)
}

// Paging reads start and limit. Limit 0 requests the count only; a limit above MaxLimit becomes MaxLimit.
func Paging(r *http.Request) (start, limit int, err error) {
	values, err := Parameters(r)
	if err != nil {
		return 0, 0, err
	}
	if start, err = natural(values, "start", 0); err != nil {
		return 0, 0, err
	}
	limit, err = natural(values, "limit", DefaultLimit)
	return start, min(limit, MaxLimit), err
}

// natural reads a parameter of digits only.
func natural(values url.Values, name string, absent int) (int, error) {
	texts := values[name]
	if len(texts) == 0 {
		return absent, nil
	}
	n, err := strconv.Atoi(texts[0])
	if len(texts) > 1 || err != nil || strings.Trim(texts[0], "0123456789") != "" {
		return 0, problem.New(problem.InvalidParameter).
			Because("The parameter %s must be a non-negative integer.", name).With("name", name)
	}
	return n, nil
}

// Named is a query parameter of one list that is compared with a field, with | between alternatives.
type Named struct {
	// Name is the parameter.
	Name string
	// Field is the field of the schema; empty means Name.
	Field string
}

// List reads all parameters of a list: start, limit, sortBy, filter, q and the named ones. All conditions, including
// those of repeated parameters, are combined by and. Other parameters are ignored.
func List(r *http.Request, s listing.Schema, named ...Named) (listing.Query, error) {
	none := listing.Query{}
	q := listing.Query{WithCount: true}
	var err error
	if q.Start, q.Limit, err = Paging(r); err != nil {
		return none, err
	}
	values, err := Parameters(r)
	if err != nil {
		return none, err
	}
	if values.Has("sortBy") {
		if q.Order, err = listing.ParseSort(s, strings.Join(values["sortBy"], ",")); err != nil {
			return none, err
		}
	}
	var all []listing.Predicate
	add := func(p listing.Predicate, err error) error {
		all = append(all, p)
		return err
	}
	for _, text := range values["filter"] {
		if err := add(listing.ParseFilter(s, text)); err != nil {
			return none, err
		}
	}
	for _, text := range values["q"] {
		if err := add(listing.ParseSearch(s, text)); err != nil {
			return none, err
		}
	}
	for _, n := range named {
		if n.Field == "" {
			n.Field = n.Name
		}
		var ways []listing.Predicate // a repeated parameter has alternatives, as generated clients send them
		for _, text := range values[n.Name] {
			way, err := listing.Alternatives(s, n.Field, text)
			if ways = append(ways, way); err != nil {
				if p := problem.Of(err); p.Definition != problem.InternalError {
					return none, problem.New(p.Definition).
						Because("The parameter %s has an empty alternative or a value that is not allowed.", n.Name).With("name", n.Name)
				}
				return none, err
			}
		}
		if len(ways) > 0 {
			all = append(all, listing.Any(ways...))
		}
	}
	q.Where = listing.All(all...)
	return q, nil
}
