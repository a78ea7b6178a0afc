//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
)

// The documents of a typical client: the same for every request, with the values in variables.
const (
	documentR1 = `query($id:ID!){session(id:$id){id status userId lastActiveAt expireAt abandonAt version}}`
	documentR2 = `query($after:String){invitations(first:50,after:$after,where:{state:{eq:SENT}}){edges{cursor node{id state type accountUri createdAt expiresAt resendCount version}}}}`
	documentW1 = `mutation($id:ID!){touchSession(input:{sessionId:$id}){session{id status lastActiveAt abandonAt}problems{code}}}`
	documentW2 = `mutation($in:CreateInvitationInput!){createInvitation(input:$in){invitation{id state emailAddress}problems{code}}}`
	documentW3 = `mutation($id:ID!){resumeSession(input:{sessionId:$id}){session{id status version}problems{code}}}`
)

// caller holds the credentials of the connections.
type caller struct {
	// bearer holds a header line with a token for each caller.
	bearer []string
	apiKey string
	// native holds the header line of a client for each caller.
	native []string
}

const scope = "banking/full profiles/full admin/full"

// callers obtains tokens for several callers and an API key from the program, and tokens of clients only if native is
// set.
func callers(ctx context.Context, g *gatehouse, native bool) (caller, error) {
	var c caller
	for i := range subjects {
		token, err := g.command(ctx, nil, "token", "--subject", subject(i), "--scope", scope, "--ttl", "12h")
		if err != nil {
			return c, err
		}
		c.bearer = append(c.bearer, "Authorization: Bearer "+token+"\r\n")
		if !native {
			continue
		}
		client, err := g.command(ctx, nil, "token", "--kind", "client", "--client-id", numbered(clientID, i))
		if err != nil {
			return c, err
		}
		c.native = append(c.native, "Authorization: "+client+"\r\n")
	}
	key, err := g.command(ctx, nil, "apikey", "create", "--name", "bench")
	c.apiKey = "API-Key: " + key + "\r\n"
	return c, err
}

// post returns a GraphQL request with one variable whose value needs no escaping.
func post(document, variable string) func(to []byte, auth, value string) []byte {
	quoted, _ := json.Marshal(document)
	before, after := `{"query":`+string(quoted)+`,"variables":{"`+variable+`":"`, `"}}`
	const headers = "Content-Type: application/json\r\nAccept: application/json\r\n"
	return func(to []byte, auth, value string) []byte {
		to = append(to, "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n"...)
		to = append(to, auth...)
		to = append(to, headers...)
		to = append(to, "Content-Length: "...)
		to = strconv.AppendInt(to, int64(len(before)+len(value)+len(after)), 10)
		to = append(to, "\r\n\r\n"...)
		to = append(to, before...)
		to = append(to, value...)
		return append(to, after...)
	}
}

// bareTarget is H0.
func bareTarget(s *server) target {
	request := []byte("GET /bare HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	return target{address: s.admin, request: func(to []byte, _ int, _ *rand.Rand) ([]byte, string) {
		return append(to, request...), `{"bare":"x`
	}}
}

// onSession sends a document about a session of the range.
func onSession(s *server, c caller, document string, from, to int) target {
	write := post(document, "id")
	return target{address: s.address, request: func(out []byte, worker int, rng *rand.Rand) ([]byte, string) {
		id := numbered(sessionID, from+rng.IntN(to-from))
		return write(out, c.bearer[worker%subjects], id), id
	}}
}

// listTarget is R2: pages after cursors that the server returned.
func listTarget(ctx context.Context, s *server, c caller, w world) (target, error) {
	const some = 256
	cursors := make([]string, 0, some)
	for i := range some {
		at := w.begin.Add(time.Duration(i*w.lastCursor()/some) * invitedGap).Format(time.RFC3339Nano)
		body, err := json.Marshal(map[string]any{
			"query":     `query($at:DateTime!){invitations(first:1,where:{state:{eq:SENT},createdAt:{gte:$at}}){edges{cursor}}}`,
			"variables": map[string]any{"at": at},
		})
		if err != nil {
			return target{}, err
		}
		_, answer, err := exchangeOnce(ctx, target{address: s.address}, appendRequest(nil, "POST", "/graphql", c.bearer[0]+"Content-Type: application/json\r\n", body), `"cursor"`)
		if err != nil {
			return target{}, err
		}
		_, rest, _ := strings.Cut(answer, `"cursor":"`)
		cursor, _, _ := strings.Cut(rest, `"`)
		cursors = append(cursors, cursor)
	}
	write := post(documentR2, "after")
	return target{address: s.address, request: func(to []byte, worker int, rng *rand.Rand) ([]byte, string) {
		return write(to, c.bearer[worker%subjects], cursors[rng.IntN(len(cursors))]), `"version":1}}]`
	}}, nil
}

