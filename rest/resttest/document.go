package resttest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Document is the OpenAPI document of a dialect, the file openapi.json in its folder.
type Document struct {
	// ErrorSchema is the name of the schema of errors.
	ErrorSchema string
	// ErrorType returns the type or the code of an error.
	ErrorType func(body []byte) string
	// Carries reports whether a request has the credential of a security scheme; nil accepts all requests.
	Carries func(r *http.Request, scheme string) bool
	// Rewrite changes a request to the one that the document describes; nil changes nothing.
	Rewrite func(*http.Request)

	once   sync.Once
	spec   *openapi3.T
	router routers.Router
	err    error
}

// problemDecoder is registered once for all documents, which share the decoders of the validator.
var problemDecoder = sync.OnceFunc(func() {
	openapi3filter.RegisterBodyDecoder("application/problem+json", openapi3filter.JSONBodyDecoder)
})

// Spec loads and validates the document.
func (d *Document) Spec(t testing.TB) *openapi3.T {
	t.Helper()
	d.once.Do(func() {
		problemDecoder()
		if d.spec, d.err = openapi3.NewLoader().LoadFromFile("openapi.json"); d.err == nil {
			d.err = d.spec.Validate(context.Background())
		}
		if d.err == nil {
			d.router, d.err = gorillamux.NewRouter(d.spec)
		}
	})
	if d.err != nil {
		t.Fatal(d.err)
	}
	return d.spec
}

// validate compares a request and its response with the document and returns the operationId.
func (d *Document) validate(t testing.TB, r *http.Request, e Exchange, wrong bool) string {
	t.Helper()
	ctx, spec := context.Background(), d.Spec(t)
	if d.Rewrite != nil {
		d.Rewrite(r)
	}
	switch {
	case r.Method == http.MethodHead:
		r.Method, e.Body = http.MethodGet, "" // HEAD is GET without the body
	case r.Method == http.MethodOptions && e.Status == http.StatusNoContent:
		return "" // documents do not describe preflights
	}
	route, params, err := d.router.FindRoute(r)
	if err != nil {
		if !wrong {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		var body any
		if err := json.Unmarshal([]byte(e.Body), &body); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		} else if err := spec.Components.Schemas[d.ErrorSchema].Value.VisitJSON(body); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		return ""
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: d.authenticate, SkipSettingDefaults: true, ExcludeReadOnlyValidations: true, IncludeResponseStatus: true,
		},
	}
	if err := openapi3filter.ValidateRequest(ctx, in); err != nil && !wrong {
		t.Errorf("%s %s: the request does not match the document: %v", r.Method, r.URL, err)
	}
	if r.Method == http.MethodGet && e.Body == "" {
		return route.Operation.OperationID // HEAD or 304
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: e.Status, Header: e.Header, Options: in.Options,
		Body: io.NopCloser(strings.NewReader(e.Body)),
	}
	if err := openapi3filter.ValidateResponse(ctx, out); err != nil {
		t.Errorf("%s %s: the response does not match the document: %v", r.Method, r.URL, err)
	}
	return route.Operation.OperationID
}

func (d *Document) authenticate(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	if d.Carries == nil || d.Carries(in.RequestValidationInput.Request, in.SecuritySchemeName) {
		return nil
	}
	return errors.New("no " + in.SecuritySchemeName)
}
