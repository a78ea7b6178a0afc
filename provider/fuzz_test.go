package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func FuzzOFAC(f *testing.F) {
	f.Add(`36,"EXAMPLOWSKI, Dora","individual","X",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 01 Feb 1980; a.k.a. 'DORA'."`+"\r\n\x1a", `36,1,"aka","DORA, The"`+"\n")
	f.Add("1,2\n", "")
	f.Add("\"", "1,2,3,4")
	f.Add("1,A,individual,,,,,,,,,DOB 1962 to 1964; alt. DOB circa 1970; DOB 31 Feb 1980", "1,1,aka,B\n2,1,aka,C")
	f.Fuzz(func(t *testing.T, sdn, alt string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"SDN.CSV": sdn, "ADD.CSV": "", "ALT.CSV": alt} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		read, err := readOFAC(dir)
		if err != nil {
			return
		}
		if len(read.entries) == 0 {
			t.Fatal("a list without people was taken")
		}
	})
}

func TestBirthsInRemarks(t *testing.T) {
	t.Parallel()
	for remarks, want := range map[string]string{
		"DOB 23 Nov 1962; alt. DOB 1963.": "1962-11-23 1963", "DOB Nov 1962": "1962-11", "DOB 1962 to 1964": "1962/1964", "DOB 1979-1982": "1979/1982",
		"DOB circa 1962": "1961/1963", "DOB circa 1979-1982": "1979/1982", "DOB circa 1979 to 1982": "1979/1982", "DOB 1960s": "1960/1969",
		"DOB circa 1960s": "1960/1969", "DOB 1975; Passport 1980-1981 (X)": "1975", "POB 1962": "",
	} {
		if got := strings.Join(birthsOf(remarks), " "); got != want {
			t.Errorf("%s: %s, want %s", remarks, got, want)
		}
	}
}

func FuzzOFACRemarks(f *testing.F) {
	for _, seed := range []string{"DOB 23 Nov 1962", "DOB Nov 1962; DOB 1962", "DOB 1962 to 1964", "DOB circa 1962", "alt. DOB 24 November 1962; a.k.a. 'NAME'", "DOB circa 0000", "DOB 9999 to 0001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, remarks string) {
		for _, b := range birthsOf(remarks) {
			from, to, span := strings.Cut(b, "/")
			good := false
			for _, form := range []string{time.DateOnly, "2006-01", "2006"} {
				_, err := time.Parse(form, from)
				good = good || err == nil
			}
			if span {
				_, err := time.Parse("2006", to)
				good = good && err == nil
			}
			if !good {
				t.Fatalf("%q is born %q", remarks, b)
			}
		}
		aliasesOf(remarks)
	})
}