// createTarget is W2: a different invitee for every request.
func createTarget(s *server, c caller) target {
	quoted, _ := json.Marshal(documentW2)
	return target{address: s.address, request: func(to []byte, worker int, rng *rand.Rand) ([]byte, string) {
		address := fmt.Sprintf("new-%016x@example.com", rng.Uint64())
		body := fmt.Sprintf(`{"query":%s,"variables":{"in":{"emailAddress":"%s","sharedSecret":"correct horse battery","type":"JOINT","inviterFullName":"Ada Bench","accountUri":"/accounts/accounts/%s"}}}`,
			quoted, address, account(worker))
		return appendRequest(to, "POST", "/graphql", c.bearer[worker%subjects]+"Content-Type: application/json\r\n", []byte(body)), address
	}}
}

// tokenTarget is T1: a token of one of the caller's own sessions.
func tokenTarget(s *server, c caller, w world) target {
	return target{address: s.address, request: func(to []byte, worker int, rng *rand.Rand) ([]byte, string) {
		id := numbered(sessionID, w.rows+rng.IntN(callerSessions/subjects)*subjects+worker%subjects)
		return appendRequest(to, "POST", "/v1/client/sessions/"+id+"/tokens?_is_native=1", c.native[worker%subjects], nil), `"jwt":"eyJ`
	}}
}

// viewTarget is V1: the HAL resource of an invitation.
func viewTarget(s *server, c caller, w world) target {
	return target{address: s.address, header: "\r\nEtag: ", request: func(to []byte, worker int, rng *rand.Rand) ([]byte, string) {
		id := numbered(inviteID, rng.IntN(w.rows))
		return appendRequest(to, "GET", "/invitations/invitations/"+id, c.bearer[worker%subjects]+c.apiKey, nil), id
	}}
}

// conditionalTarget is V1c: the same request with If-None-Match and the current ETag; the response is 304.
func conditionalTarget(ctx context.Context, s *server, c caller, w world) (target, error) {
	const some = 256
	type known struct{ id, etag string }
	seen := make([]known, 0, some)
	view := target{address: s.address}
	for i := range some {
		id := numbered(inviteID, i*w.rows/some)
		head, _, err := exchangeOnce(ctx, view, appendRequest(nil, "GET", "/invitations/invitations/"+id, c.bearer[0]+c.apiKey, nil), id)
		if err != nil {
			return view, err
		}
		_, rest, _ := strings.Cut(head, "\r\nEtag: ")
		etag, _, found := strings.Cut(rest, "\r\n")
		if !found {
			return view, errors.New("no ETag in the response")
		}
		seen = append(seen, known{id, etag})
	}
	return target{address: s.address, status: 304, request: func(to []byte, worker int, rng *rand.Rand) ([]byte, string) {
		one := seen[rng.IntN(len(seen))]
		return appendRequest(to, "GET", "/invitations/invitations/"+one.id, c.bearer[worker%subjects]+c.apiKey+"If-None-Match: "+one.etag+"\r\n", nil), ""
	}}, nil
}

// benchRow is one row of the tables: its name, and how to run one round.
type benchRow struct {
	// system is sqlite, postgres, pgbench, postgraphile, reference or bare, or in a comparison the result of olderSystem.
	system string
	// id is the id of the operation.
	id string
	// run measures one round.
	run func(ctx context.Context, d time.Duration) (sample, error)
	// server is the server to profile for this row; nil for none.
	server *server
}

// sample is the result of one round.
type sample struct {
	rate     float64
	p50, p99 time.Duration
	// server, database and client are the processor times per valid response.
	server, database, client time.Duration
	// foreign is the share of the processor time of the machine that other processes took, idle servers included.
	foreign float64
}

// over returns a function that measures a target of a server.
func over(s *server, t target) func(context.Context, time.Duration) (sample, error) {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		server, database, client, before := cpu(s.pid(), false), cpu(s.database, true), cpu(os.Getpid(), false), readMachine()
		l, err := drive(ctx, t, connections, d)
		if err != nil || l.good == 0 {
			return sample{}, errors.Join(err, ctx.Err())
		}
		server, database, client = cpu(s.pid(), false)-server, cpu(s.database, true)-database, cpu(os.Getpid(), false)-client
		n := time.Duration(l.good)
		return sample{
			rate: float64(l.good) / l.took.Seconds(), p50: l.percentile(0.5), p99: l.percentile(0.99),
			server: server / n, database: database / n, client: client / n,
			foreign: readMachine().foreignShare(before, server+database+client),
		}, nil
	}
}

