// Package hal serves the dialects whose media type is application/hal+json: the API key, getApi and getApiDoc, links,
// resources, collections with their paging links, and errors with their log lines.
//
// It knows what the documents have in common and nothing of what is represented: a dialect embeds Resource in its own
// structs, adds its links and passes its operations to Server. It must not know the rules, so the dialect passes it the
// functions that ask them.
package hal

import (
	"bytes"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/rest/wire"
)

// MediaType is what the dialects produce, and one of those they consume.
const MediaType = "application/hal+json"

// MediaTypes are those that a request may have, and may accept: conventions §1.
var MediaTypes = []string{MediaType, "application/json"}

// Link is the target of a relation.
type Link struct {
	Href        string `json:"href"`
	Type        string `json:"type,omitempty"`
	Templated   bool   `json:"templated,omitempty"`
	Title       string `json:"title,omitempty"`
	Deprecation string `json:"deprecation,omitempty"`
	Profile     string `json:"profile,omitempty"`
}

// Relation is a link with the name it has among the links of a resource.
type Relation struct {
	Name string
	Link
}

// Links are the links of a resource in the order in which they were added, which is how they are written.
type Links []Relation

// Add adds a link that is only an address. A relation that is there already gets the new address.
func (l *Links) Add(name, href string) { l.AddLink(name, Link{Href: href}) }

// AddLink adds a link. A relation that is there already gets the new link.
func (l *Links) AddLink(name string, link Link) {
	for i := range *l {
		if (*l)[i].Name == name {
			(*l)[i].Link = link
			return
		}
	}
	*l = append(*l, Relation{Name: name, Link: link})
}

// Href is the address of a relation; empty where there is none.
func (l Links) Href(name string) string {
	for _, r := range l {
		if r.Name == name {
			return r.Href
		}
	}
	return ""
}

// MarshalJSON writes the links as an object.
func (l Links) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, r := range l {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := wire.Encode(r.Name)
		if err != nil {
			return nil, err
		}
		link, err := wire.Encode(r.Link)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(link)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Resource is what every representation begins with; dialects embed it. There is no _error, because only
// WriteError writes one.
type Resource struct {
	Profile  string `json:"_profile,omitempty"`
	Links    Links  `json:"_links,omitempty"`
	Embedded any    `json:"_embedded,omitempty"`
}

// Root is the answer of getApi. The schema calls the id _id and the examples id, so it has both.
type Root struct {
	Resource
	ID         string `json:"_id"`
	PlainID    string `json:"id"`
	Name       string `json:"name"`
	APIVersion string `json:"apiVersion"`
}

// NewRoot makes the root resource of an API.
func NewRoot(profile, id, name, version string, links Links) Root {
	return Root{Resource: Resource{Profile: profile, Links: links}, ID: id, PlainID: id, Name: name, APIVersion: version}
}

// Seconds is a time as resources show it: UTC, whole seconds. The zero time is empty, and so omitted.
func Seconds(t time.Time) string { return format(t, "2006-01-02T15:04:05Z") }

// Millis is a time as errors show it: UTC, milliseconds. The zero time is empty, and so omitted.
func Millis(t time.Time) string { return format(t, "2006-01-02T15:04:05.000Z") }

func format(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// Write writes a resource. If the resource cannot be encoded, it returns the error and has sent nothing.
func Write(w http.ResponseWriter, status int, resource any) error {
	body, err := wire.Encode(resource)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", MediaType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client has disconnected
	return nil
}
