//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/bench/people"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// The size of the published list, and of the samples.
const (
	listedPeople, listedAliases = 18_000, 20_000
	variantSample               = 1000
	everydayPeople              = 2000
	screeningReports            = 1000
	// nameMatch is the default of GATEHOUSE_NAME_MATCH.
	nameMatch = 0.90
)

const (
	beginScreening = "<!-- screening: begin; written by `make bench ARGS=\"-only screening\"` -->\n"
	endScreening   = "<!-- screening: end -->\n"
)

// searcher finds the listed people whom a person may be, by their numbers.
type searcher func(p people.Person) []int

// screening measures how well the matching of names finds the variants of listed names, how many everyday people it
// flags, and how long a report takes with such a list.
func (b *bench) screening(ctx context.Context, out io.Writer) error {
	source := people.New(1)
	listed := source.People(listedPeople, listedAliases)
	book := risk.NewBook()
	for _, p := range listed {
		book.Put(entryOf(p))
	}
	var text strings.Builder
	text.WriteString(machine(fmt.Sprintf("commit %s, %s; %d people with %d further names",
		revision(), time.Now().UTC().Format("2006-01-02 15:04 MST"), listedPeople, listedAliases)))
	begun, own := readMachine(), cpu(os.Getpid(), true)
	systems := []struct {
		name   string
		sample int
		search searcher
	}{{"Gatehouse", variantSample, searchBook(book)}}
	if peer, stop, err := startWatchman(ctx, b.dir, listed); err == nil {
		defer stop()
		systems = append(systems, struct {
			name   string
			sample int
			search searcher
		}{"Watchman", variantSample / 10, peer})
	} else {
		b.note("Watchman was left out: %v.", err)
	}
	type row struct{ cells []string }
	rows := map[string]*row{}
	var order []string
	cell := func(name, value string) {
		if rows[name] == nil {
			rows[name], order = &row{}, append(order, name)
		}
		rows[name].cells = append(rows[name].cells, value)
	}
	for _, s := range systems {
		b.logf("searching with %s", s.name)
		m := measureSearch(people.New(2), listed, s.sample, s.search)
		for _, v := range people.Variants {
			cell(v.Name, fmt.Sprintf("%.1f %%", m.recall[v.Name]))
		}
		cell("everyday people flagged, of 1,000", fmt.Sprintf("%.1f", m.flagged))
		cell("exact namesakes flagged, equal birth year", strconv.Itoa(m.namesYear))
		cell("exact namesakes flagged, another birth year", strconv.Itoa(m.names))
		cell("search p50", fmt.Sprintf("%.2f ms", m.took.percentile(0.5).Seconds()*1000))
		cell("search p95", fmt.Sprintf("%.2f ms", m.took.percentile(0.95).Seconds()*1000))
	}
	text.WriteString("\n\n| variant, with the listed date of birth: found |")
	for _, s := range systems {
		text.WriteString(" " + s.name + " |")
	}
	text.WriteString("\n|---|" + strings.Repeat("---:|", len(systems)) + "\n")
	for _, name := range order {
		text.WriteString("| " + name + " | " + strings.Join(rows[name].cells, " | ") + " |\n")
	}
	reports, err := b.reports(ctx, listed)
	if err != nil {
		return err
	}
	text.WriteString("\n" + reports)
	fmt.Fprintf(&text, "\nForeign load: %.1f %%.\n", 100*readMachine().foreignShare(begun, cpu(os.Getpid(), true)-own))
	for _, n := range b.notes {
		text.WriteString("\n" + n + "\n")
	}
	fmt.Fprintln(out, text.String())
	if b.page != "" {
		return writePage(b.page, beginScreening, endScreening, text.String())
	}
	return nil
}

// entryOf is a listed person as the program reads them.
func entryOf(p people.Listed) risk.Entry {
	e := risk.Entry{
		ID: strconv.Itoa(p.Number), List: risk.GovernmentWatchlist, Value: strings.ToUpper(p.Family) + ", " + p.Given, Others: p.Aliases,
	}
	if p.InRemarks != "" {
		e.Others = append(slices.Clone(e.Others), p.InRemarks)
	}
	switch year := p.Born.Year(); {
	case strings.HasPrefix(p.Known, "circa"):
		e.Births = []string{strconv.Itoa(year-1) + "/" + strconv.Itoa(year+1)}
	case len(p.Known) == len("2006"):
		e.Births = []string{p.Known}
	case p.Known != "":
		e.Births = []string{p.Born.Format(time.DateOnly)}
	}
	return e
}

func searchBook(book *risk.Book) searcher {
	return func(p people.Person) []int {
		var out []int
		for _, m := range book.Names(risk.GovernmentWatchlist, p.Last+", "+p.First, p.Birthdate(), nameMatch) {
			if n, err := strconv.Atoi(m.Entry); err == nil {
				out = append(out, n)
			}
		}
		return out
	}
}

