package hal

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// DefaultErrorPages is the address of the pages about the error types, from conventions §9.
const DefaultErrorPages = "https://developer.apiture.com/errors/"

// ErrorOptions configure how a dialect writes errors.
type ErrorOptions struct {
	// Profile is the _profile of the response.
	Profile string
	// ErrorProfile is the _profile of the error itself; empty if the dialect has none.
	ErrorProfile string
	// Embedded is set if nested errors are in _embedded.errors and not in errors.
	Embedded bool
	// Pages is the address of the pages about error types, with a trailing slash; empty means DefaultErrorPages.
	Pages string
	// Now is the clock.
	Now func() time.Time
	// NewID returns the id of an error; nil means random ids.
	NewID func() string
}

type errorResponse struct {
	Profile string `json:"_profile,omitempty"`
	Error   fault  `json:"_error"`
}

// fault is the schema error of the documents.
type fault struct {
	Profile     string         `json:"_profile,omitempty"`
	Links       Links          `json:"_links,omitempty"`
	ID          string         `json:"_id"`
	Type        string         `json:"type"`
	StatusCode  int            `json:"statusCode,omitempty"`
	OccurredAt  string         `json:"occurredAt,omitempty"`
	Message     string         `json:"message"`
	Remediation string         `json:"remediation,omitempty"`
	Attributes  map[string]any `json:"attributes,omitempty"`
	Errors      []fault        `json:"errors,omitempty"`
	Embedded    *nestedFaults  `json:"_embedded,omitempty"`
}

type nestedFaults struct {
	Errors []fault `json:"errors"`
}

// WriteError writes a problem and returns the _id in the response. It does not change the problem, which several
// requests may share.
func WriteError(w http.ResponseWriter, r *http.Request, p *problem.Problem, o ErrorOptions) string {
	status, now := wire.StatusOf(p), o.Now()
	top := o.fault(p)
	top.Profile = o.ErrorProfile
	pages := o.Pages
	if pages == "" {
		pages = DefaultErrorPages
	}
	top.Links.Add("describedby", pages+p.Type)
	top.StatusCode = status
	top.OccurredAt = Millis(now)
	top.Remediation = p.Remedy

	wire.SetHeaders(w, r, p, status, now)
	if err := Write(w, status, errorResponse{Profile: o.Profile, Error: top}); err != nil {
		// Only an attribute can fail to encode. The error is sent without its attributes.
		top.Attributes, top.Errors, top.Embedded = nil, nil, nil
		_ = Write(w, status, errorResponse{Profile: o.Profile, Error: top})
	}
	return top.ID
}

func (o ErrorOptions) fault(p *problem.Problem) fault {
	out := fault{ID: o.newID(), Type: p.Type, Message: p.Text()}
	if p.Kind == problem.Internal {
		out.Message = p.Message // the detail is for the log
		return out
	}
	for name, v := range p.Attributes {
		if t, ok := v.(time.Time); ok {
			v = Millis(t)
		}
		out.attribute(name, v)
	}
	var nested []fault
	for _, cause := range p.Causes {
		one := o.fault(cause)
		if len(cause.Path) > 0 && cause.Attributes["name"] == nil {
			one.attribute("name", strings.Join(cause.Path, "."))
		}
		nested = append(nested, one)
	}
	switch {
	case len(nested) == 0:
	case o.Embedded:
		out.Embedded = &nestedFaults{Errors: nested}
	default:
		out.Errors = nested
	}
	return out
}

func (f *fault) attribute(name string, value any) {
	if f.Attributes == nil {
		f.Attributes = map[string]any{}
	}
	f.Attributes[name] = value
}

func (o ErrorOptions) newID() string {
	if o.NewID != nil {
		return o.NewID()
	}
	return "err_" + strings.ToLower(rand.Text())
}
