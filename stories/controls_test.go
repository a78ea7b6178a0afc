package stories

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestBillOfMaterials: the program lists what is built into it, and neither more nor less.
func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	out := newWorld(t).must("sbom")
	var bill struct {
		Format     string `json:"bomFormat"`
		Spec       string `json:"specVersion"`
		Components []struct {
			Ref, Name, Version, PURL string
			Hashes                   []struct{ Alg, Content string }
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(out), &bill); err != nil || bill.Format != "CycloneDX" || bill.Spec != "1.6" {
		t.Fatalf("%v: %.200s", err, out)
	}
	path := testkit.Program(t)
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join("..", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, c := range bill.Components {
		if listed[c.PURL] {
			t.Errorf("%s twice", c.PURL)
		}
		listed[c.PURL] = true
		if !strings.HasPrefix(c.PURL, "pkg:golang/") || c.Name == "std" {
			continue
		}
		if len(c.Hashes) != 1 || c.Hashes[0].Alg != "SHA-256" {
			t.Errorf("%s has no hash", c.PURL)
			continue
		}
		raw, err := hex.DecodeString(c.Hashes[0].Content)
		if err != nil || !bytes.Contains(sums, []byte(c.Name+" "+c.Version+" h1:"+base64.StdEncoding.EncodeToString(raw)+"\n")) {
			t.Errorf("the hash of %s is not that of go.sum", c.PURL)
		}
	}
	want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, dep := range info.Deps {
		want = append(want, "pkg:golang/"+dep.Path+"@"+url.PathEscape(dep.Version))
	}
	for _, purl := range want {
		if !listed[purl] {
			t.Errorf("%s is built in and not listed", purl)
		}
		delete(listed, purl)
	}
	for purl := range listed {
		if !strings.HasPrefix(purl, "pkg:npm/") { // GraphiQL, where it was there when the program was built
			t.Errorf("%s is listed and not built in", purl)
		}
	}
}

// TestTheLogSaysWhoAndWhatWasRefused: each line names the caller, the credential and the refusals, whatever the status,
// and never a credential, an address or a text that was sent.
func TestTheLogSaysWhoAndWhatWasRefused(t *testing.T) {
	t.Parallel()
	s := newWorld(t, "GATEHOUSE_VERIFY_RATE=2/1h").serve()
	key := "API-Key: " + s.must("apikey", "create", "--name", "teller")
	alice, bob := s.token("alice", "banking/full"), s.token("bob", "banking/full")
	bearer := func(token string) string { return "Authorization: Bearer " + token }
	forged := alice[:len(alice)-8] + "AAAAAAAA"
	invitation := s.invite(alice)
	client := s.must("token", "--kind", "client", "--client-id", "laptop-1")
	post := func(query string, variables map[string]any) string {
		body, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
		return string(body)
	}
	revoke := func(id string) string {
		return post(`mutation($id: ID!) { revokeInvitation(input: {invitationId: $id}) { problems { code } } }`, map[string]any{"id": id})
	}
	verify := post(`mutation($id: ID!) { verifyInvitation(input: {invitationId: $id, sharedSecret: "planted wrong secret"}) { problems { code } } }`, map[string]any{"id": invitation})
	const address = "dora.planted@example.com"
	for i, c := range []struct {
		claim, method, path, body string
		header                    []string
		want, not                 string
	}{
		{"nobody", "GET", "/healthz", "", nil, "status=200", "by="},
		{"a customer and the application's key", "GET", "/invitations/invitations", "", []string{key, bearer(alice)}, "status=200 .*by=token user=alice .*apiKey=teller", "refusals="},
		{"the key alone", "GET", "/invitations/", "", []string{key}, "by=key apiKey=teller", "user="},
		{"a forged token", "POST", "/graphql", verify, []string{bearer(forged)}, `status=401 .*credential="[^"]+"`, "user="},
		{"a forged token, by REST", "GET", "/invitations/invitations", "", []string{key, bearer(forged)}, `status=401 .*credential="[^"]+" refusals=unauthorized`, "user="},
		{"no token", "GET", "/invitations/invitations", "", []string{key}, "status=401 .*refusals=unauthorized", "user="},
		{"a token without the scope", "POST", "/graphql", revoke(invitation), []string{bearer(s.token("alice", "signup"))}, "user=alice .*refusals=accessDenied", ""},
		{"a record of somebody else", "POST", "/graphql", revoke(invitation), []string{bearer(bob)}, "status=200 .*user=bob .*refusals=noSuchInvitation", ""},
		{"a record that is none", "POST", "/graphql", revoke("inv_none"), []string{bearer(bob)}, "status=200 .*user=bob .*refusals=noSuchInvitation", ""},
		{"to look at one of somebody else", "POST", "/graphql", post(`query($id: ID!) { invitation(id: $id) { id } }`, map[string]any{"id": invitation}), []string{bearer(bob)}, "status=200 .*user=bob .*refusals=noSuchInvitation", ""},
		{"the same by REST", "GET", "/invitations/invitations/" + invitation, "", []string{key, bearer(bob)}, "status=404 .*user=bob .*refusals=noSuchInvitation", ""},
		{"an input that breaks a rule", "POST", "/graphql", post(createMutation, map[string]any{"secret": "short"}), []string{bearer(alice)}, "status=200 .*refusals=invalidRequestBody", ""},
		{"a document that is none", "POST", "/graphql", post("{ planted }", nil), []string{bearer(alice)}, "refusals=BAD_DOCUMENT", ""},
		{"a document that asks for too much", "POST", "/graphql", post("{"+strings.Repeat(" version { version }", 600)+"}", nil), []string{bearer(alice)}, "refusals=TOO_COMPLEX", ""},
		{"a wrong secret", "POST", "/graphql", verify, []string{bearer(bob)}, "status=200 .*user=bob .*refusals=invitationVerificationFailed", ""},
		{"another one, by REST", "POST", "/invitations/verifications", `{"invitationId":"` + invitation + `","sharedSecret":"planted wrong secret"}`, []string{key, bearer(bob)}, "status=400 .*user=bob .*refusals=invitationVerificationFailed", ""},
		{"one too many", "POST", "/graphql", verify, []string{bearer(bob)}, "status=200 .*user=bob .*refusals=tooManyRequests", ""},
		{"a device", "GET", "/v1/client?_is_native=1", "", []string{"Authorization: " + client}, "by=client .*client=laptop-1", ""},
		{"a path with a line of its own", "GET", "/nowhere%0Alevel=ERROR%20msg=planted", "", nil, `path="/nowhere\\nlevel=ERROR msg=planted"`, ""},
		{"a user whose issuer calls her by her address", "GET", "/invitations/invitations", "", []string{key, bearer(s.token(address, "banking/full"))}, "user=~[0-9a-f]{16} ", ""},
		{"and again", "GET", "/invitations/invitations", "", []string{key, bearer(s.token(address, "banking/full"))}, "user=~[0-9a-f]{16} ", ""},
	} {
		id := fmt.Sprintf("case-%02d", i)
		s.send(c.method, c.path, c.body, append([]string{"X-Request-Id: " + id}, c.header...)...)
		line := s.Log.Await(t, `\n(?:time=\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d) level=INFO )(msg=request requestId=`+id+` [^\n]*)\n`)[1]
		if !regexp.MustCompile(c.want).MatchString(line+" ") || c.not != "" && strings.Contains(line, c.not) {
			t.Errorf("%s: %s", c.claim, line)
		}
	}
	log := s.Log.String()
	for _, planted := range []string{address, "planted wrong secret", alice, bob, forged, client, strings.TrimPrefix(key, "API-Key: ")} {
		if strings.Contains(log, planted) {
			t.Errorf("the log holds %s", planted)
		}
	}
	if marks := regexp.MustCompile(`user=(~[0-9a-f]{16})`).FindAllStringSubmatch(log, -1); len(marks) != 2 || marks[0][1] != marks[1][1] {
		t.Errorf("one user has the marks %v", marks)
	}
}

// TestOpenSettingsAreToldAtTheStart: an operator hears what a setting leaves open, and that alone.
func TestOpenSettingsAreToldAtTheStart(t *testing.T) {
	t.Parallel()
	s := newWorld(t, "GATEHOUSE_SMTP_URL=smtp://user:planted-password@mail.example").serve()
	if line := s.Log.Await(t, `level=WARN msg="insecure setting" what="([^"]*)"`)[1]; !strings.HasPrefix(line, "GATEHOUSE_SMTP_URL") || strings.Contains(s.Log.String(), "planted-password") {
		t.Errorf("%s", s.Log)
	}
	if s := newWorld(t).serve(); strings.Contains(s.Log.String(), "level=WARN") {
		t.Errorf("a server of this machine is warned of: %s", s.Log)
	}
}

// raw sends bytes as they are and gives the statuses of what comes back until the connection ends.
func (s *server) raw(bytes string) []int {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := conn.Write([]byte(bytes)); err != nil {
		s.t.Fatal(err)
	}
	var out []int
	for in := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return out
		}
		out = append(out, res.StatusCode)
		var rest [512]byte
		for {
			if _, err := res.Body.Read(rest[:]); err != nil {
				break
			}
		}
	}
}

