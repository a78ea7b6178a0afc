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

// A mail NAME is made of NAME.subject.txt, NAME.txt and NAME.html, a text message of NAME.sms.txt.
//
//go:embed templates
var embedded embed.FS

// Words turn messages into what people read.
type Words struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

// letter is a mail in words.
type letter struct{ Subject, Text, HTML string }

// ownWords are the templates that come with the program.
func ownWords() (*Words, error) {
	sub, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	return readWords(sub)
}

func readWords(files fs.FS) (*Words, error) {
	text, err := texttemplate.New("").Option("missingkey=error").ParseFS(files, "*.txt")
	if err != nil {
		return nil, err
	}
	html, err := htmltemplate.New("").Option("missingkey=error").ParseFS(files, "*.html")
	if err != nil {
		return nil, err
	}
	return &Words{text: text, html: html}, nil
}

// A template that this process does not have may be that of a newer instance, which shares the outbox while the
// program is being replaced: so it is no permanent failure.
var errNoTemplate = &Failure{Stage: "template", Reason: "not known to this version"}

func (w *Words) letter(m *domain.Message) (letter, error) {
	values, err := readable(m.Values)
	if err != nil {
		return letter{}, err
	}
	subject, text, html := w.text.Lookup(m.Template+".subject.txt"), w.text.Lookup(m.Template+".txt"), w.html.Lookup(m.Template+".html")
	if subject == nil || text == nil || html == nil {
		return letter{}, errNoTemplate
	}
	var s, t, h bytes.Buffer
	if err := errors.Join(subject.Execute(&s, values), text.Execute(&t, values), html.Execute(&h, values)); err != nil {
		return letter{}, &Failure{Stage: "template", Reason: "a value is missing", Permanent: true}
	}
	return letter{Subject: oneLine(s.String()), Text: t.String(), HTML: h.String()}, nil
}

func (w *Words) sms(m *domain.Message) (string, error) {
	values, err := readable(m.Values)
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

// readable prepares values for people: one line each, times in words, names that no mail program turns into a
// link, and a link that is one.
func readable(values map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(values))
	for name, value := range values {
		switch name {
		case "link":
			u, err := url.Parse(value)
			if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || plain(value) != value || strings.Contains(value, " ") {
				return nil, &Failure{Stage: "template", Reason: "the link is not one", Permanent: true}
			}
		case "expires":
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return nil, &Failure{Stage: "template", Reason: "the time is not one", Permanent: true}
			}
			value = t.UTC().Format("2 January 2006 at 15:04 UTC")
		case "inviter":
			value = unlinked(oneLine(value))
		default:
			value = oneLine(value)
		}
		out[name] = value
	}
	return out, nil
}

// longestValue is a little more than the longest name a rule lets in (128 characters).
const longestValue = 200

// oneLine is plain, and cuts what is overlong.
func oneLine(s string) string {
	s = plain(s)
	if runes := []rune(s); len(runes) > longestValue {
		s = string(runes[:longestValue]) + "…"
	}
	return s
}

// plain replaces whatever would break a line, hide text or turn its direction.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsSpace(r), unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Cf, r): // zero-width and direction marks
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

var dotInWord = regexp.MustCompile(`\.(\S)`)

// unlinked takes the looks of an address or link from a name that a stranger chose: mail programs make links of
// such text by themselves, and the mail has only one.
func unlinked(s string) string {
	s = strings.NewReplacer("://", " ", "@", " at ").Replace(s)
	return dotInWord.ReplaceAllString(s, ". $1")
}
