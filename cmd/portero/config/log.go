package config

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Log is the log: key. Log lines go to standard error, one each, with the
// call-id of the call they are about; nothing is logged per packet.
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
	c := zap.NewProductionConfig()
	c.Level = zap.NewAtomicLevelAt(level)
	c.Encoding = l.Format
	c.DisableCaller = true
	c.DisableStacktrace = true
	c.Sampling = nil // lines are per call, never per packet: none may be lost
	c.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncoderConfig.TimeKey = "time"
	c.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	if l.Format == "console" {
		c.EncoderConfig = zap.NewDevelopmentEncoderConfig()
	}
	return c.Build()
}
