package pages

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// complaints are the browser's messages about a page: errors, refused loads, policy violations.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func listen(browser context.Context) *complaints {
	c := &complaints{}
	chromedp.ListenTarget(browser, func(event any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			c.all = append(c.all, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				c.all = append(c.all, "console.error")
			}
		case *log.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "the server responded with a status of ") { // a page with an error status
				c.all = append(c.all, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	})
	return c
}

func (c *complaints) none(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) > 0 {
		t.Errorf("the browser complains: %q", c.all)
	}
}

// picture saves a screenshot if GATEHOUSE_TEST_SCREENSHOTS names a folder.
func picture(name string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		dir := os.Getenv("GATEHOUSE_TEST_SCREENSHOTS")
		if dir == "" {
			return nil
		}
		var png []byte
		if err := chromedp.CaptureScreenshot(&png).Do(ctx); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	})
}

func TestInviteInABrowser(t *testing.T) {
	t.Parallel()
	browser := testkit.Browser(t)
	s := &rules{state: domain.InvitationSent}
	server := httptest.NewServer(Invite(InviteOptions{
		Service: s, Institution: "First Bank", Now: func() time.Time { return started }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))
	t.Cleanup(server.Close)

	var title, background, message, focused, field, said string
	var width int
	seen := listen(browser)
	if err := chromedp.Run(browser,
		log.Enable(),
		chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)),
		chromedp.Navigate(server.URL+rightLink),
		chromedp.Title(&title),
		chromedp.Evaluate(`getComputedStyle(document.querySelector("button")).backgroundColor`, &background),
		chromedp.Evaluate(`document.documentElement.scrollWidth`, &width),
		picture("invite-open"),
		// With the keyboard only: the first Tab stop is the field.
		chromedp.KeyEvent(kb.Tab),
		chromedp.KeyEvent("our second boat"),
		chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(`[role=alert]`),
		chromedp.Text(`[role=alert]`, &message),
		chromedp.Evaluate(`document.activeElement.id`, &focused),
		chromedp.Value(`#secret`, &field),
		picture("invite-wrong"),
		chromedp.SendKeys(`#secret`, rightSecret),
		chromedp.Click(`button`, chromedp.ByQuery),
		chromedp.WaitVisible(`[role=status]`),
		chromedp.Text(`[role=status]`, &said),
		picture("invite-accepted"),
	); err != nil {
		t.Fatal(err)
	}
	if title != "Your invitation · First Bank" || width > 390 {
		t.Errorf("title %q, width %d", title, width)
	}
	if background == "rgba(0, 0, 0, 0)" || background == "rgb(239, 239, 239)" {
		t.Errorf("the style was refused: the button is %s", background)
	}
	if !strings.Contains(message, "The secret is not correct") || focused != "secret" || field != "" {
		t.Errorf("message %q, focus on %q, field holds %q", message, focused, field)
	}
	if !strings.Contains(said, "You have accepted") || len(s.verified) != 2 {
		t.Errorf("said %q, told %q", said, s.verified)
	}
	seen.none(t)
}

// spoken returns the text of a page for a screen reader: role, name, and descriptions or states.
func spoken(all *[]string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		nodes, err := accessibility.GetFullAXTree().Do(ctx)
		if err != nil {
			return err
		}
		text := func(v *accessibility.Value) string {
			var s string
			if v != nil {
				_ = json.Unmarshal(v.Value, &s)
			}
			return s
		}
		*all = nil
		for _, n := range nodes {
			if n.Ignored {
				continue
			}
			line := text(n.Role) + ": " + text(n.Name)
			if d := text(n.Description); d != "" {
				line += " (" + d + ")"
			}
			for _, p := range n.Properties {
				switch value := string(p.Value.Value); {
				case p.Name == "level" && text(n.Role) == "heading":
					line += " level " + value
				case p.Name == "invalid" && value == `"true"`, (p.Name == "required" || p.Name == "focused") && value == "true":
					line += " " + string(p.Name)
				}
			}
			*all = append(*all, line)
		}
		return nil
	})
}

