//go:build unix

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	_ "modernc.org/sqlite" // the driver of the product
)

// referenceVariable makes this program the reference writer: its value holds the address and the database file.
const referenceVariable = "GATEHOUSE_BENCH_REFERENCE"

// reference writes to SQLite in the plain way: a transaction for each request, behind the same HTTP server, with the
// same driver and the same settings as the product. It has no authentication, rules or GraphQL.
func reference(config string) error {
	var where struct{ Address, File string }
	if err := json.Unmarshal([]byte(config), &where); err != nil {
		return err
	}
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range []string{"busy_timeout(4000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-16384)"} {
		q.Add("_pragma", p)
	}
	store, err := sql.Open("sqlite", "file:"+where.File+"?"+q.Encode())
	if err != nil {
		return err
	}
	store.SetMaxOpenConns(1) // SQLite has one writer; the others wait here and not in its busy loop
	touch, err := store.Prepare("UPDATE sessions SET last_active_at = ?, abandon_at = ? " +
		"WHERE id = ? AND state IN ('active', 'pending') AND abandon_at > ? AND expire_at > ? RETURNING id")
	if err != nil {
		return err
	}
	write := func(ctx context.Context, id string) (out string, err error) {
		tx, err := store.BeginTx(ctx, nil) // BEGIN IMMEDIATE
		if err != nil {
			return "", err
		}
		now := time.Now()
		statement := tx.StmtContext(ctx, touch)
		defer statement.Close()
		err = statement.QueryRowContext(ctx, now.UnixMicro(), now.Add(24*time.Hour).UnixMicro(), id, now.UnixMicro(), now.UnixMicro()).Scan(&out)
		if err != nil {
			_ = tx.Rollback()
			return "", err
		}
		return out, tx.Commit()
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return // ready
		}
		var in struct{ Variables struct{ ID string } }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id, err := write(r.Context(), in.Variables.ID)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"data":{"touchSession":{"session":{"id":%q}}}}`, id)
	})
	server := &http.Server{
		Addr: where.Address, Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	return server.ListenAndServe()
}

// startReference copies the product's file, which no server has open yet, and starts the reference writer on the copy.
func startReference(ctx context.Context, dir, from string) (*server, error) {
	file := dir + "/reference.db"
	store, err := sql.Open("sqlite", from)
	if err != nil {
		return nil, err
	}
	_, err = store.ExecContext(ctx, "VACUUM INTO ?", file)
	_ = store.Close()
	if err != nil {
		return nil, fmt.Errorf("copy the database: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]string{"address": address, "file": file})
	if err != nil {
		return nil, err
	}
	// launch removes Gatehouse's variables from the environment, and then adds this one.
	s, err := launch(ctx, dir, "reference", []string{referenceVariable + "=" + string(config)}, "http://"+address+"/", self)
	if err != nil {
		return nil, err
	}
	s.address = address
	return s, nil
}

// referenceRow is W1 of the reference writer.
func referenceRow(s *server, c caller, w world) benchRow {
	return benchRow{system: "reference", id: "W1", run: over(s, onSession(s, c, documentW1, 0, w.rows))}
}
