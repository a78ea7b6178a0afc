package notify

import (
	"bytes"
	"embed"
	"errors"
	htmltemplate "html/template"
	"io/fs"
	"net/url"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain"
)

// The mail template NAME consists of NAME.subject.txt, NAME.txt and NAME.html; the text message template NAME of
// NAME.sms.txt.
//
//go:embed templates
var embedded embed.FS

// Templates renders messages as texts for people.
type Templates struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// mailContent is the rendered content of a mail.
type mailContent struct{ Subject, Text, HTML string }

// embeddedTemplates returns the templates that are compiled into the program.
func embeddedTemplates() (*Templates, error) {
	sub, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	return parseTemplates(sub)
}

func parseTemplates(files fs.FS) (*Templates, error) {
	text, err := texttemplate.New("").Option("missingkey=error").ParseFS(files, "*.txt")
	if err != nil {
		return nil, err
	}
	html, err := htmltemplate.New("").Option("missingkey=error").ParseFS(files, "*.html")
	if err != nil {
		return nil, err
	}
	return &Templates{text: text, html: html}, nil
}

// A missing template may belong to a newer instance that shares the outbox during a rolling upgrade, so the failure is
// temporary.
var errNoTemplate = &Failure{Stage: "template", Reason: "unknown to this version"}

func (w *Templates) mail(m *domain.Message) (mailContent, error) {
	values, err := templateValues(m.Values)
	if err != nil {
		return mailContent{}, err
	}
	subject, text, html := w.text.Lookup(m.Template+".subject.txt"), w.text.Lookup(m.Template+".txt"), w.html.Lookup(m.Template+".html")
	if subject == nil || text == nil || html == nil {
		return mailContent{}, errNoTemplate
	}
	var s, t, h bytes.Buffer
	if err := errors.Join(subject.Execute(&s, values), text.Execute(&t, values), html.Execute(&h, values)); err != nil {
		return mailContent{}, &Failure{Stage: "template", Reason: "a value is missing", Permanent: true}
	}
	return mailContent{Subject: singleLine(s.String()), Text: t.String(), HTML: h.String()}, nil
}

func (w *Templates) sms(m *domain.Message) (string, error) {
	values, err := templateValues(m.Values)
	if err != nil {
		return "", err
	}
	text := w.text.Lookup(m.Template + ".sms.txt")
	if text == nil {
		return "", errNoTemplate
	}
	var t bytes.Buffer
	if err := text.Execute(&t, values); err != nil {
		return "", &Failure{Stage: "template", Reason: "a value is missing", Permanent: true}
	}
	return strings.TrimSpace(t.String()), nil
}

// templateValues prepares the values of a message for people: single lines, formatted times, names that no mail program
// turns into a link, and a valid link.
func templateValues(values map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(values))
	for name, value := range values {
		switch name {
		case "link":
			u, err := url.Parse(value)
			if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || collapseSpace(value) != value ||
				strings.Contains(value, " ") {
				return nil, &Failure{Stage: "template", Reason: "the link is not valid", Permanent: true}
			}
		case "expires":
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, &Failure{Stage: "template", Reason: "the time is not valid", Permanent: true}
			}
			value = t.UTC().Format("2 January 2006 at 15:04 UTC")
		case "inviter":
			value = breakLinks(singleLine(value))
		default:
			value = singleLine(value)
		}
		out[name] = value
	}
	return out, nil
}

// maxValueLength is slightly above the longest name that the rules accept (128 characters).
const maxValueLength = 200

// singleLine is like collapseSpace and truncates long values.
func singleLine(s string) string {
	s = collapseSpace(s)
	if runes := []rune(s); len(runes) > maxValueLength {
		s = string(runes[:maxValueLength]) + "…"
	}
	return s
}

// collapseSpace replaces characters that would break a line, and removes those that hide text or reverse its direction.
func collapseSpace(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsSpace(r), unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Cf, r): // zero-width characters and direction marks
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

var dotInWord = regexp.MustCompile(`\.(\S)`)

// breakLinks prevents mail programs from turning a name that an unknown person chose into a link: the mail must have
// exactly one link.
func breakLinks(s string) string {
	s = strings.NewReplacer("://", " ", "@", " at ").Replace(s)
	return dotInWord.ReplaceAllString(s, ". $1")
}
