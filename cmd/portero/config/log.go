package config

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Log is the log: key. Log lines go to standard error, one each, with the
// call-id of the call they are about; nothing is logged per packet. A line may wait
// 0.2 s for others, a warning or an error never does.
type Log struct {
	// Level is the least important kind of line that is written: debug, info,
	// warn or error. Default info. Use debug only while looking for a fault.
	Level string `yaml:"level"`
	// Format is json (one object a line, for collectors) or console (for
	// eyes). Default json.
	Format string `yaml:"format"`
}

// check reports the mistakes of the log key.
func (l Log) check(fault func(path, format string, args ...any)) {
	switch l.Level {
	case "debug", "info", "warn", "error":
	default:
		fault("level", "%q is not a level; allowed: debug, info, warn, error", l.Level)
	}
	switch l.Format {
	case "json", "console":
	default:
		fault("format", "%q is not a format; allowed: json, console", l.Format)
	}
}

// Logger builds the logger that the log key describes.
func (l Log) Logger() (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(l.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	e := zap.NewProductionEncoderConfig()
	e.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	e.TimeKey = "time"
	e.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(e)
	if l.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	}
	// Lines are per call, never per packet: none is left out by sampling.
	out := &zapcore.BufferedWriteSyncer{WS: zapcore.Lock(os.Stderr), FlushInterval: lineWait}
	return zap.New(atOnce{zapcore.NewCore(encoder, out, level)}, zap.ErrorOutput(zapcore.Lock(os.Stderr))), nil
}

// lineWait is how long a line may wait for others: a write for each would cost
// a busy door more than the lines themselves.
const lineWait = 200 * time.Millisecond

// atOnce writes warnings and errors without delay, and what waits before them.
type atOnce struct{ zapcore.Core }

// With implements zapcore.Core.
func (a atOnce) With(f []zapcore.Field) zapcore.Core { return atOnce{a.Core.With(f)} }

// Check implements zapcore.Core.
func (a atOnce) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if a.Enabled(e.Level) {
		return ce.AddCore(e, a)
	}
	return ce
}

// Write implements zapcore.Core.
func (a atOnce) Write(e zapcore.Entry, f []zapcore.Field) error {
	err := a.Core.Write(e, f)
	if e.Level >= zapcore.WarnLevel {
		err = errors.Join(err, a.Sync())
	}
	return err
}
