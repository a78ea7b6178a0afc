package db

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// resting is from when a connection is asked whether it is still there before it is used: the pool's own choice.
	resting = time.Second
	// prompt is how long an answer may take. It leaves time to do the work on another connection.
	prompt = time.Second
)

// alive asks a connection that has rested whether it is still there. Where a network has silently forgotten one it has
// forgotten its neighbours too: the pool closes all that rest, so that no caller has to wait for each of them in turn.
// True has the pool ask again, which fails at once on a connection that failed here, and take another one.
func (d *DB) alive(ctx context.Context, p pgxpool.ShouldPingParams) bool {
	if p.IdleDuration <= resting {
		return false
	}
	within, cancel := context.WithTimeout(ctx, prompt)
	defer cancel()
	if p.Conn.Ping(within) == nil {
		return false
	}
	if within.Err() != nil && ctx.Err() == nil {
		d.pool.Reset()
	}
	return true
}
