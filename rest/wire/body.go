package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// The default limits of a body. All documented bodies are far smaller.
const (
	DefaultMaxBytes = 1 << 20
	DefaultMaxDepth = 32
)

// Reading configures how a dialect reads bodies.
type Reading struct {
	// MaxBytes is the size of the largest body; 0 means DefaultMaxBytes.
	MaxBytes int64
	// MaxDepth is the maximum nesting of objects and arrays; 0 means DefaultMaxDepth.
	MaxDepth int
	// MediaTypes are the allowed media types of a body.
	MediaTypes []string
}

// Body is the JSON object of a request. Its getters treat null as absent, and record values of a wrong type as
// violations, so that Err reports all of them together.
type Body struct {
	members    map[string]any
	path       []string
	violations *[]*problem.Problem
}

// Object reads the body of a request: one JSON object in UTF-8, without duplicate members at any depth or trailing
// data. It refuses other bodies with MalformedBody, UnsupportedMediaType or RequestBodyTooLarge.
func Object(r *http.Request, how Reading) (*Body, error) {
	if how.MaxBytes == 0 {
		how.MaxBytes = DefaultMaxBytes
	}
	if how.MaxDepth == 0 {
		how.MaxDepth = DefaultMaxDepth
	}
	if len(r.Header.Values("Content-Type")) > 0 {
		if err := contentType(r, how.MediaTypes); err != nil {
			return nil, err
		}
	}
	text, err := readAll(r, how.MaxBytes)
	if err != nil {
		return nil, err
	}
	if len(bytes.Trim(text, " \t\r\n")) == 0 {
		return nil, malformed("The request body is missing.")
	}
	// A body without a type could come from a form on a foreign page.
	if err := contentType(r, how.MediaTypes); err != nil {
		return nil, err
	}
	if !utf8.Valid(text) {
		return nil, malformed("The request body is not UTF-8.")
	}
	if !json.Valid(text) {
		return nil, malformed("The request body is not JSON.")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	root, err := value(dec, how.MaxDepth)
	if err != nil {
		return nil, err
	}
	members, ok := root.(map[string]any)
	if !ok {
		return nil, malformed("The request body is not a JSON object.")
	}
	return &Body{members: members, violations: new([]*problem.Problem)}, nil
}

// Decode reads the body into a struct: the members of its json tags, by their exact names. Unknown members are
// ignored, null is treated as absent, and all members of a wrong type are reported together.
func Decode(r *http.Request, how Reading, into any) error {
	body, err := Object(r, how)
	if err != nil {
		return err
	}
	body.Into(into)
	return body.Err()
}

func malformed(detail string) error { return problem.New(problem.MalformedBody).Because("%s", detail) }

func readAll(r *http.Request, most int64) ([]byte, error) {
	tooLarge := problem.New(problem.RequestBodyTooLarge).With("limit", most)
	if r.ContentLength > most {
		return nil, tooLarge
	}
	if r.Body == nil {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	var outer *http.MaxBytesError
	switch {
	case errors.As(err, &outer):
		return nil, tooLarge.With("limit", outer.Limit)
	case err != nil:
		return nil, problem.New(problem.MalformedBody).Because("The request body is incomplete.").From(err)
	case int64(len(text)) > most:
		return nil, tooLarge
	}
	return text, nil
}

// value reads one value from valid JSON. Numbers are kept as text.
func value(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, problem.New(problem.MalformedBody).From(err)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == 0 {
		return nil, malformed("The request body is nested too deeply.")
	}
	var out any
	if delim == '[' {
		list := []any{}
		for dec.More() {
			one, err := value(dec, depth-1)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		out = list
	} else {
		members := map[string]any{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, problem.New(problem.MalformedBody).From(err)
			}
			key, _ := name.(string)
			if _, twice := members[key]; twice {
				return nil, malformed("The request body has a duplicate member.")
			}
			if members[key], err = value(dec, depth-1); err != nil {
				return nil, err
			}
		}
		out = members
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return nil, problem.New(problem.MalformedBody).From(err)
	}
	return out, nil
}

// Has reports whether the member is present and not null.
func (b *Body) Has(name string) bool { return b.members[name] != nil }

// Null reports whether the member is present and null, for dialects in which null erases a value.
func (b *Body) Null(name string) bool {
	v, ok := b.members[name]
	return ok && v == nil
}

// String returns a member. Ok is false if it is absent, or if it has another type, which is recorded as a violation.
func (b *Body) String(name string) (v string, ok bool) {
	ok = b.get(name, &v)
	return v, ok
}

// Object returns a member that is an object, as String does. Its violations are recorded with those of the whole body.
func (b *Body) Object(name string) (*Body, bool) {
	switch v := b.members[name].(type) {
	case nil:
	case map[string]any:
		return &Body{members: v, path: below(b.path, name), violations: b.violations}, true
	default:
		b.violate(below(b.path, name), "an object")
	}
	return nil, false
}

// Into fills the struct that into points to; see Decode. Err reports the violations.
func (b *Body) Into(into any) {
	b.fields(b.path, b.members, reflect.ValueOf(into).Elem())
}

// Refuse records a violation of a member other than a wrong type.
func (b *Body) Refuse(name, format string, args ...any) {
	path := below(b.path, name)
	*b.violations = append(*b.violations, problem.New(problem.InvalidInput).
		Because(format, args...).At(path...).With("name", strings.Join(path, ".")))
}

// Err returns InvalidInput with a cause for each violation, or nil.
func (b *Body) Err() error {
	if len(*b.violations) == 0 {
		return nil
	}
	return problem.New(problem.InvalidInput).Join(*b.violations...)
}

func (b *Body) violate(path []string, want string) {
	name := strings.Join(path, ".")
	*b.violations = append(*b.violations, problem.New(problem.InvalidInput).
		Because("The member %s must be %s.", name, want).At(path...).With("name", name))
}

func (b *Body) get(name string, into any) bool {
	node := b.members[name]
	return node != nil && b.assign(below(b.path, name), node, reflect.ValueOf(into).Elem())
}

func below(path []string, name string) []string {
	return append(append(make([]string, 0, len(path)+1), path...), name)
}

// fields fills the struct fields that have a json tag, including those of embedded structs.
func (b *Body) fields(path []string, members map[string]any, dst reflect.Value) bool {
	good := true
	for i := range dst.NumField() {
		field := dst.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct:
			good = b.fields(path, members, dst.Field(i)) && good
		case name == "" || name == "-" || !field.IsExported():
		case members[name] != nil:
			good = b.assign(below(path, name), members[name], dst.Field(i)) && good
		}
	}
	return good
}

// assign stores a non-null value in a variable, or records a violation.
func (b *Body) assign(path []string, node any, dst reflect.Value) bool {
	wrong := func(want string) bool {
		b.violate(path, want)
		return false
	}
	if dst.Kind() == reflect.Pointer {
		fresh := reflect.New(dst.Type().Elem())
		if !b.assign(path, node, fresh.Elem()) {
			return false
		}
		dst.Set(fresh)
		return true
	}
	text, isText := node.(string)
	switch special := dst.Addr().Interface().(type) {
	case *time.Time:
		t, ok := listing.ParseTime(text)
		if !ok {
			return wrong("an RFC 3339 date-time")
		}
		*special = t
		return true
	case encoding.TextUnmarshaler:
		if !isText || special.UnmarshalText([]byte(text)) != nil {
			return wrong("a string in the documented format")
		}
		return true
	}
	number, isNumber := node.(json.Number)
	switch dst.Kind() {
	case reflect.String:
		if !isText {
			return wrong("a string")
		}
		if strings.ContainsRune(text, 0) { // PostgreSQL cannot store it
			return wrong("a string without the character U+0000")
		}
		dst.SetString(text)
	case reflect.Bool:
		v, ok := node.(bool)
		if !ok {
			return wrong("a boolean")
		}
		dst.SetBool(v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, ok := integer(number)
		if !ok || dst.OverflowInt(n) {
			return wrong("an integer")
		}
		dst.SetInt(n)
	case reflect.Float32, reflect.Float64:
		n, err := number.Float64()
		if !isNumber || err != nil || dst.OverflowFloat(n) {
			return wrong("a number")
		}
		dst.SetFloat(n)
	case reflect.Struct:
		members, ok := node.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		return b.fields(path, members, dst)
	case reflect.Slice:
		list, ok := node.([]any)
		if !ok {
			return wrong("an array")
		}
		return b.elements(path, list, dst)
	case reflect.Map:
		members, ok := node.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		return b.entries(path, members, dst)
	case reflect.Interface:
		dst.Set(reflect.ValueOf(node))
	default:
		panic(fmt.Sprintf("wire: no JSON for %s", dst.Type())) // a bug in the dialect
	}
	return true
}

func (b *Body) elements(path []string, list []any, dst reflect.Value) bool {
	out := reflect.MakeSlice(dst.Type(), len(list), len(list))
	good := true
	for i, node := range list {
		at := below(path, strconv.Itoa(i))
		if node == nil {
			b.violate(at, "a value")
			good = false
			continue
		}
		good = b.assign(at, node, out.Index(i)) && good
	}
	dst.Set(out)
	return good
}

func (b *Body) entries(path []string, members map[string]any, dst reflect.Value) bool {
	out := reflect.MakeMapWithSize(dst.Type(), len(members))
	good := true
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] == nil {
			continue
		}
		entry := reflect.New(dst.Type().Elem()).Elem()
		good = b.assign(below(path, name), members[name], entry) && good
		out.SetMapIndex(reflect.ValueOf(name).Convert(dst.Type().Key()), entry)
	}
	dst.Set(out)
	return good
}

// integer parses a number without a fraction in any notation: 3, 3.0 and 3e0 are equal.
func integer(number json.Number) (int64, bool) {
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return n, true
	}
	const exact = 1 << 53 // a float64 holds every integer up to here
	f, err := number.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, false
	}
	return int64(f), true
}
