package judge

import (
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/signature"
)

// Config of the judgement.
type Config struct {
	// Prior is the probability of a machine before anything is known of a
	// call, more than 0 and less than 1; 0 takes the fusion file's. Raise it at
	// a number that mostly machines call. Default: 0 (built-in: 0.2).
	Prior float64 `yaml:"prior"`
	// Fusion is a file of weights, caps and thresholds (the shape of
	// policy/fusion.json); empty is the built-in one. Default: empty.
	Fusion string `yaml:"fusion"`
	// Turns is a file of how likely it is how people and machines take turns (the
	// shape of media/turns/weights.json); empty is the built-in one. Default: empty.
	Turns string `yaml:"turns"`
	// Model is the voice model's file; empty is the built-in one. Default:
	// empty.
	Model string `yaml:"model"`
	// Signatures are the files and directories (of *.yaml) that SIP stacks are
	// known by (configs/signatures/README.md); "builtin" are those of the binary.
	// Yours go before them, and replace those of the same name. Default: [builtin].
	Signatures []string `yaml:"signatures"`
	// ListenFor is how long after the far leg's answer a call may still be
	// moved, 0s (never) to 5m. Default: 20s.
	ListenFor time.Duration `yaml:"listen_for"`
	// ScreenFor is how long after its answer a screened call is decided at the
	// latest, 3s to 60s. Default: 8s.
	ScreenFor time.Duration `yaml:"screen_for"`
	// TimeZone is where `now` in rules is told, as in the IANA database
	// ("Europe/Madrid"). Default: UTC.
	TimeZone string `yaml:"time_zone"`
}

// Defaults of Config.
func Defaults() Config {
	return Config{Signatures: []string{signature.BuiltIn}, ListenFor: 20 * time.Second, ScreenFor: 8 * time.Second, TimeZone: "UTC"}
}

// Check reports every mistake. Whether the files exist is for whoever opens
// them to say.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if !(c.Prior >= 0 && c.Prior < 1) {
		fault("prior", "%v is not allowed; allowed is 0 (as in the fusion file), or a probability between 0 and 1", c.Prior)
	}
	if c.ListenFor < 0 || c.ListenFor > 5*time.Minute {
		fault("listen_for", "%v is not allowed; allowed is 0s to 5m", c.ListenFor)
	}
	if c.ScreenFor < 3*time.Second || c.ScreenFor > time.Minute {
		fault("screen_for", "%v is not allowed; allowed is 3s to 60s", c.ScreenFor)
	}
	if _, err := c.Zone(); err != nil {
		fault("time_zone", "%v; allowed is UTC or a name of the IANA time zone database such as Europe/Madrid", err)
	}
}

// Zone is the configured time zone.
func (c Config) Zone() (*time.Location, error) { return time.LoadLocation(c.TimeZone) }

// prior is the log-odds of a machine before anything is known.
func (c Config) prior(f *policy.Fusion) float64 {
	if c.Prior > 0 {
		return policy.LogOdds(c.Prior)
	}
	return policy.LogOdds(f.Prior)
}
