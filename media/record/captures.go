package record

import (
	"strings"
	"time"
)

// Captures is the captures section of the configuration: the packets of the last
// calls, as they passed, for portero record.
type Captures struct {
	// Directory is where they are kept; it is made, for its owner alone, if it is not
	// there. No other door may use it. Default: none, and nothing is kept.
	Directory string `yaml:"directory"`
	// Media keeps what the caller says and hears, too, and not the signalling alone. It
	// is a recording of the call, and nobody announces it. Default: false.
	Media bool `yaml:"media"`
	// Keys keeps pressed keys (telephone-event, INFO, KPML): they may be PINs.
	// Default: false.
	Keys bool `yaml:"keys"`
	// Emergency calls are kept too. Default: false.
	Emergency bool `yaml:"emergency"`
	// Keep is for how long at most: 10m to 720h. Default: 24h.
	Keep time.Duration `yaml:"keep"`
	// MaxMB is how much the files may hold together, MiB; the oldest packets give way.
	// 8 to 1048576. Default: 256.
	MaxMB int `yaml:"max_mb"`
}

// DefaultCaptures is the configuration of a door that keeps nothing.
func DefaultCaptures() Captures { return Captures{Keep: 24 * time.Hour, MaxMB: 256} }

// Check reports every mistake by its path below this configuration.
func (c Captures) Check(fault func(path, format string, args ...any)) {
	if strings.ContainsRune(c.Directory, 0) {
		fault("directory", "holds a NUL byte; a directory is wanted")
	}
	if c.Keep < 10*time.Minute || c.Keep > 720*time.Hour {
		fault("keep", "%v; allowed: 10m to 720h: what is kept of a caller has an end", c.Keep)
	}
	if c.MaxMB < 8 || c.MaxMB > 1<<20 {
		fault("max_mb", "%d; allowed: 8 to 1048576", c.MaxMB)
	}
}
