package wire

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Accept refuses a request that accepts none of the media types with NotAcceptable. A request without the header
// accepts all; if several ranges match a type, the most specific one applies.
func Accept(r *http.Request, types ...string) error {
	type accepted struct {
		media string
		none  bool // q=0
	}
	var ranges []accepted
	for element := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, parameters, err := mime.ParseMediaType(element)
		if err != nil {
			continue // an empty or unreadable element accepts nothing
		}
		if media == "*" {
			media = "*/*" // the HTTP client of Java sends this
		}
		q := 1.0
		if text, ok := parameters["q"]; ok {
			q, err = strconv.ParseFloat(text, 64)
		}
		if err == nil {
			ranges = append(ranges, accepted{media: media, none: q <= 0})
		}
	}
	if strings.TrimSpace(strings.Join(r.Header.Values("Accept"), "")) == "" {
		return nil
	}
	for _, media := range types {
		major, _, _ := strings.Cut(media, "/")
		for _, wanted := range []string{media, major + "/*", "*/*"} {
			found, none := false, true
			for _, a := range ranges {
				if a.media == wanted {
					found, none = true, none && a.none
				}
			}
			if found && !none {
				return nil
			}
			if found {
				break // more general ranges do not apply
			}
		}
	}
	return problem.New(problem.NotAcceptable)
}

// contentType refuses a body whose Content-Type is not one of the media types in UTF-8 with UnsupportedMediaType.
func contentType(r *http.Request, types []string) error {
	refusal := problem.New(problem.UnsupportedMediaType)
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return refusal.Because("The content encoding of the request body is not supported.")
	}
	values := r.Header.Values("Content-Type")
	if len(values) != 1 {
		return refusal
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	if err != nil {
		return refusal
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return refusal
	}
	for _, one := range types {
		if media == one {
			return nil
		}
	}
	return refusal
}
