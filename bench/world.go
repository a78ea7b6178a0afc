//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// The ids of the loaded records have the format of the product's own and end in a number, so that pgbench can generate
// them.
const (
	idMiddle   = "0000000000000bench"
	firstID    = 10_000_000
	sessionID  = "sess_" + idMiddle
	inviteID   = "inv_" + idMiddle
	clientID   = "client_" + idMiddle
	invitedGap = 20 * time.Microsecond // between two invitations
)

// connections is the number of clients in every row, pgbench's included.
const connections = 32

// subjects is the number of different callers that share the connections. The program issues a token for each, which
// takes time.
const subjects = 4

// callerSessions is the number of sessions on the clients of the callers.
const callerSessions = 128 * subjects

// world describes the data loaded into each database.
type world struct {
	// rows is the number of sessions without a client, and of invitations.
	rows int
	// onClients is the number of additional sessions with a client: the first ones share the clients of the callers,
	// each other one has its own.
	onClients int
	// begin is when the first invitation was created, in whole seconds.
	begin time.Time
}

func newWorld(rows int) world {
	return world{
		rows: rows, onClients: max(rows/10, 2*callerSessions),
		begin: time.Now().UTC().Truncate(time.Second).Add(-time.Hour),
	}
}

func numbered(prefix string, n int) string { return prefix + strconv.Itoa(firstID+n) }

// client returns the client of session number n.
func (w world) client(n int) string {
	if n -= w.rows; n < callerSessions {
		n %= subjects
	}
	return numbered(clientID, n)
}

// isOutstanding reports whether invitation number n is outstanding: seven of ten are.
func isOutstanding(n int) bool { return n%10 < 7 }

// account returns the account of the subject of a connection.
func account(worker int) string { return fmt.Sprintf("bench-%d", worker%subjects) }

func subject(worker int) string { return fmt.Sprintf("user-bench-%d", worker%subjects) }

// directory writes the input of `gatehouse import`: an account for each caller, and the sessions.
func (w world) directory(to io.Writer) error {
	out := bufio.NewWriter(to)
	in := json.NewEncoder(out)
	for i := range subjects {
		if err := in.Encode(map[string]any{"kind": "account", "id": account(i), "owners": []string{subject(i)}}); err != nil {
			return err
		}
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for n := range w.rows + w.onClients {
		line := map[string]any{
			"kind": "session", "id": numbered(sessionID, n), "userId": fmt.Sprintf("user-%d", n%50_000),
			"createdAt": w.begin.Add(time.Duration(n) * 10 * time.Microsecond).Format(time.RFC3339Nano), "lastActiveAt": now,
			"ipAddress": fmt.Sprintf("198.51.100.%d", n%256),
			"userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		}
		if n >= w.rows {
			line["clientId"] = w.client(n)
		}
		if err := in.Encode(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// insertInvitations stores the invitations as the product stores them, many per unit. There is no import of
// invitations, and creating them one by one would hash a hundred thousand secrets.
func (w world) insertInvitations(ctx context.Context, url string, key seal.Key) error {
	store, err := db.Open(ctx, db.Options{URL: url, Key: key, Now: time.Now, Timeout: time.Minute})
	if err != nil {
		return err
	}
	defer store.Close()
	hash, err := seal.NewHasher(seal.CostDefault).Hash(ctx, "correct horse battery")
	if err != nil {
		return err
	}
	others := []domain.InvitationState{domain.InvitationAccepted, domain.InvitationRevoked, domain.InvitationCompleted}
	const batch = 500
	for from := 0; from < w.rows; from += batch {
		unit := &domain.Unit{}
		for n := from; n < min(from+batch, w.rows); n++ {
			at := w.begin.Add(time.Duration(n) * invitedGap)
			who := n % subjects
			target := "/accounts/accounts/" + account(who)
			i := &domain.Invitation{
				Meta:  domain.Meta{ID: numbered(inviteID, n), Version: 1, CreatedAt: at, UpdatedAt: at},
				State: domain.InvitationSent, Type: domain.InvitationJoint, EmailAddress: fmt.Sprintf("invitee-%d@example.com", n),
				AccountURI: &target, AccountID: account(who), InviterFullName: "Ada Bench", SecretHash: hash,
				ExpiresAt: at.Add(30 * 24 * time.Hour), CreatedBy: subject(who),
			}
			if !isOutstanding(n) {
				i.State = others[n%10-7]
			}
			unit.Changes = append(unit.Changes, domain.Change{Record: i})
		}
		if _, err := store.Commit(ctx, unit); err != nil {
			return err
		}
	}
	return nil
}
