package stories

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// publish writes a list of people of the published layout. It is complete when the last file is there.
func publish(t *testing.T, dir string, at time.Time, names ...string) {
	t.Helper()
	var sdn strings.Builder
	for i, name := range names {
		fmt.Fprintf(&sdn, `%d,"%s","individual","X",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 12 Apr 1984."`+"\r\n", i+1, name)
	}
	for _, file := range [][2]string{{"ADD.CSV", ""}, {"ALT.CSV", ""}, {"SDN_COMMENTS.CSV", ""}, {"SDN.CSV", sdn.String()}} {
		path := filepath.Join(dir, file[0])
		if err := os.WriteFile(path+".new", []byte(file[1]+"\x1a"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path+".new", at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAListTakesAVerificationBack runs the program on a folder of the published list: without a good one there are no
// reports; a new one with a customer takes the verification back; a short one is refused until an operator accepts it.
func TestAListTakesAVerificationBack(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			dir, now := t.TempDir(), time.Now().Add(-time.Hour)
			w := newWorld(t, "GATEHOUSE_OFAC_DIR="+dir, "GATEHOUSE_ADMIN_LISTEN=127.0.0.1:0", "GATEHOUSE_DATABASE_URL="+database.URL(t))
			s := w.serve()
			admin := &server{world: w, url: "http://" + s.Log.Await(t, `admin listening" addr=(\S+)`)[1]}
			metric := func(line string) bool { return strings.Contains(admin.send("GET", "/metrics", "").body, line) }
			root := s.token("root", "profiles/full admin/full")
			const contact = "contact_demo_clean"
			if r := s.gql(root, reportMutation, map[string]any{"id": contact}); r.at(t, "data", "createFraudRiskReport", "problems", 0, "code") != "PROVIDER_UNAVAILABLE" {
				t.Errorf("without a list: %s", r.body)
			}
			publish(t, dir, now, "SOMEBODY, Else", "ANOTHER, Name", "THIRD, Person")
			testkit.Eventually(t, "the list is in force", func() bool { return metric(`gatehouse_list_entries{list="sdn"} 3`) })
			if got := s.outcome(root, contact); got != "PASSED" {
				t.Fatalf("with the list: %s", got)
			}
			decision := func() string {
				r := s.gql(root, `query($id: ID!) { contactVerification(contactId: $id) { decision { verified reasons { code } } } }`, map[string]any{"id": contact})
				return fmt.Sprint(r.at(t, "data", "contactVerification", "decision", "verified"), " ", r.at(t, "data", "contactVerification", "decision", "reasons", 0, "code"))
			}
			if got := decision(); got != "true REPORT_PASSED" {
				t.Errorf("before: %s", got)
			}
			r := s.gql(root, `{ contact(id: "contact_demo_clean") { firstName lastName } }`, nil)
			name := fmt.Sprintf("%s, %s", r.at(t, "data", "contact", "lastName"), r.at(t, "data", "contact", "firstName"))
			publish(t, dir, now.Add(time.Minute), "SOMEBODY, Else", "ANOTHER, Name", "THIRD, Person", name)
			testkit.Eventually(t, "the contact is compared with the new entry", func() bool { return decision() == "false NEVER_CATEGORY" })
			r = s.gql(root, `{ reviews(where: {state: {eq: OPEN}}) { nodes { fraudRiskReport { createdBy screening { list entries hash publishedAt } } } } }`, nil)
			if r.at(t, "data", "reviews", "nodes", 0, "fraudRiskReport", "createdBy") != "system" || r.at(t, "data", "reviews", "nodes", 0, "fraudRiskReport", "screening", "entries") != 4.0 {
				t.Errorf("the review: %s", r.body)
			}
			publish(t, dir, now.Add(2*time.Minute), "SOMEBODY, Else", "ANOTHER, Name")
			testkit.Eventually(t, "the short list is refused", func() bool { return metric(`gatehouse_list_refused{list="sdn"} 1`) })
			status := w.must("lists", "status")
			if !strings.Contains(status, "4 entries") || !strings.Contains(status, "lack 2 of the 4") || !strings.Contains(status, "re-screening: completed") {
				t.Errorf("the status: %s", status)
			}
			_, after, _ := strings.Cut(status, "(hash ")
			hash, _, _ := strings.Cut(after, ")")
			if out, errs, status := w.run("", "lists", "load"); status != 1 || !strings.Contains(errs, hash) {
				t.Errorf("loaded without consent: %d %s %s", status, out, errs)
			}
			if out := w.must("lists", "load", "--accept-loss", hash); !strings.Contains(out, "2 entries") {
				t.Errorf("loaded: %s", out)
			}
			testkit.Eventually(t, "the short list is in force", func() bool {
				return metric(`gatehouse_list_entries{list="sdn"} 2`) && metric(`gatehouse_list_refused{list="sdn"} 0`)
			})
			s.Stop()
		})
	}
}