// TestPagesForEverybody opens each state of the pages on the smallest phone, without scripts and with the keyboard
// only, and checks the screen reader's output.
func TestPagesForEverybody(t *testing.T) {
	t.Parallel()
	browser := testkit.Browser(t)
	s := &rules{}
	mail := &answering{}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	clock := func() time.Time { return started }
	mux := http.NewServeMux()
	mux.Handle("/invite", Invite(InviteOptions{Service: s, Institution: "First Bank", Now: clock, Log: quiet}))
	mux.Handle("/verify-email", VerifyEmail(VerifyEmailOptions{Service: mail, Institution: "First Bank", Now: clock, Log: quiet}))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	seen := listen(browser)
	if err := chromedp.Run(browser, log.Enable(), emulation.SetScriptExecutionDisabled(true), chromedp.EmulateViewport(320, 640, chromedp.EmulateScale(2))); err != nil {
		t.Fatal(err)
	}

	const verifyLink = "/verify-email?token=0123456789abcdef0123456789abcdef"
	limited := problem.New(problem.TooManyRequests).Until(started.Add(10 * time.Minute))
	for _, c := range []struct {
		name, link string
		rules      rules
		mail       error
		// keys are pressed after the page is loaded; then another page loads.
		keys  []string
		hears []string
	}{
		{
			"open", rightLink,
			rules{state: domain.InvitationSent},
			nil, nil,
			[]string{
				"heading: Alice Moreau invites you level 1", "textbox: Secret (Alice Moreau gave you the secret another way, for example by phone. It is not in any e-mail.) required",
				"button: Accept the invitation", "StaticText: Joint owner of an account", "StaticText: First Bank", "StaticText: 25 December 2026 at 09:30 UTC",
			},
		},
		{
			"wrong", rightLink,
			rules{state: domain.InvitationSent},
			nil,
			[]string{kb.Tab, "our second boat", kb.Enter},
			[]string{"alert: ", "heading: The secret is not correct level 2", "textbox: Secret (The secret is not correct Check it with Alice Moreau", "invalid", "focused"},
		},
		{
			"accepted", rightLink,
			rules{state: domain.InvitationSent},
			nil,
			[]string{kb.Tab, rightSecret, kb.Tab, kb.Enter},
			[]string{"status: ", "heading: You have accepted the invitation level 2", "focused"},
		},
		{"already-accepted", rightLink, rules{state: domain.InvitationAccepted}, nil, nil, []string{"status: ", "heading: This invitation is already accepted level 2"}},
		{"locked", rightLink, rules{state: domain.InvitationFailed}, nil, nil, []string{"alert: ", "heading: This invitation is locked level 2"}},
		{"expired", rightLink, rules{state: domain.InvitationExpired}, nil, nil, []string{"alert: ", "heading: This invitation has expired level 2"}},
		{"revoked", rightLink, rules{state: domain.InvitationRevoked}, nil, nil, []string{"alert: ", "heading: This invitation was revoked level 2"}},
		{
			"too-many", rightLink,
			rules{state: domain.InvitationSent, refuse: limited},
			nil,
			[]string{kb.Tab, "our second boat", kb.Enter},
			[]string{"alert: ", "heading: Too many attempts level 1", "You can try again in 10 minutes"},
		},
		{"malformed", "/invite?invitationId=%zz", rules{}, nil, nil, []string{"status: ", "heading: Use the link in the latest e-mail level 1"}},
		{"outage", rightLink, rules{previewFails: errors.New("no database")}, nil, nil, []string{"alert: ", "heading: The service is temporarily unavailable level 1", "Reference: "}},
		{"mail-open", verifyLink, rules{}, nil, nil, []string{"heading: Verify your e-mail address level 1", "button: Verify my address"}},
		{"mail-verified", verifyLink, rules{}, nil, []string{kb.Tab, kb.Enter}, []string{"status: ", "heading: Your e-mail address is verified level 1", "focused"}},
		{"mail-late", verifyLink, rules{}, problem.New(problem.TokenExpired), []string{kb.Tab, kb.Enter}, []string{"alert: ", "heading: This link has expired level 1"}},
	} {
		*s, mail.err = c.rules, c.mail
		var all []string
		var width, headings int
		var small, lang string
		var inView bool
		steps := chromedp.Tasks{chromedp.Navigate(server.URL + c.link)}
		for _, key := range c.keys {
			steps = append(steps, chromedp.KeyEvent(key))
		}
		if c.keys != nil {
			steps = append(steps, chromedp.WaitVisible(`#message`, chromedp.ByQuery))
		}
		steps = append(steps,
			chromedp.Evaluate(`document.documentElement.scrollWidth`, &width),
			chromedp.Evaluate(`document.querySelectorAll("h1").length`, &headings),
			chromedp.Evaluate(`document.documentElement.lang`, &lang),
			// Buttons are large enough for a finger, and input fields do not make a phone zoom.
			chromedp.Evaluate(`[...document.querySelectorAll("input,button")].filter(e => e.offsetHeight < 44 || parseFloat(getComputedStyle(e).fontSize) < 16).map(e => e.outerHTML).join()`, &small),
			// Messages are visible on the screen, wherever the focus is.
			chromedp.Evaluate(`(m => !m || m.getBoundingClientRect().top >= 0 && m.getBoundingClientRect().bottom <= innerHeight)(document.getElementById("message"))`, &inView),
			spoken(&all), picture("page-"+c.name),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}),
			picture("page-"+c.name+"-dark"),
			emulation.SetEmulatedMedia(),
		)
		if err := chromedp.Run(browser, steps); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		told := strings.Join(all, "\n")
		for _, want := range c.hears {
			if !strings.Contains(told, want) {
				t.Errorf("%s: the screen reader's output lacks %q:\n%s", c.name, want, told)
			}
		}
		if !inView {
			t.Errorf("%s: the message is not on the screen", c.name)
		}
		if width > 320 || headings != 1 || small != "" || lang != "en" {
			t.Errorf("%s: width %d, %d main headings, too small: %s, language %q", c.name, width, headings, small, lang)
		}
	}
	seen.none(t)
}

