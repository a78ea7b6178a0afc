//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// target is a server and the requests that a row sends to it.
type target struct {
	address string
	// request appends a complete HTTP/1.1 request, and returns a text that a valid response contains. worker is the
	// number of the connection.
	request func(to []byte, worker int, rng *rand.Rand) (request []byte, holds string)
	// status is the status of a valid response; 0 means 200.
	status int
	// header searches for the text in the response header too.
	header string
}

// loadResult is the result of one round of one row.
type loadResult struct {
	good uint64
	took time.Duration
	histogram
}

// drive keeps the given number of connections busy, each with one request at a time, for the duration. An invalid
// response aborts the measurement, because a rate of failures is meaningless.
func drive(ctx context.Context, t target, connections int, d time.Duration) (loadResult, error) {
	conns := make([]*connection, connections)
	for i := range conns {
		c, err := dial(ctx, t.address)
		if err != nil {
			return loadResult{}, err
		}
		defer c.close()
		_ = c.conn.SetDeadline(time.Now().Add(d + responseTimeout))
		conns[i] = c
	}
	var workers sync.WaitGroup
	loads := make([]loadResult, connections)
	errs := make([]error, connections)
	start := time.Now()
	end := start.Add(d)
	for i, c := range conns {
		workers.Go(func() {
			rng := newRandom()
			var out []byte
			var holds string
			for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
				out, holds = t.request(out[:0], i, rng)
				if errs[i] = c.exchange(out, t, holds); errs[i] != nil {
					return
				}
				after := time.Now()
				loads[i].add(after.Sub(now))
				now = after
			}
		})
	}
	workers.Wait()
	var sum loadResult
	sum.took = time.Since(start)
	for i := range loads {
		sum.merge(&loads[i].histogram)
	}
	sum.good = sum.count
	return sum, errors.Join(errors.Join(errs...), ctx.Err())
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

// connection is one keep-alive connection. It implements only as much of HTTP/1.1 as the measured servers need, and
// costs a fraction of net/http's client.
type connection struct {
	conn net.Conn
	in   *bufio.Reader
	head []byte
	body []byte
}

func dial(ctx context.Context, address string) (*connection, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, 8<<10)}, nil
}

func (c *connection) close() { _ = c.conn.Close() }

// responseTimeout is the time limit for one response.
const responseTimeout = 30 * time.Second

func (c *connection) exchange(request []byte, t target, holds string) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.read()
	if err != nil {
		return fmt.Errorf("read the response: %w", err)
	}
	want := t.status
	if want == 0 {
		want = 200
	}
	switch {
	case status != want,
		holds != "" && !bytes.Contains(c.body, []byte(holds)),
		t.header != "" && !bytes.Contains(c.head, []byte(t.header)),
		bytes.Contains(c.body, []byte(`"errors":[`)),
		bytes.Contains(c.body, []byte(`"problems":[{`)):
		return fmt.Errorf("a response with status %d without %q: %.300s", status, holds, c.body)
	}
	return nil
}

var errNotHTTP = errors.New("not an HTTP/1.1 response")

// read reads one response from the connection.
func (c *connection) read() (status int, err error) {
	c.head, c.body = c.head[:0], c.body[:0]
	length, chunked := -1, false
	for n := 0; ; n++ {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		c.head = append(c.head, line...)
		line = bytes.TrimRight(line, "\r\n")
		if n == 0 {
			if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
				return 0, errNotHTTP
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, errNotHTTP
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, errNotHTTP
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	switch {
	case status == 204 || status == 304:
		return status, nil
	case chunked:
		return status, c.chunks()
	case length < 0:
		return status, errNotHTTP
	}
	return status, c.readBody(length)
}

// readBody reads n bytes of the body.
func (c *connection) readBody(n int) error {
	at := len(c.body)
	if cap(c.body) < at+n {
		c.body = append(make([]byte, 0, 2*(at+n)), c.body...)
	}
	c.body = c.body[:at+n]
	_, err := io.ReadFull(c.in, c.body[at:])
	return err
}

func (c *connection) chunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31)
		if err != nil {
			return errNotHTTP
		}
		if n > 0 {
			if err := c.readBody(int(n)); err != nil {
				return err
			}
		}
		if _, err := c.in.Discard(2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// exchangeOnce sends one request and returns the response.
func exchangeOnce(ctx context.Context, t target, request []byte, holds string) (head, body string, err error) {
	c, err := dial(ctx, t.address)
	if err != nil {
		return "", "", err
	}
	defer c.close()
	_ = c.conn.SetDeadline(time.Now().Add(responseTimeout))
	err = c.exchange(request, t, holds)
	return string(c.head), string(c.body), err
}

// appendRequest appends a request; headers are complete lines.
func appendRequest(to []byte, method, path, headers string, body []byte) []byte {
	to = append(to, method...)
	to = append(to, ' ')
	to = append(to, path...)
	to = append(to, " HTTP/1.1\r\nHost: 127.0.0.1\r\n"...)
	to = append(to, headers...)
	if body != nil || method == "POST" {
		to = append(to, "Content-Length: "...)
		to = strconv.AppendInt(to, int64(len(body)), 10)
		to = append(to, "\r\n"...)
	}
	to = append(to, "\r\n"...)
	return append(to, body...)
}