// product returns the selected rows of a running Gatehouse.
func product(ctx context.Context, name string, s *server, c caller, w world, wants func(system, id string) bool) (rows []benchRow, err error) {
	rows = []benchRow{
		{system: name, id: "H0", run: over(s, bareTarget(s))},
		{system: name, id: "R1", run: over(s, onSession(s, c, documentR1, 0, w.rows))},
		{system: name, id: "W1", run: over(s, onSession(s, c, documentW1, 0, w.rows))},
		{system: name, id: "W1c", run: over(s, onSession(s, c, documentW1, w.rows+callerSessions, w.rows+w.onClients))},
		{system: name, id: "W3", run: over(s, onSession(s, c, documentW3, 0, w.rows))},
		{system: name, id: "V1", run: over(s, viewTarget(s, c, w))},
		{system: name, id: "T1 RS256", run: over(s, tokenTarget(s, c, w))},
	}
	create := over(s, createTarget(s, c))
	rows = append(rows, benchRow{system: name, id: "W2", run: func(ctx context.Context, d time.Duration) (sample, error) {
		defer s.waitForMails(ctx)
		return create(ctx, d)
	}})
	// These request cursors and ETags from the server first.
	for id, prepare := range map[string]func(context.Context, *server, caller, world) (target, error){"R2": listTarget, "V1c": conditionalTarget} {
		if !wants(name, id) {
			continue
		}
		t, err := prepare(ctx, s, c, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		rows = append(rows, benchRow{system: name, id: id, run: over(s, t)})
	}
	for i := range rows {
		rows[i].server = s
	}
	return rows, nil
}

// postgraphileRows are the equivalents of R1, R2 and W1 on the same tables.
func postgraphileRows(ctx context.Context, s *server, w world) ([]benchRow, error) {
	read := post(`query($id:String!){sessionById(id:$id){id state userId lastActiveAt expireAt abandonAt version}}`, "id")
	list := post(`query($after:Cursor){allInvitations(first:50,after:$after,condition:{state:"sent"},orderBy:[CREATED_AT_ASC,ID_ASC]){edges{cursor node{id state type accountUri createdAt expiresAt resendCount version}}}}`, "after")
	now := time.Now()
	touch := post(fmt.Sprintf(`mutation($id:String!){updateSessionById(input:{id:$id,sessionPatch:{lastActiveAt:"%d",abandonAt:"%d"}}){session{id state lastActiveAt abandonAt}}}`,
		now.UnixMicro(), now.Add(24*time.Hour).UnixMicro()), "id")
	const some = 64
	var cursors []string
	for i := range some {
		body, err := json.Marshal(map[string]any{"query": fmt.Sprintf(`{allInvitations(first:1,offset:%d,condition:{state:"sent"},orderBy:[CREATED_AT_ASC,ID_ASC]){edges{cursor}}}`, i*w.lastCursor()*7/10/some)})
		if err != nil {
			return nil, err
		}
		_, answer, err := exchangeOnce(ctx, target{address: s.address}, appendRequest(nil, "POST", "/graphql", "Content-Type: application/json\r\n", body), `"cursor"`)
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(answer, `"cursor":"`)
		cursor, _, _ := strings.Cut(rest, `"`)
		cursors = append(cursors, cursor)
	}
	session := func(write func(to []byte, auth, value string) []byte) target {
		return target{address: s.address, request: func(to []byte, _ int, rng *rand.Rand) ([]byte, string) {
			id := numbered(sessionID, rng.IntN(w.rows))
			return write(to, "", id), id
		}}
	}
	return []benchRow{
		{system: "postgraphile", id: "R1", run: over(s, session(read))},
		{system: "postgraphile", id: "R2", run: over(s, target{address: s.address, request: func(to []byte, _ int, rng *rand.Rand) ([]byte, string) {
			return list(to, "", cursors[rng.IntN(len(cursors))]), `"version":"1"}}]`
		}})},
		{system: "postgraphile", id: "W1", run: over(s, session(touch))},
	}, nil
}

// pgbenchRows are the product's statements without the product.
func pgbenchRows(p *postgres, w world) ([]benchRow, error) {
	var out []benchRow
	for _, s := range w.scripts() {
		file, err := writeScript(p.dir, s)
		if err != nil {
			return nil, err
		}
		out = append(out, benchRow{system: "pgbench", id: s.name, run: func(ctx context.Context, d time.Duration) (sample, error) {
			before, processes := cpu(p.pid(), true), len(children(p.pid()))
			rate, mean, done, err := p.pgbench(ctx, file, d)
			if err != nil {
				return sample{}, err
			}
			after := cpu(p.pid(), true)
			p.waitForBackends(ctx, processes)
			return sample{rate: rate, p50: mean, database: (after - before) / time.Duration(done)}, nil
		}})
	}
	return out, nil
}
