package stories

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestConsoleOfTheProgram pastes the printed token into the console of the running program and takes an invitation
// through its life with the ready examples, in a browser that reaches no other host. Then it listens to what happens.
func TestConsoleOfTheProgram(t *testing.T) {
	t.Parallel()
	browser := testkit.Browser(t)
	w := newWorld(t)
	s := w.serve()
	token := s.Out.Await(t, `Token: +(\S+)`)[1]
	bob := s.token("bob", "banking/full")

	example := func(title string) chromedp.Tasks {
		return chromedp.Tasks{
			click(`//nav//button[text()="`+title+`"]`, chromedp.BySearch),
			click(`#run`),
			chromedp.Poll(`/\b200\b/.test(document.getElementById("status").textContent)`, nil),
		}
	}
	shown := func(want string) chromedp.Action {
		return chromedp.Poll(`document.getElementById("result").textContent.includes(`+quoted(want)+`)`, nil, chromedp.WithPollingTimeout(testkit.Patience))
	}
	as := func(who string) chromedp.Tasks {
		return chromedp.Tasks{chromedp.Evaluate(`document.getElementById("headers").value = `+quoted(who), nil), chromedp.Evaluate(`document.getElementById("headers").dispatchEvent(new Event("input", {bubbles: true}))`, nil)}
	}
	watched := watch(browser, s.url)
	if err := chromedp.Run(browser,
		network.Enable(), log.Enable(),
		chromedp.Navigate(s.url+"/playground/console"),
		chromedp.WaitVisible(`nav button[aria-current]`),
		as(token),
		example("Create: joint owner"), shown(`"SENT"`),
		example("Resend"), shown(`"resendCount"`),
		as(bob),
		example("Verify"), shown(`"ACCEPTED"`),
		as(token),
		example("Complete"), shown(`"COMPLETED"`),
		click(`#schema-toggle`), chromedp.WaitVisible(`#explorer h4`), // introspection works
		click(`//nav//button[text()="All events"]`, chromedp.BySearch),
		click(`#run`),
		s.until(`/"createInvitation"/.test(document.getElementById("result").textContent)`, token),
		click(`#stop`),
		chromedp.Poll(`document.getElementById("status").textContent === "stopped"`, nil),
		// With nobody's token written by hand, the headers follow the example, and the server makes the token.
		as(""),
		example("Who am I"), shown(`"alice"`),
	); err != nil {
		var page string
		_ = chromedp.Run(browser, chromedp.Text(`.result`, &page, chromedp.ByQuery))
		t.Fatalf("%v\n%s", err, page)
	}
	watched.clean(t)
}

// until makes invitations until the expression is true: a subscription shows what happens after its start, and nothing
// on the page says when that is.
func (s *server) until(expression, token string) chromedp.Action {
	return again(s.inviting(token), expression)
}

// inviting creates an invitation beside the page.
func (s *server) inviting(token string) chromedp.Action {
	return chromedp.ActionFunc(func(context.Context) error {
		s.invite(token)
		return nil
	})
}

// again repeats the action until the expression is true.
func again(action chromedp.Action, expression string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for range 60 {
			if err := action.Do(ctx); err != nil {
				return err
			}
			if err := chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(2*time.Second)).Do(ctx); !errors.Is(err, chromedp.ErrPollingTimeout) {
				return err
			}
		}
		return fmt.Errorf("never true: %s", expression)
	})
}

// click clicks on an element. A page that renders an element again between the search and the click makes the browser
// answer that there is no such node; the element is then searched again.
func click(selector string, options ...chromedp.QueryOption) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		const attempts, pause = 100, 100 * time.Millisecond
		var err error
		for range attempts {
			err = chromedp.Click(selector, options...).Do(ctx)
			var protocol *cdproto.Error
			if !errors.As(err, &protocol) || protocol.Code != nodeNotFound {
				return err
			}
			if err := chromedp.Sleep(pause).Do(ctx); err != nil {
				return err
			}
		}
		return err
	})
}

// nodeNotFound is the code with which Chromium refuses a command for a node that the page no longer has.
const nodeNotFound = -32000

// watched is what a page asks of others, and what the browser says against it.
type watched struct {
	mu      sync.Mutex
	foreign []string
	asked   int
}

// watch looks at every request of the page, and hears every complaint.
func watch(browser context.Context, origin string) *watched {
	w := &watched{}
	chromedp.ListenTarget(browser, func(event any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			w.asked++
			if u := e.Request.URL; !strings.HasPrefix(u, origin+"/") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:"+origin+"/") {
				w.foreign = append(w.foreign, u)
			}
		case *runtime.EventExceptionThrown:
			w.foreign = append(w.foreign, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			w.foreign = append(w.foreign, e.Entry.Text+" "+e.Entry.URL)
		}
	})
	return w
}

func (w *watched) clean(t *testing.T, except ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.foreign = slices.DeleteFunc(w.foreign, func(complaint string) bool { return slices.Contains(except, complaint) })
	if len(w.foreign) > 0 || w.asked == 0 {
		t.Errorf("%d requests; other hosts and complaints: %q", w.asked, w.foreign)
	}
}

