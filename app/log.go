package app

import (
	"context"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

type requestIDKey struct{}

func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// requestLog adds the id of the request to each of its log lines.
type requestLog struct{ slog.Handler }

func (h requestLog) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		r.AddAttrs(slog.String("requestId", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestLog{h.Handler.WithAttrs(attrs)}
}

func (h requestLog) WithGroup(name string) slog.Handler { return requestLog{h.Handler.WithGroup(name)} }

// NewLogger returns the configured logger.
func NewLogger(c *Config, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // validated by Check
	options := &slog.HandlerOptions{Level: level}
	text := c.LogFormat == "text"
	if f, ok := w.(*os.File); ok && c.LogFormat == "auto" {
		text = term.IsTerminal(int(f.Fd()))
	}
	if text {
		return slog.New(requestLog{slog.NewTextHandler(w, options)})
	}
	return slog.New(requestLog{slog.NewJSONHandler(w, options)})
}
