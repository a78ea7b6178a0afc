package reference

import (
	"fmt"
	"strings"
)

// maxAnswerLines is the maximum number of lines of a response on a page.
const maxAnswerLines = 60

// storyPage renders a story with its requests in order.
func (b *book) storyPage(s *Story) string {
	var out strings.Builder
	fmt.Fprintf(
		&out, "%s# %s: examples\n\n[Reference](../README.md) · [Types and arguments](../schema/%s.md)\n\n%s\n", generated, areaTitle(s.Name),
		s.Name, s.Text,
	)
	out.WriteString(`
The tests send the requests below in this order to a server with the demonstration data and an otherwise empty database
(` + "`go run .`" + `), and verify the responses. Ids, times and tokens are placeholders. Send documents and variables in the
[playground](http://127.0.0.1:8080/) or in a POST to ` + "`/graphql`" + `; a name such as ` + "`$SESSION`" + ` stands for a value from an
earlier response.
`)
	if len(s.People) > 0 {
		out.WriteString("\n| caller | `TOKEN` |\n|---|---|\n")
		for _, p := range s.People {
			fmt.Fprintf(&out, "| %s | `export TOKEN=$(gatehouse token %s)` |\n", p.Name, p.Arguments)
		}
	}
	for _, step := range s.Steps {
		if strings.Contains(step.Command, "$API_KEY") {
			out.WriteString("\nREST calls need an API key: `export API_KEY=$(gatehouse apikey create --name examples)`.\n")
			break
		}
	}
	if s.Import != "" {
		fmt.Fprintf(&out, "\nIn addition to the demonstration data, `gatehouse import FILE` has loaded:\n\n```json\n%s```\n", s.Import)
	}
	twins := map[string]bool{}
	for _, step := range s.Steps {
		if step.Command != "" {
			twins[step.Operation] = true
		}
	}
	seen, current := map[string]bool{}, ""
	for i, step := range s.Steps {
		operation := step.Operation
		if step.Hidden() { // a hidden step only prepares those that follow
			for _, next := range s.Steps[i:] {
				if !next.Hidden() {
					operation = next.Operation
					break
				}
			}
		}
		if operation != current {
			suffix := ""
			if seen[operation] {
				suffix = ", again"
			} else {
				fmt.Fprintf(&out, "\n<a id=%q></a>\n", operation)
			}
			fmt.Fprintf(&out, "\n## %s%s\n", operation, suffix)
			if suffix == "" {
				fmt.Fprintf(&out, "\n%s\n", b.summary(s.Name, operation))
				if !twins[operation] {
					out.WriteString("\nNo REST API has this operation.\n")
				}
			}
			seen[operation], current = true, operation
		}
		step.show(&out)
	}
	return out.String()
}

// summary links to the schema's description of an operation.
func (b *book) summary(area, name string) string {
	for _, a := range b.areas {
		for _, op := range a.operations {
			if a.name == area && op.Name == name {
				first, _, _ := strings.Cut(line(op.Description), ". ")
				return fmt.Sprintf("%s. [More](../schema/%s.md#%s)", strings.TrimSuffix(first, "."), a.name, op.anchor())
			}
		}
	}
	return ""
}

func (s *Step) show(out *strings.Builder) {
	caller := "Without a token"
	if s.As != "" {
		caller = "As **" + s.As + "**"
	}
	if s.Command != "" && s.As == "" && strings.Contains(s.Command, "$CLIENT") {
		caller = "With the client token"
	}
	if s.Hidden() {
		fmt.Fprintf(out, "\n<details><summary>Setup</summary>\n\n%s.\n\n```graphql\n%s```\n", caller, s.Document)
		if s.Variables != "" {
			fmt.Fprintf(out, "\n```json\n%s```\n", s.Variables)
		}
		s.writeKeeps(out)
		out.WriteString("\n</details>\n")
		return
	}
	if s.Command != "" {
		fmt.Fprintf(out, "\n**REST.** %s.%s\n\n```sh\n%s```\n\n```http\n%s```\n", caller, about(s.About), s.Command, truncate(s.Answer))
		s.writeKeeps(out)
		return
	}
	fmt.Fprintf(out, "\n**GraphQL.** %s.%s\n\n```graphql\n%s```\n", caller, about(s.About), s.Document)
	if s.Variables != "" {
		fmt.Fprintf(out, "\n```json\n%s```\n", s.Variables)
	}
	fmt.Fprintf(out, "\nResponse:\n\n```json\n%s```\n", truncate(s.Answer))
	s.writeKeeps(out)
}

func about(text string) string {
	if text == "" {
		return ""
	}
	return " " + line(text)
}

// writeKeeps describes which values of the response later requests use.
func (s *Step) writeKeeps(out *strings.Builder) {
	for _, k := range s.Keeps {
		how, pattern, _ := strings.Cut(k.From, " ")
		switch how {
		case "mail", "text":
			fmt.Fprintf(
				out, "\n`%s` is the match of `%s` in the %s in the development outbox (`gatehouse-data/outbox`).\n", k.Name, pattern, how,
			)
		case "signature":
			fmt.Fprintf(out, "\n`%s` is the device's signature of `%s`.\n", k.Name, pattern)
		case "answers":
			questions, record, _ := strings.Cut(pattern, " ")
			fmt.Fprintf(out, "\n`%s` are the correct answers to `%s`, taken from `%s` in `examples/demo.ndjson`.\n", k.Name, questions, record)
		default:
			fmt.Fprintf(out, "\n`%s` is `%s` in the response.\n", k.Name, how)
		}
	}
}

// truncate omits the end of a long response.
func truncate(text string) string {
	lines := strings.SplitAfter(text, "\n")
	if len(lines) <= maxAnswerLines {
		return text
	}
	return strings.Join(lines[:maxAnswerLines-5], "") + "…\n"
}
