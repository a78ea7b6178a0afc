package clientsessions

import (
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/problem"
)

const (
	formType = "application/x-www-form-urlencoded"
	// maxForm is far larger than any form of this API, including one with a token.
	maxForm = 64 << 10
)

// form is the body of a request.
type form map[string]string

// optional returns a parameter; nil if it is absent. Clients send an empty one for null.
func (f form) optional(name string) *string {
	if v, ok := f[name]; ok {
		return &v
	}
	return nil
}

// readForm reads a body with some of the parameters, each at most once. A body may be empty, and an empty one needs no
// Content-Type.
func readForm(r *http.Request, takes []string) (form, error) {
	if len(r.Header.Values("Content-Type")) > 0 && !formTyped(r) {
		return nil, problem.New(problem.UnsupportedMediaType)
	}
	tooLarge := problem.New(problem.RequestBodyTooLarge).With("limit", maxForm)
	if r.ContentLength > maxForm {
		return nil, tooLarge
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	var outer *http.MaxBytesError
	switch {
	case errors.As(err, &outer), len(text) > maxForm:
		return nil, tooLarge
	case err != nil:
		return nil, problem.New(problem.MalformedBody).Because("The request body is incomplete.").From(err)
	case len(text) > 0 && !formTyped(r):
		return nil, problem.New(problem.UnsupportedMediaType)
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, problem.New(problem.MalformedBody).Because("The request body is not a form.")
	}
	out := form{}
	var wrong []*problem.Problem
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !utf8.ValidString(name + values[name][0]):
			return nil, problem.New(problem.MalformedBody).Because("The request body is not UTF-8.")
		case !slices.Contains(takes, name):
			wrong = append(
				wrong, problem.New(problem.FormParameterUnknown).At(cut(name)).Because("%s is not a parameter of this operation.", cut(name)),
			)
		case len(values[name]) > 1:
			wrong = append(wrong, problem.New(problem.FormParameterTwice).At(name).Because("%s must not occur more than once.", name))
		default:
			out[name] = values[name][0]
		}
	}
	if len(wrong) > 0 {
		return nil, problem.New(wrong[0].Definition).Join(wrong...)
	}
	return out, nil
}

// cut shortens a text that the caller chose.
func cut(text string) string {
	const most = 128
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// formTyped reports whether the Content-Type is a form in UTF-8.
func formTyped(r *http.Request) bool {
	values, coding := r.Header.Values("Content-Type"), r.Header.Get("Content-Encoding")
	if len(values) != 1 || coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	charset, present := parameters["charset"]
	return err == nil && media == formType && (!present || strings.EqualFold(charset, "utf-8"))
}