// answering is a service for e-mail verifications with a constant result.
type answering struct{ err error }

func (a *answering) VerifyEmail(context.Context, domain.VerifyEmailInput) (domain.Outcome[domain.EmailVerification], error) {
	return domain.Outcome[domain.EmailVerification]{}, a.err
}

// fakeGraphQL responds like the server, with fixed data.
type fakeGraphQL struct {
	mu       sync.Mutex
	requests []map[string]any
	tokens   []string
}

func (f *fakeGraphQL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.requests, f.tokens = append(f.requests, in), append(f.tokens, r.Header.Get("Authorization"))
	f.mu.Unlock()
	if strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ":\n\nevent: next\ndata: {\"data\":{\"invitationEvents\":{\"name\":\"resendInvitation\"}}}\n\nevent: complete\n\n")
		return
	}
	w.Header().Set("Content-Type", "application/graphql-response+json")
	query, _ := in["query"].(string)
	switch {
	case strings.Contains(query, "__schema"):
		_, _ = io.WriteString(w, `{"data":{"__schema":`+cannedSchema+`}}`)
	case strings.Contains(query, "createInvitation"):
		_, _ = io.WriteString(w, `{"data":{"createInvitation":{"invitation":{"id":"inv_01kb2m3n4p5q6r7s8t9v0w1x2y","state":"SENT","type":"JOINT","emailAddress":"bob@example.com","expiresAt":"2026-12-25T09:30:00Z","version":1},"problems":[],"replayed":false}}}`)
	case strings.Contains(query, "verifyInvitation"):
		_, _ = io.WriteString(w, `{"data":{"verifyInvitation":{"invitation":null,"problems":[{"code":"INVITATION_VERIFICATION_FAILED","message":"<b>no</b>"}],"replayed":false}}}`)
	default:
		_, _ = io.WriteString(w, `{"data":{"version":"0.1.0"}}`)
	}
}

const cannedSchema = `{"queryType":{"name":"Query"},"mutationType":{"name":"Mutation"},"subscriptionType":null,"types":[
{"kind":"OBJECT","name":"Query","description":"What can be asked.","fields":[{"name":"invitation","description":"One invitation that the caller may see.","args":[{"name":"id","description":"Its id.","type":{"kind":"NON_NULL","ofType":{"kind":"SCALAR","name":"ID"}}}],"type":{"kind":"OBJECT","name":"Invitation"}}]},
{"kind":"OBJECT","name":"Mutation","description":"One mutation for each transition.","fields":[{"name":"revokeInvitation","description":"Takes back an invitation nobody has accepted yet.","args":[],"type":{"kind":"OBJECT","name":"Invitation"}}]},
{"kind":"OBJECT","name":"Invitation","description":"Asks somebody to join an account or an organization.","fields":[{"name":"id","args":[],"type":{"kind":"NON_NULL","ofType":{"kind":"SCALAR","name":"ID"}}},{"name":"state","description":"Where it stands.","args":[],"type":{"kind":"NON_NULL","ofType":{"kind":"ENUM","name":"InvitationState"}}}],"interfaces":[]},
{"kind":"ENUM","name":"InvitationState","description":"Where an invitation stands.","enumValues":[{"name":"SENT","description":"The mail is on its way."},{"name":"ACCEPTED","description":"The invitee told the right secret."}]},
{"kind":"SCALAR","name":"ID","description":"An opaque id."}]}`

