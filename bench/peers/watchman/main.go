// Command watchman searches a folder of the published list with Watchman as a library. It reads a person as JSON from
// each line of its input, and writes the numbers of the entries with a score of at least 0.90.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moov-io/watchman/pkg/download"
	"github.com/moov-io/watchman/pkg/ofac"
	"github.com/moov-io/watchman/pkg/search"
)

// nameMatch is the score from which an entry is a match.
const nameMatch = 0.90

func main() {
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "watchman:", err)
		os.Exit(1)
	}
}

func run(folder string, in io.Reader, out io.Writer) error {
	files := download.Files{}
	for _, name := range []string{"sdn.csv", "add.csv", "alt.csv", "sdn_comments.csv"} {
		f, err := os.Open(filepath.Join(folder, strings.ToUpper(name)))
		if err != nil {
			return err
		}
		files[name] = f
	}
	read, err := ofac.Read(files)
	if err != nil {
		return err
	}
	entities := ofac.GroupIntoEntities(read.SDNs, read.Addresses, read.SDNComments, read.AlternateIdentities)
	fmt.Fprintln(out, len(entities))
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var who struct{ Name, Birthdate string }
		if err := json.Unmarshal(lines.Bytes(), &who); err != nil {
			return err
		}
		born, err := time.Parse(time.DateOnly, who.Birthdate)
		if err != nil {
			return err
		}
		query := search.Entity[any]{Name: who.Name, Type: search.EntityPerson, Person: &search.Person{Name: who.Name, BirthDate: &born}}
		found := []int{}
		for _, e := range entities {
			if search.Similarity(query, e) >= nameMatch {
				if n, err := strconv.Atoi(e.SourceID); err == nil {
					found = append(found, n)
				}
			}
		}
		text, err := json.Marshal(found)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, string(text))
	}
	return lines.Err()
}
