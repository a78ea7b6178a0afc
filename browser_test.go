package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestPlaygroundOfTheProgram pastes the printed token into the playground of the running program and takes an
// invitation through its life with the ready examples, in a browser that reaches no other host.
func TestPlaygroundOfTheProgram(t *testing.T) {
	t.Parallel()
	browser := testkit.Browser(t)
	w := newWorld(t)
	s := w.serve()
	token := s.out.await(t, `Token: +(\S+)`)[1]
	bob := s.token("bob", "banking/full")

	example := func(title string) chromedp.Tasks {
		return chromedp.Tasks{
			chromedp.Click(`//nav//button[text()="`+title+`"]`, chromedp.BySearch),
			chromedp.Click(`#run`),
			chromedp.Poll(`/\b200\b/.test(document.getElementById("status").textContent)`, nil),
		}
	}
	shown := func(want string) chromedp.Action {
		return chromedp.Poll(`document.getElementById("result").textContent.includes(`+quoted(want)+`)`, nil, chromedp.WithPollingTimeout(20*time.Second))
	}
	as := func(who string) chromedp.Tasks {
		return chromedp.Tasks{chromedp.SetValue(`#headers`, who, chromedp.ByQuery), chromedp.Evaluate(`document.getElementById("headers").dispatchEvent(new Event("input", {bubbles: true}))`, nil)}
	}
	if err := chromedp.Run(browser,
		chromedp.Navigate(s.url+"/"),
		chromedp.WaitVisible(`nav button[aria-current]`),
		as(token),
		example("Create: joint owner"), shown(`"SENT"`),
		example("Resend"), shown(`"resendCount"`),
		as(bob),
		example("Verify"), shown(`"ACCEPTED"`),
		as(token),
		example("Complete"), shown(`"COMPLETED"`),
		chromedp.Click(`#schema-toggle`), chromedp.WaitVisible(`#explorer h4`), // introspection works
	); err != nil {
		var page string
		_ = chromedp.Run(browser, chromedp.Text(`body`, &page))
		t.Fatalf("%v\n%s", err, page)
	}
}

func quoted(s string) string { return "'" + s + "'" }

// TestTraces: with the standard variable set, the spans of requests arrive at the collector, without a query string.
func TestTraces(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(raw)
	}))
	t.Cleanup(collector.Close)
	s := newWorld(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL).serve()
	s.send("GET", "/invite?invitationId=inv_1&key=abcdef", "")
	s.stop()
	select {
	case spans := <-got:
		if !strings.HasPrefix(spans, "/v1/traces ") || !strings.Contains(spans, "GET /invite") || strings.Contains(spans, "abcdef") {
			t.Errorf("the collector got %q", spans)
		}
	case <-time.After(20 * time.Second):
		t.Error("the collector got nothing")
	}
}

// TestGeneratedPagesAreCurrent holds docs/ against what the program writes.
func TestGeneratedPagesAreCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("docs", "--dir", "pages")
	for _, name := range []string{"machines.md", "errors.md", "config.md"} {
		want, err := os.ReadFile(filepath.Join(w.dir, "pages", name))
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(filepath.Join("docs", name)); err != nil || string(have) != string(want) {
			t.Errorf("docs/%s is stale: run `go run . docs`", name)
		}
	}
}
