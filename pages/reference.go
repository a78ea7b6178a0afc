package pages

import (
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
)

// referencePath is the path of the documentation pages.
const referencePath = "/playground/reference/"

var referenceTemplate = template.Must(template.New("reference").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}} · Gatehouse reference</title>
<link rel="icon" href="/playground/icon.svg">
<link rel="stylesheet" href="/playground/reference.css">
</head>
<body>
<header><nav aria-label="Breadcrumb">
<a href="/">Playground</a> › {{if .Index}}Reference{{else}}<a href="/playground/reference/">Reference</a>{{end}}</nav></header>
<main>{{.Body}}</main>
</body>
</html>
`))

// reference renders Markdown files as pages, and serves other texts unchanged.
type reference struct{ files fs.FS }

func (f *reference) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, referencePath)
	if name == "" {
		f.page(w, "Reference", f.index(), true)
		return
	}
	content, err := fs.ReadFile(f.files, name)
	switch {
	case err != nil:
		http.NotFound(w, r)
	case path.Ext(name) == ".md":
		text := string(content)
		title, _, _ := strings.Cut(strings.TrimPrefix(text, "# "), "\n")
		f.page(w, title, template.HTML(markdown(dropOutsideLinks(name, text))), false) //nolint:gosec // the renderer escapes every text
	case path.Ext(name) == ".graphqls", path.Ext(name) == ".json":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(content)
	default:
		http.NotFound(w, r)
	}
}

func (f *reference) page(w http.ResponseWriter, title string, body template.HTML, index bool) {
	w.Header().Set("Content-Type", kinds[""])
	_ = referenceTemplate.Execute(w, map[string]any{"Title": title, "Body": body, "Index": index})
}

// dropOutsideLinks replaces links that lead out of the documentation, into the source tree, by their text.
func dropOutsideLinks(name, text string) string {
	return inlineLink.ReplaceAllStringFunc(text, func(match string) string {
		m := inlineLink.FindStringSubmatch(match)
		if strings.HasPrefix(path.Join(path.Dir(name), m[2]), "..") {
			return m[1]
		}
		return match
	})
}

// index lists the pages by folder, with their first headings.
func (f *reference) index() template.HTML {
	folders := map[string][]string{}
	_ = fs.WalkDir(f.files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(name) == ".md" {
			folders[path.Dir(name)] = append(folders[path.Dir(name)], name)
		}
		return err
	})
	names := make([]string, 0, len(folders))
	for name := range folders {
		names = append(names, name)
	}
	slices.Sort(names)
	text := "# Reference\n"
	for _, folder := range names {
		if folder != "." {
			text += "\n## " + strings.ToUpper(folder[:1]) + folder[1:] + "\n"
		}
		text += "\n"
		for _, name := range folders[folder] {
			content, _ := fs.ReadFile(f.files, name)
			title, _, _ := strings.Cut(strings.TrimPrefix(string(content), "# "), "\n")
			text += "- [" + strings.NewReplacer("[", "", "]", "").Replace(title) + "](" + name + ")\n"
		}
	}
	return template.HTML(markdown(text)) //nolint:gosec // the renderer escapes every text
}

var (
	heading     = regexp.MustCompile(`^(#{1,6}) (.*)$`)
	listItem    = regexp.MustCompile(`^( *)(?:[-*]|\d+\.) (.*)$`)
	tableRule   = regexp.MustCompile(`^\|?[ :|-]+\|?$`)
	inlineCode  = regexp.MustCompile("`[^`]+`")
	inlineLink  = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`)
	inlineBold  = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// markdown converts the subset of Markdown that the documentation uses: headings, paragraphs, lists, tables, code,
// links and bold. It escapes all text; HTML tags are displayed and not interpreted.
func markdown(text string) string {
	var b strings.Builder
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "<!--"):
			i++
		case strings.HasPrefix(line, "```"):
			b.WriteString("<pre tabindex=\"0\"><code>")
			for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
				b.WriteString(template.HTMLEscapeString(lines[i]) + "\n")
			}
			i++
			b.WriteString("</code></pre>\n")
		case heading.MatchString(line):
			m := heading.FindStringSubmatch(line)
			tag := "h" + string(rune('0'+len(m[1])))
			b.WriteString("<" + tag + ` id="` + anchor(m[2]) + `">` + inline(m[2]) + "</" + tag + ">\n")
			i++
		case strings.HasPrefix(line, "|") && i+1 < len(lines) && tableRule.MatchString(lines[i+1]):
			b.WriteString("<div class=\"wide\"><table><thead>")
			b.WriteString(row("th", line))
			b.WriteString("</thead><tbody>")
			for i += 2; i < len(lines) && strings.HasPrefix(lines[i], "|"); i++ {
				b.WriteString(row("td", lines[i]))
			}
			b.WriteString("</tbody></table></div>\n")
		case listItem.MatchString(line):
			i = list(&b, lines, i)
		default:
			var paragraph []string
			for ; i < len(lines) && strings.TrimSpace(lines[i]) != "" && !heading.MatchString(lines[i]) && !listItem.MatchString(lines[i]) &&
				!strings.HasPrefix(lines[i], "```") && !strings.HasPrefix(lines[i], "|"); i++ {
				paragraph = append(paragraph, strings.TrimPrefix(lines[i], "> "))
			}
			if paragraph == nil { // a table without a separator line
				paragraph = append(paragraph, lines[i])
				i++
			}
			b.WriteString("<p>" + inline(strings.Join(paragraph, " ")) + "</p>\n")
		}
	}
	return b.String()
}

