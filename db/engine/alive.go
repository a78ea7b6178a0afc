package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// idleBeforePing is how long a connection may be idle before it is checked: the default of the pool.
	idleBeforePing = time.Second
	// pingTimeout leaves time to do the work on another connection.
	pingTimeout = time.Second
)

// alive checks a connection that was idle. A network that has silently dropped one connection has dropped the others
// too: the pool closes all idle ones, so that no caller waits for each of them in turn. If it returns true the pool
// pings again, which fails at once on a connection that failed here, and takes another connection.
func (p *postgres) alive(ctx context.Context, c pgxpool.ShouldPingParams) bool {
	if c.IdleDuration <= idleBeforePing {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if c.Conn.Ping(limited) == nil {
		return false
	}
	if limited.Err() != nil && ctx.Err() == nil {
		p.pool.Reset()
	}
	return true
}
