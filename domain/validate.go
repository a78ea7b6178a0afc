package domain

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// validate reads the tags of the inputs, the only definition of the constraints. The schema documents them and a test
// compares the two.
var validate = newValidate()

func newValidate() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("json") })
	for tag, ok := range map[string]func(string) bool{
		"mailbox": mailbox, "printable": printable, "line": line, "text": text, "clientId": plausibleClientID,
		"templateName": templateName, "digits": digits, "birthdate": birthdate,
	} {
		must(v.RegisterValidation(tag, func(fl validator.FieldLevel) bool { return ok(fl.Field().String()) }))
	}
	return v
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// mailbox reports whether a text is a mailbox by the rule of the Invitations document: one @, text on both sides, no
// white space. The rule is looser than RFC 5321 on purpose; the mail server decides. mailbox also refuses control
// characters and characters that would break a mail header.
func mailbox(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") && printable(s) &&
		!strings.ContainsAny(s, ",;:<>()[]\\\"") && !strings.ContainsFunc(s, unicode.IsSpace)
}

// printable reports whether a text is valid UTF-8 without control characters and line breaks.
func printable(s string) bool {
	for _, c := range s {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// text reports whether both databases can store a text: UTF-8 without U+0000.
func text(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// line reports whether a text is printable and not blank.
func line(s string) bool { return printable(s) && strings.TrimSpace(s) != "" }

// validated checks an input by its tags and adds the problems of other rules. It returns all violations at once, each
// with the name of the member and without its value.
func validated(input any, more ...*problem.Problem) error {
	var causes []*problem.Problem
	var errs validator.ValidationErrors
	if err := validate.Struct(input); errors.As(err, &errs) {
		for _, e := range errs {
			member := e.Field()
			causes = append(causes, problem.New(problem.InvalidInput).Because("%s", violation(member, e)).At(member))
		}
	} else if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, c := range causes {
		seen[c.Path[0]] = true
	}
	for _, p := range more {
		if !seen[p.Path[0]] { // the tag already has a problem for this member
			causes = append(causes, p)
		}
	}
	if len(causes) == 0 {
		return nil
	}
	return problem.New(problem.InvalidInput).Join(causes...)
}

// templateName reports whether a text needs no escaping in a path segment.
func templateName(s string) bool {
	return strings.Trim(s, "-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// digits reports whether a text has only digits.
func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// violation returns the text for a violated tag.
func violation(member string, e validator.FieldError) string {
	chars := e.Kind() == reflect.String
	switch e.Tag() {
	case "required":
		return member + " is required."
	case "min":
		if chars {
			return fmt.Sprintf("%s must have at least %s characters.", member, e.Param())
		}
		return fmt.Sprintf("%s must be at least %s.", member, e.Param())
	case "max":
		if chars {
			return fmt.Sprintf("%s must have at most %s characters.", member, e.Param())
		}
		return fmt.Sprintf("%s must be at most %s.", member, e.Param())
	case "oneof":
		return fmt.Sprintf("%s must be one of %s.", member, strings.ReplaceAll(e.Param(), " ", ", "))
	case "mailbox":
		return member + " must be an e-mail address: one @ with text on both sides and no white space."
	case "printable":
		return member + " must contain only printable characters."
	case "clientId":
		return member + " must have 1 to 48 characters from letters, digits and -_:.~$."
	case "templateName":
		return member + " must contain only letters, digits, dots, hyphens and underscores."
	case "ip":
		return member + " must be an IP address."
	case "unique":
		return member + " must not contain duplicates."
	case "birthdate":
		return member + " must be a calendar date, yyyy-mm-dd."
	case "ipv4":
		return member + " must be an IPv4 address."
	case "text":
		return member + " contains a character that is not permitted."
	case "digits":
		return member + " must contain only digits."
	case "line":
		return member + " must be one line of printable text and not blank."
	}
	return member + " is not valid."
}

// orEmpty returns an optional text, or the empty string if it is absent.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// unlessEmpty returns a text as an optional one: nil if it is empty.
func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
