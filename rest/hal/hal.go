// Package hal serves the dialects whose media type is application/hal+json: the API key, getApi and getApiDoc, links,
// resources, collections with their paging links, and errors with their log lines.
//
// It knows the common parts of the documents, but no representation: a dialect embeds Resource in its own structs, adds
// its links and passes its operations to Server. It must not know the rules: the dialect passes it the functions that
// check the caller.
package hal

import (
	"bytes"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/rest/wire"
)

// MediaType is the media type that the dialects produce, and one of those that they consume.
const MediaType = "application/hal+json"

// MediaTypes are the media types that a request may have and may accept: conventions §1.
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

// Relation is a named link of a resource.
type Relation struct {
	Name string
	Link
}

// Links are the links of a resource. They are encoded in the order in which they were added.
type Links []Relation

// Add adds a link that has only an address. An existing relation gets the new address.
func (l *Links) Add(name, href string) { l.AddLink(name, Link{Href: href}) }

// AddLink adds a link. An existing relation gets the new link.
func (l *Links) AddLink(name string, link Link) {
	for i := range *l {
		if (*l)[i].Name == name {
			(*l)[i].Link = link
			return
		}
	}
	*l = append(*l, Relation{Name: name, Link: link})
}

// Href returns the address of a relation; empty if it is absent.
func (l Links) Href(name string) string {
	for _, r := range l {
		if r.Name == name {
			return r.Href
		}
	}
	return ""
}

// MarshalJSON encodes the links as an object.
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

// Resource has the members common to all representations; dialects embed it. It has no _error, because only WriteError
// writes one.
type Resource struct {
	Profile  string `json:"_profile,omitempty"`
	Links    Links  `json:"_links,omitempty"`
	Embedded any    `json:"_embedded,omitempty"`
}

// Root is the response of getApi. The schema calls the id _id and the examples id, so it has both.
type Root struct {
	Resource
	ID         string `json:"_id"`
	PlainID    string `json:"id"`
	Name       string `json:"name"`
	APIVersion string `json:"apiVersion"`
}

// NewRoot returns the root resource of an API.
func NewRoot(profile, id, name, version string, links Links) Root {
	return Root{Resource: Resource{Profile: profile, Links: links}, ID: id, PlainID: id, Name: name, APIVersion: version}
}

// Seconds formats a time for resources: UTC, whole seconds. The zero time is empty, and so omitted.
func Seconds(t time.Time) string { return format(t, "2006-01-02T15:04:05Z") }

// Millis formats a time for errors: UTC, milliseconds. The zero time is empty, and so omitted.
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
