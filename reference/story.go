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

// Story is a file of examples/operations: requests in the order in which they are sent, with their responses. The pages
// display them, and the tests send them. A file begins with prose and holds
//
//   - people: a line for each caller, with the arguments of `gatehouse token`;
//   - import.ndjson: data imported in addition to the demonstration data;
//   - NAME.graphql, NAME.variables, NAME.answer: a document, its variables and its response;
//   - NAME.sh, NAME.reply: a curl command and its response.
//
// NAME is the operation, optionally followed by a hyphen and a variant; steps named setup-… are not displayed. A
// document or a command begins with comments: a description, `as:` the caller, and `keep:` the values that later
// requests use.
type Story struct {
	// Name is the name of the file, and of the schema file that it describes.
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
	// Arguments are the arguments of `gatehouse token`.
	Arguments string
}

// Step is a request with its response.
type Step struct {
	// Name is the file name without its extension, and Operation the part before a hyphen.
	Name, Operation string
	About           string
	// As is the name of the caller; empty for an anonymous one.
	As    string
	Keeps []Keep
	// Document and Variables are a GraphQL request; Command is a curl command. A step has one of the two.
	Document, Variables string
	Command             string
	// Answer is the response, with placeholders for values that differ each time.
	Answer string
	file   int
}

// Keep is a value that later requests use as $Name.
type Keep struct {
	Name string
	// From is a path in the response; `mail` or `text` and a pattern to find in the sent message; `signature` and the
	// text to sign; or `answers`, the questions to answer, and the record of the demonstration directory that contains
	// the correct ones.
	From string
}

// Hidden reports whether the step is run but not displayed.
func (s *Step) Hidden() bool { return s.Operation == "setup" }

// Stories returns all stories in the order of their names.
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

// ParseStory parses a story.
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
				name, arguments, _ := strings.Cut(strings.TrimSpace(line), " ")
				s.People = append(s.People, Person{name, arguments})
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
				return nil, fmt.Errorf("%s must follow its request", f.Name)
			}
			if ending == "variables" {
				last.Variables = data
			} else {
				last.Answer = data
			}
		default:
			return nil, fmt.Errorf("%s: unknown kind of file", f.Name)
		}
	}
	return s, nil
}

// header parses the comments of a request and returns the rest.
func (s *Step) header(text string) string {
	var about []string
	for strings.HasPrefix(text, "#") {
		line, rest, _ := strings.Cut(text, "\n")
		text, line = rest, strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if caller, ok := strings.CutPrefix(line, "as: "); ok {
			s.As = caller
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

// Format returns the file with the current responses of the steps. The story of the examples rewrites its files with it;
// it is here because it is the inverse of the parser.
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

// Fill replaces $NAMES in a JSON text by their values: as a string within quotes, and unchanged elsewhere. Tests execute
// the examples with it; it is here because it belongs to the format of the examples.
func Fill(text string, values map[string]string) (string, error) {
	var missing error
	out := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := strings.Trim(match, `"$`)
		value, ok := values[name]
		if !ok {
			missing = fmt.Errorf("unknown name $%s", name)
		}
		if strings.HasPrefix(match, `"`) {
			quoted, _ := json.Marshal(value) // a string can always be encoded
			return string(quoted)
		}
		return value
	})
	return out, missing
}

// Request is the HTTP request of a curl command.
type Request struct {
	Method, URL string
	// Header holds lines such as `Accept: application/json`.
	Header []string
	Body   string
}

// Curl parses a command as a shell and curl do: words, quotes, $NAMES, and the options that the examples use. Tests
// execute the examples with it; it is here because it belongs to the format of the examples.
func Curl(command string, values map[string]string) (*Request, error) {
	words, err := shellWords(command, values)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] != "curl" {
		return nil, errors.New("not a curl command")
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
			return nil, fmt.Errorf("unsupported option %q", word)
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
				return nil, fmt.Errorf("unknown name $%s", name)
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
			return nil, fmt.Errorf("a shell requires quotes around %q", c)
		default:
			word.WriteByte(c)
			within = true
		}
	}
	if quote != 0 {
		return nil, errors.New("unterminated quote")
	}
	end()
	return words, nil
}
