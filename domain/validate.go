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

// validate reads the tags on the inputs: the one place where a constraint is written. The schema shows them and a
// test compares the two.
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

// mailbox is the rule of the Invitations document: one @, something on both sides, no white space. It is looser
// than RFC 5321 on purpose; the mail server has the last word. Control characters and what would break a mail
// header are refused beside.
func mailbox(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") && printable(s) &&
		!strings.ContainsAny(s, ",;:<>()[]\\\"") && !strings.ContainsFunc(s, unicode.IsSpace)
}

// printable has no control character, no line break and nothing that is not text.
func printable(s string) bool {
	for _, c := range s {
		if c == unicode.ReplacementChar || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// text is what both databases can hold: UTF-8 without U+0000.
func text(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// line is printable and not blank.
func line(s string) bool { return printable(s) && strings.TrimSpace(s) != "" }

// validated checks an input by its tags and adds the problems found by other rules. All violations are told at
// once, each with the member that is wrong and without its value.
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
		if !seen[p.Path[0]] { // the tag already said what is wrong with this member
			causes = append(causes, p)
		}
	}
	if len(causes) == 0 {
		return nil
	}
	return problem.New(problem.InvalidInput).Join(causes...)
}

// templateName fits into a path segment as it is.
func templateName(s string) bool {
	return strings.Trim(s, "-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// digits has digits only.
func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// violation says in words what a tag asks for.
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

// orEmpty is an optional text; empty where it is absent.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// unlessEmpty is a text as an optional one: absent where it is empty.
func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
