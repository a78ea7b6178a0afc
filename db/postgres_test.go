package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/seal"
	"github.com/gatehouse/gatehouse/testkit"
)

// silent is an address that accepts connections and sends nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func options(url string) db.Options {
	return db.Options{URL: url, Key: seal.NewKey(), Now: testkit.NewClock().Now}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	closed := silent(t)
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = refused.Close()
	for claim, address := range map[string]string{
		"a silent server is unavailable in time":   closed,
		"a refused connection is unavailable":      refused.Addr().String(),
		"one silent and one refused, both in time": closed + "," + refused.Addr().String(),
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			// The context limits the test; the call itself must give up earlier.
			ctx, cancel := context.WithTimeout(context.Background(), 9*time.Second)
			defer cancel()
			_, err := db.Open(ctx, options("postgres://u:s3cret@"+address+"/x?sslmode=disable"))
			if !problem.Has(err, problem.ServiceUnavailable) || ctx.Err() != nil {
				t.Errorf("got %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "s3cret") {
				t.Error("the error contains the password")
			}
		})
	}
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "mysql://x/y", "sqlite://relative.db", "sqlite:///a.db?x=1", "postgres://u:s3cret@h:port/x", "postgres://u:s3cret@h/x?pool_max_conns=many"} {
		_, err := db.Open(t.Context(), options(bad))
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPostgresFirstHostIsSilent(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	several := fmt.Sprintf("postgres://postgres@%s,%s%s?sslmode=disable&target_session_attrs=read-write", silent(t), u.Host, u.Path)
	d, err := db.Open(t.Context(), options(several))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPostgresHealsAfterItsConnectionsWereKilled(t *testing.T) {
	t.Parallel()
	at := testkit.Postgres(t)
	k := testkit.New(t, at)
	i := k.Invite(t)
	admin, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for range 5 {
		if _, err := admin.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
			"WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
		var failed error
		for range 20 {
			if _, err := k.DB.Invitations().Get(t.Context(), i.ID); err != nil {
				failed = err
			}
		}
		if failed != nil && !problem.Has(failed, problem.ServiceUnavailable) {
			t.Fatal(failed)
		}
		if _, err := k.DB.Invitations().Get(t.Context(), i.ID); err != nil {
			t.Fatalf("the store has not recovered: %v", err)
		}
		if err := commit(t.Context(), k.DB, &domain.Unit{Decoy: true}); err != nil && !problem.Has(err, problem.ServiceUnavailable) {
			t.Fatal(err)
		}
	}
}

func TestPostgresDeadlocksAreTriedAgain(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.Postgres(t))
	a, b := k.Invite(t), k.Invite(t)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 15 {
				x, err1 := k.DB.Invitations().Get(context.Background(), a.ID)
				y, err2 := k.DB.Invitations().Get(context.Background(), b.ID)
				if err := errors.Join(err1, err2); err != nil {
					t.Error(err)
					return
				}
				changes := []domain.Change{{Record: x, Was: x.Version}, {Record: y, Was: y.Version}}
				x.Version++
				y.Version++
				if n%2 == 0 {
					changes[0], changes[1] = changes[1], changes[0]
				}
				if err := commit(context.Background(), k.DB, &domain.Unit{Changes: changes}); err != nil && !errors.Is(err, domain.ErrStale) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// cut is a proxy that closes the connection after a commit has passed and before its response arrives.
func cut(t *testing.T, server string, armed *atomic.Bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			var silent atomic.Bool
			go func() {
				buf := make([]byte, 64<<10)
				for {
					n, err := behind.Read(buf)
					if err != nil || silent.Load() {
						_ = client.Close()
						return
					}
					_, _ = client.Write(buf[:n])
				}
			}()
			go func() {
				buf := make([]byte, 64<<10)
				for {
					n, err := client.Read(buf)
					if err != nil {
						_ = behind.Close()
						return
					}
					if armed.Load() && bytes.Contains(buf[:n], []byte("commit\x00")) {
						silent.Store(true)
					}
					_, _ = behind.Write(buf[:n])
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestPostgresCommitOfUnknownEnd: if the response to a commit is lost, the caller learns neither that nothing was
// written nor that the commit succeeded, and nothing is written twice.
func TestPostgresCommitOfUnknownEnd(t *testing.T) {
	t.Parallel()
	o := options(testkit.Postgres(t))
	straight, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer straight.Close()
	if err := straight.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	var armed atomic.Bool
	u.Host = cut(t, u.Host, &armed)
	o.URL = u.String()
	d, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := commit(t.Context(), d, &domain.Unit{Decoy: true}); err != nil {
		t.Fatal(err)
	}
	// For units of one statement the commit is sent with the statement, for others when the results are known.
	for _, decoy := range []bool{false, true} {
		armed.Store(true)
		var all sync.WaitGroup
		ids := make([]string, 24)
		for n := range ids {
			i := domain.Invitation{
				Meta:  domain.Meta{ID: domain.NewID("inv", o.Now()), Version: 1, CreatedAt: o.Now(), UpdatedAt: o.Now()},
				State: domain.InvitationSent, Type: domain.InvitationJoint, ExpiresAt: o.Now(),
			}
			ids[n] = i.ID
			all.Go(func() {
				err := commit(context.Background(), d, &domain.Unit{Changes: []domain.Change{{Record: &i}}, Decoy: decoy})
				if !problem.Has(err, problem.ServiceUnavailable) {
					t.Errorf("a commit without a response: %v", err)
				}
			})
		}
		all.Wait()
		armed.Store(false)
		for _, id := range ids {
			if _, err := straight.Invitations().Get(t.Context(), id); err != nil {
				t.Errorf("the commit arrived, and the record is missing: %v", err)
			}
		}
	}
	if err := commit(t.Context(), d, &domain.Unit{Decoy: true}); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
}

// TestPostgresWaitsForALockAlone: a row that another transaction has locked delays one unit, and none of its neighbours.
func TestPostgresWaitsForALockAlone(t *testing.T) {
	t.Parallel()
	at := testkit.Postgres(t)
	k := testkit.New(t, at)
	held := k.Invite(t)
	other, err := sql.Open("pgx", at)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE invitations SET version = version WHERE id = $1", held.ID); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		to := *held
		to.Version++
		waits <- commit(context.Background(), k.DB, &domain.Unit{Changes: []domain.Change{{Record: &to, Was: held.Version}}})
	}()
	var all sync.WaitGroup
	for range 16 {
		i := *held
		i.ID = domain.NewID("inv", k.Clock.Now())
		all.Go(func() {
			if err := commit(context.Background(), k.DB, &domain.Unit{Changes: []domain.Change{{Record: &i}}}); err != nil {
				t.Errorf("a neighbour: %v", err)
			}
		})
	}
	all.Wait()
	select {
	case err := <-waits:
		t.Errorf("the row is locked, but the unit ended: %v", err)
	default:
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Errorf("after the row was released: %v", err)
	}
}