// TestGraphiQLOfTheProgram drives GraphiQL, where it is built in: a query, mutations, the explorer, an example, and a
// subscription, with the tokens that the server makes, in a browser that reaches no other host.
func TestGraphiQLOfTheProgram(t *testing.T) {
	t.Parallel()
	withoutGraphiQL(t)
	browser := testkit.Browser(t)
	w := newWorld(t)
	s := w.serve()
	token := s.Out.Await(t, `Token: +(\S+)`)[1]
	watched := watch(browser, s.url)

	const result = `document.querySelector(".result-window").textContent`
	// GraphiQL looks for the operations of a tab some time after it shows the tab, and nothing on the page says when. Until
	// then the button offers those of the tab before, or runs the document at once, which is refused; and a menu that is
	// drawn again while it is clicked runs nothing. So run repeats both steps until the wanted answer is shown. Every
	// operation of this story gives that answer a second time as well.
	run := func(operation, want string, meanwhile ...chromedp.Action) chromedp.Action {
		item := `//*[@role="menuitem" and text()="` + operation + `"]`
		offered := `document.evaluate('` + item + `', document, null, XPathResult.BOOLEAN_TYPE).booleanValue`
		return chromedp.ActionFunc(func(ctx context.Context) error {
			for range 100 {
				if err := click(`.graphiql-execute-button`, chromedp.ByQuery).Do(ctx); err != nil {
					return err
				}
				err := chromedp.Poll(offered, nil, chromedp.WithPollingTimeout(time.Second)).Do(ctx)
				if err == nil {
					if err := click(item, chromedp.BySearch).Do(ctx); err != nil {
						return err
					}
					for range 5 {
						if err := chromedp.Tasks(meanwhile).Do(ctx); err != nil {
							return err
						}
						err = chromedp.Poll(result+`.includes(`+quoted(want)+`)`, nil, chromedp.WithPollingTimeout(2*time.Second)).Do(ctx)
						if err == nil {
							return nil
						}
					}
				}
				if !errors.Is(err, chromedp.ErrPollingTimeout) {
					return err
				}
				if err := chromedp.KeyEvent(kb.Escape).Do(ctx); err != nil {
					return err
				}
			}
			return fmt.Errorf("the operation %s is not offered, or has no answer with %s", operation, want)
		})
	}
	tab := func(name string) chromedp.Action {
		return click(`//button[contains(@class, "graphiql-tab-button") and text()="`+name+`"]`, chromedp.BySearch)
	}
	var stored string
	if err := chromedp.Run(browser,
		network.Enable(), log.Enable(),
		chromedp.EmulateViewport(1360, 820),
		chromedp.Navigate(s.url+"/"),
		chromedp.WaitVisible(`.graphiql-execute-button`),
		run("Invitations", `"totalCount": 0`),
		run("CreateInvitation", `"SENT"`),
		tab("VerifyInvitation"),
		run("VerifyInvitation", `"ACCEPTED"`), // as bob, with the id that the other tab has seen
		tab("Sessions"),
		run("CreateSession", `"ACTIVE"`),
		run("TouchSession", `"touchSession"`),
		click(`button[aria-label="Show GraphiQL Explorer"]`, chromedp.ByQuery),
		chromedp.WaitVisible(`.graphiql-explorer-root`),
		click(`button[aria-label="Show Documentation Explorer"]`, chromedp.ByQuery),
		chromedp.WaitVisible(`.graphiql-doc-explorer`),
		click(`button[aria-label="Show Examples"]`, chromedp.ByQuery),
		click(`//section//b[text()="Create a report"]`, chromedp.BySearch),
		chromedp.Poll(`document.querySelector(".graphiql-query-editor").textContent.includes("CreateFraudRiskReport")`, nil),
		again(click(`.graphiql-execute-button`, chromedp.ByQuery), result+`.includes('"PASSED_WITH_RISK_FACTORS"')`), // a tab that is being made forgets the answer
		click(`button[aria-label="Hide Examples"]`, chromedp.ByQuery),
		tab("LifecycleEvents"),
		run("LifecycleEvents", `createInvitation`, s.inviting(token)),
		click(`.graphiql-execute-button`, chromedp.ByQuery), // stops
		click(`button[aria-label="Show Help"]`, chromedp.ByQuery),
		chromedp.WaitVisible(`//section//a[text()="Reference"]`, chromedp.BySearch),
		chromedp.Poll(`JSON.stringify([{...localStorage}, {...sessionStorage}]).includes("{{alice}}")`, nil, chromedp.WithPollingTimeout(testkit.Patience)), // it is written with a delay
		chromedp.Evaluate(`JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])`, &stored),
	); err != nil {
		var page string
		var answer string
		_ = chromedp.Run(browser, chromedp.Text(`body`, &page), chromedp.Evaluate(result, &answer))
		t.Fatalf("%v\nthe answer: %s\nthe page: %s", err, answer, page)
	}
	// A click on the button before GraphiQL knows the operations of the tab is refused, and run tries again.
	watched.clean(t, "Failed to load resource: the server responded with a status of 400 (Bad Request) "+s.url+"/graphql")
	if strings.Contains(stored, "eyJ") || !strings.Contains(stored, "{{alice}}") {
		t.Errorf("the browser keeps a token, or no header: %s", stored)
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
	s.Stop()
	select {
	case spans := <-got:
		if !strings.HasPrefix(spans, "/v1/traces ") || !strings.Contains(spans, "GET /invite") || strings.Contains(spans, "abcdef") {
			t.Errorf("the collector got %q", spans)
		}
	case <-time.After(testkit.Patience):
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
		if have, err := os.ReadFile(filepath.Join("..", "docs", name)); err != nil || string(have) != string(want) {
			t.Errorf("docs/%s is stale: run `go run . docs`", name)
		}
	}
}
