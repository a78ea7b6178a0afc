package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/gatehouse/gatehouse/examples"
)

// Story is a file of examples/operations: requests in the order in which they are made, with their answers. The pages
// show them, and the tests make them. A file begins with prose and holds
//
//   - people: a line for each caller, with the arguments of `gatehouse token`;
//   - import.ndjson: what is imported beside the demonstration data;
//   - NAME.graphql, NAME.variables, NAME.answer: a document, what goes with it, and what came of it;
//   - NAME.sh, NAME.reply: a curl command, and what came of it.
//
// NAME is the operation that is shown, or the operation, a hyphen and what is special; setup-… is made and not shown.
// A document or a command begins with comments: what there is to say, `as:` the caller, and `keep:` what later ones use.
type Story struct {
	// Name is that of the file, and of the schema file that it is about.
	Name    string
	Text    string
	People  []Person
	Import  string
	Steps   []*Step
	archive *txtar.Archive
}

// Person is a caller.
type Person struct {
	Name string
	// Arguments are those of `gatehouse token`.
	Arguments string
}

// Step is a request with its answer.
type Step struct {
	// Name is that of the file without its ending, Operation the part before a hyphen.
	Name, Operation string
	About           string
	// As is who calls; empty for nobody.
	As    string
	Keeps []Keep
	// Document and Variables are a GraphQL request; Command is a curl command. One of both.
	Document, Variables string
	Command             string
	// Answer is what came of it, with stand-ins for what is different each time.
	Answer string
	file   int
}

// Keep is a value that later requests use as $Name.
type Keep struct {
	Name string
	// From is a path into the answer; `mail` or `text` and a pattern to find in the message that was sent;
	// `signature` and the text to sign; or `answers` and the questions to answer.
	From string
}

// Hidden reports whether the step is made and not shown.
func (s *Step) Hidden() bool { return s.Operation == "setup" }

