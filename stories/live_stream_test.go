package stories

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse/gatehouse/testkit"
)

// happening is an event as a subscriber gets it, or the last word of a stream.
type happening struct {
	Cursor, Name, SubjectID string
	// err is the code of an error, done what ended the stream: complete, cut, or the code that closed a WebSocket.
	err, done string
}

// stream is a subscription that is read in the background.
type stream struct {
	t     testing.TB
	come  chan happening
	close func()
}

const following = `subscription($after: String) { it: lifecycleEvents(after: $after) { cursor name subjectId } }`

// read gives what comes; the test fails where nothing does.
func (s *stream) read() happening {
	s.t.Helper()
	select {
	case h := <-s.come:
		return h
	case <-time.After(testkit.Patience):
		s.t.Fatal("nothing came")
		return happening{}
	}
}

// event gives the next event.
func (s *stream) event() happening {
	s.t.Helper()
	h := s.read()
	if h.err != "" || h.done != "" {
		s.t.Fatalf("the stream ended: %+v", h)
	}
	return h
}

// ends reads to the end, and says how it came: the code of the last error, and what closed the stream.
func (s *stream) ends() (err, done string) {
	s.t.Helper()
	for {
		h := s.read()
		if h.err != "" {
			err = h.err
		}
		if h.done != "" {
			return err, h.done
		}
	}
}

// answered reads the payload of a message.
func answered(payload []byte) happening {
	var body struct {
		Data   struct{ It happening }
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(payload, &body); err != nil {
		return happening{err: err.Error()}
	}
	if len(body.Errors) > 0 {
		return happening{err: body.Errors[0].Extensions.Code}
	}
	return body.Data.It
}

// open subscribes over server-sent events, with header lines.
func (s *server) open(token, query string, variables map[string]any, header ...string) *stream {
	s.t.Helper()
	body, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range append(header, "Authorization: Bearer "+token, "Accept: text/event-stream", "Content-Type: application/json") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		text, _ := io.ReadAll(res.Body)
		s.t.Fatalf("%s: %d %s", query, res.StatusCode, text)
	}
	out := &stream{t: s.t, come: make(chan happening, 10000), close: cancel}
	go func() {
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		name, id := "", ""
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case field == "event":
				name = value
			case field == "id":
				id = value
			case field == "data" && name == "complete":
				out.come <- happening{done: "complete"}
				return
			case field == "data":
				h := answered([]byte(value))
				if h.err == "" && h.Cursor != id {
					h.err = fmt.Sprintf("the id is %q and the cursor %q", id, h.Cursor)
				}
				out.come <- h
			}
		}
		out.come <- happening{done: "cut"}
	}()
	return out
}

// dial connects a WebSocket and waits for the acknowledgement.
func (s *server) dial(token string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	say(s.t, conn, fmt.Sprintf(`{"type":"connection_init","payload":{"Authorization":"Bearer %s"}}`, token))
	if m := heard(s.t, conn); m != `{"type":"connection_ack"}` {
		s.t.Fatal(m)
	}
	return conn
}

func say(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	if err := conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// heard gives the next message, or the code that closed the connection.
func heard(t testing.TB, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	_, text, err := conn.Read(ctx)
	if err != nil {
		return strconv.Itoa(int(websocket.CloseStatus(err)))
	}
	return string(text)
}

// openSocket subscribes to all events over WebSocket.
func (s *server) openSocket(token string, variables map[string]any) *stream {
	s.t.Helper()
	if variables["after"] == nil { // nothing says when it has begun, so it begins where the feed ends now
		after := "0.0"
		if all := s.history(token); len(all) > 0 {
			after = all[len(all)-1].Cursor
		}
		variables = map[string]any{"after": after}
	}
	conn := s.dial(token)
	body, _ := json.Marshal(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": following, "variables": variables}})
	say(s.t, conn, string(body))
	out := &stream{t: s.t, come: make(chan happening, 10000), close: func() { _ = conn.CloseNow() }}
	go func() {
		for {
			_, text, err := conn.Read(context.Background())
			if err != nil {
				out.come <- happening{done: strconv.Itoa(int(websocket.CloseStatus(err)))}
				return
			}
			var m struct {
				Type    string
				Payload json.RawMessage
			}
			_ = json.Unmarshal(text, &m)
			switch m.Type {
			case "next":
				out.come <- answered(m.Payload)
			case "error":
				out.come <- answered([]byte(`{"errors":` + string(m.Payload) + `}`))
			case "complete":
				out.come <- happening{done: "complete"}
				return
			}
		}
	}()
	return out
}

// history is the whole feed, as the list has it.
func (s *server) history(token string) []happening {
	s.t.Helper()
	var out []happening
	for after := any(nil); ; {
		r := s.gql(token, `query($after: String) { lifecycleEvents(first: 100, after: $after) { nodes { cursor name subjectId } pageInfo { hasNextPage endCursor } } }`,
			map[string]any{"after": after})
		var body struct {
			Data struct {
				LifecycleEvents struct {
					Nodes    []happening
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			s.t.Fatal(err)
		}
		page := body.Data.LifecycleEvents
		out = append(out, page.Nodes...)
		if !page.PageInfo.HasNextPage {
			return out
		}
		after = page.PageInfo.EndCursor
	}
}
