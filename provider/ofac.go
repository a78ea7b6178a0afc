package provider

import (
	"bufio"
	"encoding/csv"
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
// CSV without a header, "-0-" for an unknown value, and a control character at the end. SDN holds the entries, ALT
// further names. ADD holds addresses, which no rule uses.
//
//	SDN: ent_num, SDN_Name, SDN_Type, Program, Title, Call_Sign, Vess_type, Tonnage, GRT, Vess_flag, Vess_owner, Remarks
//	ALT: ent_num, alt_num, alt_type, alt_name, alt_remarks
const (
	sdnFile = "SDN.CSV"
	altFile = "ALT.CSV"
)

// fileState changes when one of the files changes.
type fileState struct {
	sdn, alt         time.Time
	sdnSize, altSize int64
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
	for _, f := range []struct {
		name string
		at   *time.Time
		size *int64
	}{{sdnFile, &out.sdn, &out.sdnSize}, {altFile, &out.alt, &out.altSize}} {
		path, err := findFile(dir, f.name)
		if err != nil {
			return out, err
		}
		if path == "" {
			if f.name == sdnFile {
				return out, errors.New("the folder has no file " + sdnFile)
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return out, err
		}
		*f.at, *f.size = info.ModTime(), info.Size()
	}
	return out, nil
}

// readOFAC reads the people on the list.
func readOFAC(dir string) (*risk.Book, error) {
	people := map[string]*risk.Entry{}
	var order []string
	sdn, err := findFile(dir, sdnFile)
	if err != nil {
		return nil, err
	}
	err = readCSV(sdn, 3, func(row []string) {
		if !strings.EqualFold(field(row, 2), "individual") {
			return // ships and companies are not screened
		}
		e := &risk.Entry{ID: "ofac-" + field(row, 0), List: risk.GovernmentWatchlist, Value: field(row, 1)}
		if remarks := field(row, 11); remarks != "" {
			e.Births, e.Others = birthsOf(remarks), aliasesOf(remarks)
		}
		people[field(row, 0)] = e
		order = append(order, field(row, 0))
	})
	if err != nil {
		return nil, err
	}
	alt, err := findFile(dir, altFile)
	if err != nil {
		return nil, err
	}
	if alt != "" {
		err = readCSV(alt, 4, func(row []string) {
			if e := people[field(row, 0)]; e != nil && field(row, 3) != "" {
				e.Others = append(e.Others, field(row, 3))
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if len(order) == 0 {
		return nil, errors.New(sdnFile + " has no people in it")
	}
	book := risk.NewBook()
	for _, number := range order {
		book.Put(*people[number])
	}
	return book, nil
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
	// DOB 23 Nov 1962; DOB Nov 1962; DOB 1962; DOB 1962 to 1964; DOB circa 1962; alt. DOB 24 Nov 1962.
	dob = regexp.MustCompile(
		`(?i)\bDOB\s+(circa\s+)?((\d{1,2}\s+)?([A-Za-z]{3,9}\s+)?(\d{4}))(\s+to\s+((\d{1,2}\s+)?([A-Za-z]{3,9}\s+)?(\d{4})))?`,
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
		circa, from, to := m[1] != "", m[5], m[10]
		switch {
		case to != "":
			add(from + "/" + to)
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