// TestWhereARequestEnds: a request that says in two ways where it ends is read in one, or refused, so that none is
// hidden in another.
func TestWhereARequestEnds(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	host := "Host: " + strings.TrimPrefix(s.url, "http://") + "\r\n"
	last := "GET /healthz HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
	for _, c := range []struct {
		claim, bytes string
		want         string
	}{
		{"two requests are two", "GET /healthz HTTP/1.1\r\n" + host + "\r\n" + last, "[200 200]"},
		// By its length the body would have the first letters of what follows, which would then be no request.
		{"chunks count and a length beside them does not", "POST /nowhere HTTP/1.1\r\n" + host + "Content-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + last, "[404 200]|[404]"},
		{"two lengths", "POST /nowhere HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab" + last, "[400]"},
		{"a length that is no number", "POST /nowhere HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\na" + last, "[400]"},
		{"another coding", "POST /nowhere HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + last, "[501]"},
		{"chunked, in other words", "POST /nowhere HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + last, "[501]"},
		{"a space before the colon", "POST /nowhere HTTP/1.1\r\n" + host + "Content-Length : 1\r\n\r\na" + last, "[400]"},
		{"two hosts", "GET /healthz HTTP/1.1\r\n" + host + "Host: localhost\r\n\r\n" + last, "[400]"},
		{"a chunk whose size is none", "POST /graphql HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + last, "[400]"},
	} {
		got := fmt.Sprint(s.raw(c.bytes))
		if !strings.Contains("|"+c.want+"|", "|"+got+"|") {
			t.Errorf("%s: %s", c.claim, got)
		}
	}
}

// TestPolicyOfEveryAnswer: whatever a browser opens here, page or not, found or not, does nothing that was not meant.
func TestPolicyOfEveryAnswer(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	for _, path := range []string{
		"/", "/playground/console", "/playground/console.js", "/playground/examples.json", "/playground/reference/", "/playground/nothing", "/invite", "/verify-email", "/nowhere", "/invite/below",
		"/invitations/", "/identity/", "/system/", "/v1/client", "/sessions/version", "/graphql", "/healthz", "/readyz", "/.well-known/jwks.json", "/%00", "/invitations//x",
	} {
		for _, header := range []string{"", "Host: evil.example"} {
			var more []string
			if header != "" {
				more = append(more, header)
			}
			r := s.send("GET", path, "", more...)
			policy := r.header.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action"} {
				if !strings.Contains(policy, want) {
					t.Errorf("%s %s (%d): %s is missing in %q", path, header, r.status, want, policy)
				}
			}
			if strings.Contains(policy, "object-src") || r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s %s: %v", path, header, r.header)
			}
			if kind := r.header.Get("Content-Type"); r.body != "" && (kind == "" || strings.HasPrefix(kind, "text/") && !strings.Contains(kind, "charset=utf-8")) {
				t.Errorf("%s %s has the media type %q", path, header, kind)
			}
			if r.header.Get("Location") != "" {
				t.Errorf("%s %s leads elsewhere", path, header)
			}
		}
	}
}

// TestTextIsText: what a caller writes is kept letter by letter, is decoded once, changes no statement, no answer, no
// page and no mail, and is found again as it was written.
func TestTextIsText(t *testing.T) {
	t.Parallel()
	eachBank(t, func(b *bank) {
		s := b.first()
		alice := s.token("alice", "banking/full")
		key := "API-Key: " + s.must("apikey", "create", "--name", "text")
		const name = `</script><b id=x onclick="a()">%41 %2541 &amp; \u0041 {{.}} $1 ? ' OR 1=1; DROP TABLE invitations; -- ${7*7}`
		r := s.gql(alice, `mutation($name: String!) { createInvitation(input: {type: JOINT, accountUri: "/accounts/accounts/acc-alice", emailAddress: "text@example.net",
			inviterFullName: $name, firstName: $name, sharedSecret: "`+testkit.Secret+`"}) { invitation { id firstName } problems { code message } } }`, map[string]any{"name": name})
		id, _ := r.at(t, "data", "createInvitation", "invitation", "id").(string)
		if id == "" || r.at(t, "data", "createInvitation", "invitation", "firstName") != name {
			t.Fatalf("%s", r.body)
		}
		s.invite(alice) // one that must not be found with it
		header := []string{key, "Authorization: Bearer " + alice}
		var one map[string]any
		r = s.send("GET", "/invitations/invitations/"+id, "", header...)
		if err := json.Unmarshal([]byte(r.body), &one); err != nil || one["firstName"] != name || !strings.Contains(r.header.Get("Content-Type"), "json") {
			t.Errorf("%v %s", err, r.body)
		}
		for _, c := range []struct {
			filter string
			found  float64
		}{
			{"eq(firstName,'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(name) + "')", 1},
			{"eq(firstName,'x'' OR ''1''=''1')", 0},
			{"eq(type,'joint'' OR 1=1 --')", 0},
			{"eq(_id,'" + id + "'' OR ''1''=''1')", 0},
		} {
			r := s.send("GET", "/invitations/invitations?filter="+url.QueryEscape(c.filter), "", header...)
			var page struct {
				Links    struct{ Self struct{ Href string } } `json:"_links"`
				Embedded struct{ Items []map[string]any }     `json:"_embedded"`
			}
			_ = json.Unmarshal([]byte(r.body), &page)
			if self, err := url.Parse(page.Links.Self.Href); r.status == 200 && (err != nil || self.Host != "" || self.Query().Get("filter") != c.filter) {
				t.Errorf("%s: the link of the page is %q", c.filter, page.Links.Self.Href)
			}
			if found := float64(len(page.Embedded.Items)); found != c.found || r.status >= 500 {
				t.Errorf("%s finds %v: %d %.300s", c.filter, found, r.status, r.body)
			}
		}
		// The page and the mail.
		link, seen := "", map[string]bool{}
		for range 2 {
			text := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=", "&amp;", "&").Replace(s.posted(".eml", seen))
			if found := regexp.MustCompile(`/invite\?invitationId=` + id + `&key=\w+`).FindString(text); found != "" {
				link = found
			}
			_, markup, ok := strings.Cut(text, "<!DOCTYPE html>")
			if !ok || strings.Contains(markup, "<b id=x") || strings.Contains(markup, "</script>") {
				t.Errorf("the mail has markup of the caller's:\n%s", text)
			}
		}
		page := s.send("GET", link, "").body
		if strings.Contains(page, "<b id=x") || strings.Contains(page, "</script>") || !strings.Contains(html.UnescapeString(page), "%2541 &amp; \\u0041 {{.}}") {
			t.Errorf("the page shows %s", page)
		}
		if all := s.gql(alice, `{ invitations { totalCount } }`, nil); all.at(t, "data", "invitations", "totalCount") != 2.0 {
			t.Errorf("%s", all.body)
		}
	})
}