// Stories reads all of them, in the order of their names.
func Stories() ([]*Story, error) {
	names, err := fs.Glob(examples.Operations, "operations/*.txtar")
	if err != nil {
		return nil, err
	}
	out := make([]*Story, 0, len(names))
	for _, name := range names {
		text, err := examples.Operations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s, err := ParseStory(strings.TrimSuffix(strings.TrimPrefix(name, "operations/"), ".txtar"), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// ParseStory reads a story.
func ParseStory(name string, text []byte) (*Story, error) {
	archive := txtar.Parse(text)
	s := &Story{Name: name, Text: strings.TrimSpace(string(archive.Comment)), archive: archive}
	for i, f := range archive.Files {
		stem, ending, _ := strings.Cut(f.Name, ".")
		data := string(f.Data)
		operation, _, _ := strings.Cut(stem, "-")
		last := func() *Step {
			if len(s.Steps) == 0 {
				return &Step{}
			}
			return s.Steps[len(s.Steps)-1]
		}()
		switch ending {
		case "":
			for line := range strings.Lines(data) {
				who, arguments, _ := strings.Cut(strings.TrimSpace(line), " ")
				s.People = append(s.People, Person{who, arguments})
			}
		case "ndjson":
			s.Import = data
		case "graphql", "sh":
			step := &Step{Name: stem, Operation: operation, file: i}
			body := step.header(data)
			if ending == "sh" {
				step.Command = body
			} else {
				step.Document = body
			}
			s.Steps = append(s.Steps, step)
		case "variables", "answer", "reply":
			if last.Name != stem || (ending == "reply") != (last.Command != "") {
				return nil, fmt.Errorf("%s does not follow its request", f.Name)
			}
			if ending == "variables" {
				last.Variables = data
			} else {
				last.Answer = data
			}
		default:
			return nil, fmt.Errorf("%s: nobody knows such a file", f.Name)
		}
	}
	return s, nil
}

// header takes the comments off a request, and gives the rest.
func (s *Step) header(text string) string {
	var about []string
	for strings.HasPrefix(text, "#") {
		line, rest, _ := strings.Cut(text, "\n")
		text, line = rest, strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if who, ok := strings.CutPrefix(line, "as: "); ok {
			s.As = who
		} else if keep, ok := strings.CutPrefix(line, "keep: "); ok {
			name, from, _ := strings.Cut(keep, " = ")
			s.Keeps = append(s.Keeps, Keep{name, from})
		} else {
			about = append(about, line)
		}
	}
	s.About = strings.Join(about, "\n")
	return text
}

// Format gives the file with the answers that the steps have now.
func (s *Story) Format() []byte {
	out := &txtar.Archive{Comment: s.archive.Comment}
	steps := map[int]*Step{}
	for _, step := range s.Steps {
		steps[step.file] = step
	}
	var open *Step
	answered := func() {
		if open != nil && open.Answer != "" && !open.Hidden() {
			ending := ".answer"
			if open.Command != "" {
				ending = ".reply"
			}
			out.Files = append(out.Files, txtar.File{Name: open.Name + ending, Data: []byte(open.Answer)})
		}
		open = nil
	}
	for i, f := range s.archive.Files {
		switch {
		case strings.HasSuffix(f.Name, ".answer"), strings.HasSuffix(f.Name, ".reply"):
			continue
		case !strings.HasSuffix(f.Name, ".variables"):
			answered()
		}
		out.Files = append(out.Files, f)
		if step := steps[i]; step != nil {
			open = step
		}
	}
	answered()
	return txtar.Format(out)
}

var placeholder = regexp.MustCompile(`"\$[A-Z][A-Z_]*"|\$[A-Z][A-Z_]*`)

// Fill puts values in the place of $NAMES in a JSON text: as text within quotes, and as it is elsewhere.
func Fill(text string, values map[string]string) (string, error) {
	var missing error
	out := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.Trim(found, `"$`)
		value, ok := values[name]
		if !ok {
			missing = fmt.Errorf("nothing is known as $%s", name)
		}
		if strings.HasPrefix(found, `"`) {
			quoted, _ := json.Marshal(value) // a text can always be quoted
			return string(quoted)
		}
		return value
	})
	return out, missing
}

// Request is what a curl command asks for.
type Request struct {
	Method, URL string
	// Header are lines as in `Accept: application/json`.
	Header []string
	Body   string
}

// Curl reads a command as a shell and curl would: words, quotes and $NAMES, and the options that the examples use.
func Curl(command string, values map[string]string) (*Request, error) {
	words, err := shellWords(command, values)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] != "curl" {
		return nil, errors.New("it is not a curl command")
	}
	r := &Request{}
	for i := 1; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-s", word == "-i", word == "-N":
		case slices.Contains([]string{"-X", "-H", "-d"}, word) && i+1 < len(words):
			i++
			switch word {
			case "-X":
				r.Method = words[i]
			case "-H":
				r.Header = append(r.Header, words[i])
			default:
				r.Body = words[i]
			}
		case !strings.HasPrefix(word, "-") && r.URL == "":
			r.URL = word
		default:
			return nil, fmt.Errorf("the examples do not use %q", word)
		}
	}
	if r.Method == "" {
		r.Method = "GET"
		if r.Body != "" {
			r.Method = "POST"
		}
	}
	return r, nil
}

// shellWords splits a command of one line, or of several that end with a backslash.
func shellWords(text string, values map[string]string) ([]string, error) {
	var words []string
	var word strings.Builder
	within, quote := false, byte(0)
	end := func() {
		if within {
			words = append(words, word.String())
		}
		word.Reset()
		within = false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(text):
			i++
			if text[i] != '\n' {
				word.WriteByte(text[i])
				within = true
			}
		case c == '$' && quote != '\'':
			name := regexp.MustCompile(`^[A-Z][A-Z_]*`).FindString(text[i+1:])
			value, ok := values[name]
			if !ok {
				return nil, fmt.Errorf("nothing is known as $%s", name)
			}
			if quote == 0 && strings.ContainsAny(value, " \t\n*?[") {
				return nil, fmt.Errorf("$%s needs quotes", name)
			}
			word.WriteString(value)
			within = true
			i += len(name)
		case quote == 0 && (c == '\'' || c == '"'):
			quote, within = c, true
		case quote == c:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\n' || c == '\t'):
			end()
		case quote == 0 && strings.IndexByte("|&;<>()`*?#", c) >= 0:
			return nil, fmt.Errorf("a shell would not take %q as it is", c)
		default:
			word.WriteByte(c)
			within = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	end()
	return words, nil
}