func TestPlaygroundInABrowser(t *testing.T) {
	t.Parallel()
	browser := testkit.Browser(t)
	fake := &fakeGraphQL{}
	mux := http.NewServeMux()
	_, console := built(PlaygroundOptions{})
	mux.Handle("/", console)
	mux.Handle("POST /graphql", fake)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	example := func(title string) chromedp.Action {
		return chromedp.Click(`//nav//button[text()="`+title+`"]`, chromedp.BySearch)
	}
	status := func(want string) chromedp.Action {
		return chromedp.Poll(`document.getElementById("status").textContent.includes("`+want+`")`, nil)
	}
	var result, refused, indented, focused, about, found, values, stored string
	var bold int
	seen := listen(browser)
	if err := chromedp.Run(browser,
		log.Enable(),
		chromedp.EmulateViewport(1360, 820),
		chromedp.Navigate(server.URL+"/"),
		chromedp.WaitVisible(`nav button[aria-current]`),
		// An example that needs an id is not sent before an id is known.
		example("Resend"),
		chromedp.Click(`#run`),
		status("not sent"),
		chromedp.Text(`#result`, &refused),
		// Create, with the keyboard and a pasted token.
		example("Create: joint owner"),
		chromedp.SendKeys(`#headers`, "aaa.bbb.ccc"),
		chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(2)), // Ctrl
		status("200"),
		chromedp.Text(`#result`, &result),
		example("Verify"),
		chromedp.Click(`#run`),
		status("1 problem"),
		chromedp.Evaluate(`document.querySelectorAll("#result b").length`, &bold),
		picture("playground"),
		// Several operations: the picker chooses.
		example("Several operations"),
		chromedp.Evaluate(`document.getElementById("operation").value = "States"`, nil),
		chromedp.Click(`#run`),
		status("200"),
		// A subscription.
		chromedp.Evaluate(`document.getElementById("document").value = "subscription { invitationEvents { name } }"`, nil),
		chromedp.Click(`#run`),
		status("ended after 1 event"),
		// Tab indents, Escape and Tab leave.
		chromedp.Evaluate(`document.getElementById("document").value = ""`, nil),
		chromedp.Focus(`#document`, chromedp.ByQuery),
		chromedp.KeyEvent("{"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("}"),
		chromedp.Value(`#document`, &indented, chromedp.ByQuery),
		chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent(kb.Tab),
		chromedp.Evaluate(`document.activeElement.id`, &focused),
		// The schema.
		chromedp.Click(`#schema-toggle`),
		chromedp.WaitVisible(`#explorer h4`),
		chromedp.SendKeys(`#search`, "takes back"),
		chromedp.Text(`#explorer`, &found),
		chromedp.Click(`//aside//button[text()="Invitation"]`, chromedp.BySearch),
		picture("playground-schema"),
		chromedp.Click(`//aside//button[text()="InvitationState"]`, chromedp.BySearch),
		chromedp.Text(`#explorer`, &values),
		chromedp.Text(`#about`, &about),
		chromedp.Evaluate(`JSON.stringify([Object.keys(sessionStorage).sort(), Object.keys(localStorage), document.cookie])`, &stored),
		chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)),
		picture("playground-phone"),
	); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(refused, "{{lastInvitationId}} is not known yet") {
		t.Errorf("refused with %q", refused)
	}
	if !strings.Contains(result, `"state": "SENT"`) || bold != 0 {
		t.Errorf("result %q, %d elements made of text", result, bold)
	}
	fake.mu.Lock()
	defer fake.mu.Unlock()
	if len(fake.requests) != 5 {
		t.Fatalf("%d requests: %v", len(fake.requests), fake.requests)
	}
	input, _ := fake.requests[1]["variables"].(map[string]any)["input"].(map[string]any)
	if fake.tokens[0] != "Bearer aaa.bbb.ccc" || input["invitationId"] != "inv_01kb2m3n4p5q6r7s8t9v0w1x2y" {
		t.Errorf("tokens %q, verify %v", fake.tokens, fake.requests[1])
	}
	if fake.requests[2]["operationName"] != "States" {
		t.Errorf("chose %v", fake.requests[2]["operationName"])
	}
	if indented != "{  }" || focused != "variables" {
		t.Errorf("typed %q, focus on %q", indented, focused)
	}
	if !strings.Contains(found, "revokeInvitation") || !strings.Contains(values, "ACCEPTED") || !strings.Contains(about, "several operations") {
		t.Errorf("found %q; values %q; about %q", found, values, about)
	}
	if stored != `[["headers","remembered"],[],""]` {
		t.Errorf("stored %s", stored)
	}
	seen.none(t)
}