// searchMeasures are the results of one matcher.
type searchMeasures struct {
	// recall is the share of the people found, in percent, by variant.
	recall map[string]float64
	// flagged is the number of everyday people in 1,000 who are flagged without being listed by their full name.
	flagged float64
	// namesYear and names count the flagged people with the full name of a listed one, with an equal and with another birth
	// year.
	namesYear, names int
	took             histogram
}

func measureSearch(source *people.Source, listed []people.Listed, sample int, search searcher) searchMeasures {
	m := searchMeasures{recall: map[string]float64{}}
	timed := func(p people.Person) []int {
		begun := time.Now()
		found := search(p)
		m.took.add(time.Since(begun))
		return found
	}
	years := map[string][]int{}
	for _, p := range listed {
		name := strings.ToLower(p.Given + " " + p.Family)
		years[name] = append(years[name], p.Born.Year())
	}
	for _, v := range people.Variants {
		tried, found := 0, 0
		for _, p := range listed {
			person, applies := v.Write(source, p)
			if !applies || p.Known == "" || tried == sample {
				continue
			}
			tried++
			if slices.Contains(timed(person), p.Number) {
				found++
			}
		}
		m.recall[v.Name] = 100 * float64(found) / float64(max(1, tried))
	}
	everyday := min(everydayPeople, 2*sample)
	flagged, counted := 0, 0
	for range everyday {
		p := source.Everyday()
		found := timed(p)
		same, namesake := years[strings.ToLower(p.First+" "+p.Last)]
		switch {
		case namesake && len(found) > 0 && slices.Contains(same, p.Born.Year()):
			m.namesYear++
		case namesake && len(found) > 0:
			m.names++
		case !namesake:
			counted++
			if len(found) > 0 {
				flagged++
			}
		}
	}
	m.flagged = 1000 * float64(flagged) / float64(max(1, counted))
	return m
}

// reports measures reports of the built program on SQLite, with the list and without one.
func (b *bench) reports(ctx context.Context, listed []people.Listed) (string, error) {
	folder := filepath.Join(b.dir, "list")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	if err := people.Write(folder, listed); err != nil {
		return "", err
	}
	var text strings.Builder
	text.WriteString("| a report of the program, on SQLite, one after the other | p50 | p95 | memory of the process |\n|---|---:|---:|---:|\n")
	for _, with := range []string{"", folder} {
		name, setting := "without a list", "GATEHOUSE_OFAC_DIR="
		if with != "" {
			name, setting = "with the list", setting+with
		}
		b.logf("reports %s", name)
		g, err := newGatehouse(b.program, filepath.Join(b.dir, "screening-"+strings.ReplaceAll(name, " ", "-")), "", newKey(), setting)
		if err != nil {
			return "", err
		}
		if err := g.load(ctx, world{}); err != nil {
			return "", err
		}
		auth, err := callers(ctx, g, false)
		if err != nil {
			return "", err
		}
		s, err := g.start(ctx, "screening")
		if err != nil {
			return "", err
		}
		took, err := reportsOf(ctx, s, auth)
		memory := resident(s.pid())
		s.stop()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "| %s | %.2f ms | %.2f ms | %d MB |\n",
			name, took.percentile(0.5).Seconds()*1000, took.percentile(0.95).Seconds()*1000, memory>>20)
	}
	return text.String(), nil
}

func reportsOf(ctx context.Context, s *server, auth caller) (histogram, error) {
	var took histogram
	source := people.New(3)
	const warmUp = 20
	for i := range screeningReports + warmUp {
		p := source.Everyday()
		body, err := json.Marshal(map[string]any{
			"query": `mutation($input: CreateFraudRiskReportInput!) { createFraudRiskReport(input: $input) { fraudRiskReport { state } problems { code } } }`,
			"variables": map[string]any{"input": map[string]string{
				"taxId": fmt.Sprintf("219-%02d-%04d", 1+i%90, 1+i), "firstName": p.First, "lastName": p.Last, "birthdate": p.Birthdate(),
				"address1": "1 Main Street", "city": "Durham", "region": "NC", "postalCode": "27701", "phone": "919-555-0100",
			}},
		})
		if err != nil {
			return took, err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/graphql", strings.NewReader(string(body)))
		if err != nil {
			return took, err
		}
		request.Header.Set("Content-Type", "application/json")
		name, value, _ := strings.Cut(strings.TrimSpace(auth.bearer[0]), ": ")
		request.Header.Set(name, value)
		begun := time.Now()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return took, err
		}
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			return took, err
		}
		if !strings.Contains(string(said), `"state":`) {
			return took, errors.New("a report failed: " + string(said))
		}
		if i >= warmUp {
			took.add(time.Since(begun))
		}
	}
	return took, nil
}
