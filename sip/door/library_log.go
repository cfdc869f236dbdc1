package door

import (
	"context"
	"log/slog"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// libraryLog takes what sipgo logs. Its complaints about what peers send come
// with the whole message and at any rate the peer likes: they are debug lines
// here, sampled, and without the message.
func libraryLog(log *zap.Logger) slog.Handler {
	core := zapcore.NewSamplerWithOptions(log.Core(), time.Second, 5, 100)
	return demoted{zapslog.NewHandler(core, zapslog.WithName("sipgo"))}
}

type demoted struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h demoted) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (h demoted) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, slog.LevelDebug, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "data" {
			out.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h demoted) WithAttrs(a []slog.Attr) slog.Handler { return demoted{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h demoted) WithGroup(n string) slog.Handler { return demoted{h.Handler.WithGroup(n)} }