// list writes the items from line i, and returns the index of the line after them.
func list(b *strings.Builder, lines []string, i int) int {
	depth := len(listItem.FindStringSubmatch(lines[i])[1])
	tag := "ul"
	if c := strings.TrimSpace(lines[i])[0]; c >= '0' && c <= '9' {
		tag = "ol"
	}
	b.WriteString("<" + tag + ">\n")
	for i < len(lines) {
		m := listItem.FindStringSubmatch(lines[i])
		if m == nil || len(m[1]) < depth {
			break
		}
		if len(m[1]) > depth {
			i = list(b, lines, i)
			continue
		}
		item := []string{m[2]}
		for i++; i < len(lines) && strings.HasPrefix(lines[i], " ") && strings.TrimSpace(lines[i]) != "" && !listItem.MatchString(lines[i]); i++ {
			item = append(item, strings.TrimSpace(lines[i]))
		}
		b.WriteString("<li>" + inline(strings.Join(item, " ")) + "</li>\n")
	}
	b.WriteString("</" + tag + ">\n")
	return i
}

// row writes the cells of a table row.
func row(tag, line string) string {
	line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
	line = strings.ReplaceAll(line, `\|`, "\x00")
	var b strings.Builder
	b.WriteString("<tr>")
	for _, cell := range strings.Split(line, "|") {
		b.WriteString("<" + tag + ">" + inline(strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|")) + "</" + tag + ">")
	}
	b.WriteString("</tr>")
	return b.String()
}

// inline writes the text of a line: code first, because it is not interpreted.
func inline(text string) string {
	var b strings.Builder
	at := 0
	for _, m := range inlineCode.FindAllStringIndex(text, -1) {
		b.WriteString(linkText(text[at:m[0]]) + "\x01" + template.HTMLEscapeString(text[m[0]+1:m[1]-1]) + "\x02")
		at = m[1]
	}
	b.WriteString(linkText(text[at:]))
	// The text of a link may contain code, so links are replaced after code.
	linked := inlineLink.ReplaceAllStringFunc(b.String(), func(match string) string {
		m := inlineLink.FindStringSubmatch(match)
		file, _, _ := strings.Cut(m[2], "#")
		switch {
		case strings.Contains(m[2], ":") || strings.HasPrefix(file, "../../") || strings.HasPrefix(file, "/"), file != "" && path.Ext(file) == "":
			return m[1] // another host, or the source tree: the text without a link
		}
		return `<a href="` + m[2] + `">` + m[1] + "</a>"
	})
	return strings.NewReplacer("\x01", "<code>", "\x02", "</code>").Replace(linked)
}

func linkText(text string) string {
	return inlineBold.ReplaceAllString(template.HTMLEscapeString(text), "<strong>$1</strong>")
}

// anchor returns the fragment identifier of a heading.
func anchor(title string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
}
