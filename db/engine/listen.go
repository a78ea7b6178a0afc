package engine

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// probeEvery is how long a silent connection is assumed to be alive before it is checked.
const probeEvery = 15 * time.Second

func (p *postgres) Notify(ctx context.Context, channel string) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	_, err := p.pool.Exec(ctx, "SELECT pg_notify($1, '')", channel)
	return p.Classify(err)
}

func (p *postgres) Listen(ctx context.Context, channel string, connected, notified func()) error {
	return p.Classify(listen(ctx, p.pool.Config().ConnConfig, p.timeout, channel, connected, notified))
}

// listen uses a dedicated connection.
func listen(ctx context.Context, config *pgx.ConnConfig, timeout time.Duration, channel string, connected, notified func()) error {
	config = config.Copy()
	delete(config.RuntimeParams, "statement_timeout")
	delete(config.RuntimeParams, "idle_in_transaction_session_timeout")
	config.RuntimeParams["application_name"] = "gatehouse feed"
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { notified() }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if err := within(ctx, timeout, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize())
		return err
	}); err != nil {
		return err
	}
	connected()
	for {
		err := within(ctx, probeEvery, conn.PgConn().WaitForNotification)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = within(ctx, timeout, conn.Ping) // a connection may fail silently
		}
		if err != nil {
			return err
		}
	}
}

func within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}
