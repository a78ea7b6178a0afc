package hal

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/rest/wire"
)

// Collection is one page of a list.
type Collection struct {
	Resource
	Name  string `json:"name"`
	Count int    `json:"count"`
	Start int    `json:"start"`
	Limit int    `json:"limit"`
}

// Items are the embedded items of a collection.
type Items[T any] struct {
	Items []T `json:"items"`
}

// Slice is the position of a page in its list. Count is the number of all items that satisfy the filters.
type Slice struct {
	Start, Limit, Count int
}

// NewCollection returns a page with its paging links. Named are the list's own query parameters in the order of the
// document. The links keep these parameters of the request, sortBy, filter and q, and no others.
func NewCollection[T any](r *http.Request, profile, name string, items []T, page Slice, named ...string) Collection {
	if items == nil {
		items = []T{}
	}
	return Collection{
		Resource: Resource{Profile: profile, Links: PagingLinks(r, page, named...), Embedded: Items[T]{Items: items}},
		Name:     name, Count: page.Count, Start: page.Start, Limit: page.Limit,
	}
}

// PagingLinks returns the links of a page by the table of conventions §4.
func PagingLinks(r *http.Request, page Slice, named ...string) Links {
	path := r.URL.EscapedPath()
	values, _ := wire.Parameters(r) // a malformed query was refused before
	rest := kept(values, named)
	to := func(start int) string {
		return path + "?start=" + strconv.Itoa(start) + "&limit=" + strconv.Itoa(page.Limit) + rest
	}
	var links Links
	links.Add("self", to(page.Start))
	links.Add("first", to(0))
	if page.Start > 0 {
		links.Add("prev", to(max(0, page.Start-page.Limit)))
	}
	if page.Start < page.Count-page.Limit { // not a sum, because start may be the largest int
		links.Add("next", to(page.Start+page.Limit))
	}
	if page.Limit > 0 {
		links.Add("last", to(max(0, page.Count-1)/page.Limit*page.Limit))
	}
	links.Add("collection", path)
	return links
}

// kept returns the parameters that all pages of the list share, encoded.
func kept(values url.Values, named []string) string {
	var b strings.Builder
	for _, name := range append([]string{"sortBy", "filter", "q"}, named...) {
		for _, v := range values[name] {
			b.WriteString("&" + Escape(name) + "=" + Escape(v))
		}
	}
	return b.String()
}

// Escape percent-encodes a query value; a space becomes %20, which every parser decodes.
func Escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }
