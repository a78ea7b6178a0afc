package provider

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/risk"
)

// The files of the Specially Designated Nationals list in the format published by the Office of Foreign Assets Control:
// CSV without a header, "-0-" for an unknown value, and a control character at the end. SDN holds the entries, ADD their
// addresses, which no rule uses, ALT further names, and SDN_COMMENTS the ends of remarks that are too long for SDN.
//
//	SDN: ent_num, SDN_Name, SDN_Type, Program, Title, Call_Sign, Vess_type, Tonnage, GRT, Vess_flag, Vess_owner, Remarks
//	ADD: ent_num, add_num, address, city_state_postal, country, add_remarks
//	ALT: ent_num, alt_num, alt_type, alt_name, alt_remarks
//	SDN_COMMENTS: ent_num, remarks
const (
	sdnFile      = "SDN.CSV"
	addFile      = "ADD.CSV"
	altFile      = "ALT.CSV"
	commentsFile = "SDN_COMMENTS.CSV"
)

// publishedFiles are the files of the list in this order. Without comments the list is incomplete, but usable.
var publishedFiles = [...]string{sdnFile, addFile, altFile, commentsFile}

// fileState changes when one of the files changes.
type fileState [len(publishedFiles)]struct {
	at   time.Time
	size int64
}

// findFile returns the path of a file with a case-insensitive name, or "" if it does not exist.
func findFile(dir, name string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if strings.EqualFold(e.Name(), name) && !e.IsDir() {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", nil
}

func statFiles(dir string) (fileState, error) {
	var out fileState
	for i, name := range publishedFiles {
		path, err := findFile(dir, name)
		if err != nil {
			return out, err
		}
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return out, err
		}
		out[i].at, out[i].size = info.ModTime(), info.Size()
	}
	return out, nil
}

// published is the content of the files.
type published struct {
	entries []risk.Entry
	// hash is a hexadecimal SHA-256 of the entries.
	hash string
	// publishedAt is the time of the newest file.
	publishedAt time.Time
	warnings    []string
	// inForce is set if the entries are those of the version in force.
	inForce bool
}

// readOFAC reads the people on the list. It fails if a file other than the comments is missing.
func readOFAC(dir string) (*published, error) {
	var paths [len(publishedFiles)]string
	for i, name := range publishedFiles {
		path, err := findFile(dir, name)
		if err != nil {
			return nil, err
		}
		if path == "" && name != commentsFile {
			return nil, errors.New("the folder has no file " + name)
		}
		paths[i] = path
	}
	out := &published{}
	state, err := statFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range state {
		if f.at.After(out.publishedAt) {
			out.publishedAt = f.at.UTC().Truncate(time.Microsecond)
		}
	}
	comments := map[string]string{}
	if paths[3] == "" {
		out.warnings = append(out.warnings, "the folder has no file "+commentsFile+"; names and birth dates in long remarks are missing")
	} else if err := readCSV(paths[3], 2, func(row []string) { comments[field(row, 0)] += field(row, 1) }); err != nil {
		return nil, err
	}
	people, order, err := readPeople(paths[0], comments)
	if err != nil {
		return nil, err
	}
	if err := readCSV(paths[1], 2, func([]string) {}); err != nil { // a damaged file is a damaged set
		return nil, err
	}
	err = readCSV(paths[2], 4, func(row []string) {
		if e := people[field(row, 0)]; e != nil && field(row, 3) != "" {
			e.Others = append(e.Others, field(row, 3))
		}
	})
	if err != nil {
		return nil, err
	}
	for _, number := range order {
		out.entries = append(out.entries, *people[number])
	}
	text, err := json.Marshal(out.entries)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	out.hash = hex.EncodeToString(sum[:])
	return out, nil
}

// readPeople reads the people of the file of entries, in its order.
func readPeople(path string, comments map[string]string) (people map[string]*risk.Entry, order []string, err error) {
	people = map[string]*risk.Entry{}
	err = readCSV(path, 3, func(row []string) {
		if !strings.EqualFold(field(row, 2), "individual") {
			return // ships and companies are not screened
		}
		number := field(row, 0)
		e := &risk.Entry{ID: "ofac-" + number, List: risk.GovernmentWatchlist, Value: field(row, 1)}
		// A remark that is continued may end within a word.
		if remarks := field(row, 11) + comments[number]; remarks != "" {
			e.Births, e.Others = birthsOf(remarks), aliasesOf(remarks)
		}
		if people[number] == nil {
			order = append(order, number)
		}
		people[number] = e
	})
	if err == nil && len(order) == 0 {
		err = errors.New(sdnFile + " has no people in it")
	}
	return people, order, err
}

// field returns column i, or "" if the row does not have it or its value is unknown.
func field(row []string, i int) string {
	if i >= len(row) {
		return ""
	}
	text := strings.TrimSpace(row[i])
	if text == "-0-" {
		return ""
	}
	return text
}

func readCSV(path string, minColumns int, each func(row []string)) error {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	in := csv.NewReader(bufio.NewReaderSize(f, 1<<16))
	in.FieldsPerRecord, in.LazyQuotes, in.ReuseRecord = -1, true, false
	for {
		row, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		case len(row) == 1 && strings.Trim(row[0], "\x1a \t") == "":
			continue // the Ctrl-Z that ends the file
		case len(row) < minColumns:
			line, _ := in.FieldPos(0)
			return fmt.Errorf("%s:%d: expected at least %d columns", filepath.Base(path), line, minColumns)
		}
		each(row)
	}
}

var (
	// DOB 23 Nov 1962; DOB Nov 1962; DOB 1962; DOB 1962 to 1964; DOB circa 1962; DOB circa 1979-1982; DOB 1960s; alt. DOB 24
	// Nov 1962.
	dob = regexp.MustCompile(
		`(?i)\bDOB\s+(circa\s+)?((\d{1,2}\s+)?([A-Za-z]{3,9}\s+)?(\d{4}))(s\b)?` +
			`(\s*(?:to|-|/)\s*(?:circa\s+)?((\d{1,2}\s+)?([A-Za-z]{3,9}\s+)?(\d{4})))?`,
	)
	// a.k.a. 'NAME' within the remarks.
	aka = regexp.MustCompile(`(?i)\ba\.k\.a\.,?\s+['"]([^'"]+)['"]`)
)

// birthsOf extracts the dates of birth from the remarks.
func birthsOf(remarks string) []string {
	var out []string
	add := func(b string) {
		if b != "" && !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	for _, m := range dob.FindAllStringSubmatch(remarks, -1) {
		circa, from, decade, to := m[1] != "", m[5], m[6] != "", m[11]
		switch {
		case to != "":
			add(from + "/" + to)
		case decade:
			add(from + "/" + from[:3] + "9")
		case circa:
			add(yearSpan(from))
		default:
			add(parseBirth(strings.Join(strings.Fields(m[2]), " ")))
		}
	}
	return out
}

// yearSpan returns the span from the year before to the year after.
func yearSpan(year string) string {
	at, err := time.Parse("2006", year)
	if err != nil || at.Year() < 1 || at.Year() >= 9999 { // an adjacent year would not have four digits
		return ""
	}
	return at.AddDate(-1, 0, 0).Format("2006") + "/" + at.AddDate(1, 0, 0).Format("2006")
}

func parseBirth(text string) string {
	for _, form := range []struct{ in, out string }{
		{"2 Jan 2006", time.DateOnly},
		{"2 January 2006", time.DateOnly},
		{"Jan 2006", "2006-01"},
		{"January 2006", "2006-01"},
		{"2006", "2006"},
	} {
		if at, err := time.Parse(form.in, text); err == nil {
			return at.Format(form.out)
		}
	}
	return ""
}

func aliasesOf(remarks string) []string {
	var out []string
	for _, m := range aka.FindAllStringSubmatch(remarks, -1) {
		out = append(out, m[1])
	}
	return out
}
