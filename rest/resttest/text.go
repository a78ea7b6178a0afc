package resttest

import (
	"regexp"
	"strings"
)

// With adds a header to a request.
func With(request, header string) string {
	line, rest, _ := strings.Cut(request, "\n")
	return line + "\n" + header + "\n" + rest
}

// Without removes a header.
func Without(request, name string) string {
	return regexp.MustCompile(`(?m)^`+name+`: .*\n?`).ReplaceAllString(request, "")
}

// Bearer finds the credential of a request.
var Bearer = regexp.MustCompile(`Bearer \w+`)

// As replaces the bearer token.
func As(request, token string) string { return Bearer.ReplaceAllString(request, "Bearer "+token) }

// Body replaces the body.
func Body(request, text string) string {
	head, _, _ := strings.Cut(request, "\n\n")
	return head + "\n\n" + text
}

// Query adds a query parameter.
func Query(request, parameter string) string {
	line, rest, _ := strings.Cut(request, " HTTP/1.1")
	sign := "?"
	if strings.Contains(line, "?") {
		sign = "&"
	}
	return line + sign + parameter + " HTTP/1.1" + rest
}

// Same changes nothing.
func Same(request string) string { return request }
