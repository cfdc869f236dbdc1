package campaign

import "time"

// Config bounds the index.
type Config struct {
	// MaxCalls is how many calls' prints are kept; the oldest go first. A call
	// takes up to 20 KB. 0 switches the index off. Range 0 to 65535, default 2000.
	MaxCalls int `yaml:"max_calls"`
	// MaxAge is how long a print is kept. Range 1m to 168h, default 4h.
	MaxAge time.Duration `yaml:"max_age"`
	// MinSpeech is how much speech must agree, pauses left out. Shorter passages
	// match by greeting formulas spoken alike. Range 2s to 20s, default 3s.
	MinSpeech time.Duration `yaml:"min_speech"`
}

// Defaults gives the configuration used where none is written.
func Defaults() Config {
	return Config{MaxCalls: 2000, MaxAge: 4 * time.Hour, MinSpeech: 3 * time.Second}
}

// Check reports every mistake by its path.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.MaxCalls < 0 || c.MaxCalls > maxCalls {
		fault("max_calls", "%d is out of range: allowed is 0 (off) to %d", c.MaxCalls, maxCalls)
	}
	if c.MaxAge < time.Minute || c.MaxAge > 168*time.Hour {
		fault("max_age", "%v is out of range: allowed is 1m to 168h", c.MaxAge)
	}
	if c.MinSpeech < 2*time.Second || c.MinSpeech > 20*time.Second {
		fault("min_speech", "%v is out of range: allowed is 2s to 20s", c.MinSpeech)
	}
}
