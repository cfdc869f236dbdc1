package record

import (
	"strings"
	"time"
)

// The formats of files.
const (
	WAV    = "wav"    // stereo, 16 bit, 8 kHz
	PCAPNG = "pcapng" // the caller's side of the call, as packets
)

// The ways in which a caller learns that the call is recorded.
const (
	ByPrompt = "prompt" // the door says it
	ByPBX    = "pbx"    // the PBX says it: X-Portero-Recording tells it to
	ByNobody = "none"   // the caller knows, or need not
)

// Config is the recording section of the configuration. Which calls are recorded
// is said by record: true at their trunk or destination.
type Config struct {
	// Directory is where the files go; it is made, for its owner alone, if it is
	// not there. No other door may use it. Default: none, and nothing is recorded.
	Directory string `yaml:"directory"`
	// Format of the files: wav (stereo, the caller left, what the caller hears
	// right) or pcapng (the caller's signalling and media, for Wireshark and
	// portero inspect). Default: wav.
	Format string `yaml:"format"`
	// Announce says who tells the caller: prompt (the door says it, once somebody
	// has answered; a call that it cannot be said in is not recorded), pbx (the
	// dialplan does it for calls that come with X-Portero-Recording) or none.
	// Default: prompt.
	Announce string `yaml:"announce"`
	// Emergency calls are recorded too. Default: false.
	Emergency bool `yaml:"emergency"`
	// Keys keeps pressed keys (telephone-event, INFO, KPML) in pcapng files:
	// they may be PINs. WAV files never have them, but for tones in the voice.
	// Default: false.
	Keys bool `yaml:"keys"`
	// Keep is how long a file is kept; an older one is deleted: 1h to 87600h.
	// Default: 720h, 30 days.
	Keep time.Duration `yaml:"keep"`
	// MaxLength ends a recording, not its call: 1m to 24h. Default: 2h.
	MaxLength time.Duration `yaml:"max_length"`
	// MaxCalls is how many calls are recorded at once; further ones are not
	// recorded. Default: 200.
	MaxCalls int `yaml:"max_calls"`
	// MaxMB is how much the files may hold together, MiB. When it is reached,
	// recording stops until files were deleted. Default: 10240.
	MaxMB int `yaml:"max_mb"`
	// MinFreeMB is how much must stay free on the disk, MiB. When it is reached,
	// recording stops until there is room. Default: 1024.
	MinFreeMB int `yaml:"min_free_mb"`
}

// Defaults is the configuration of a door that records nothing.
func Defaults() Config {
	return Config{Format: WAV, Announce: ByPrompt, Keep: 720 * time.Hour, MaxLength: 2 * time.Hour, MaxCalls: 200, MaxMB: 10240, MinFreeMB: 1024}
}

// Check reports every mistake by its path below this configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if strings.ContainsRune(c.Directory, 0) {
		fault("directory", "holds a NUL byte; a directory is wanted")
	}
	if c.Format != WAV && c.Format != PCAPNG {
		fault("format", "%q is not known; allowed: wav, pcapng", c.Format)
	}
	if c.Announce != ByPrompt && c.Announce != ByPBX && c.Announce != ByNobody {
		fault("announce", "%q is not known; allowed: prompt, pbx, none", c.Announce)
	}
	if c.Keep < time.Hour || c.Keep > 87600*time.Hour {
		fault("keep", "%v; allowed: 1h to 87600h: what is kept of a caller has an end", c.Keep)
	}
	if c.MaxLength < time.Minute || c.MaxLength > 24*time.Hour {
		fault("max_length", "%v; allowed: 1m to 24h", c.MaxLength)
	}
	for _, r := range []struct {
		path           string
		n, least, most int
	}{{"max_calls", c.MaxCalls, 1, 10000}, {"max_mb", c.MaxMB, 1, 1 << 30}, {"min_free_mb", c.MinFreeMB, 0, 1 << 30}} {
		if r.n < r.least || r.n > r.most {
			fault(r.path, "%d; allowed: %d to %d", r.n, r.least, r.most)
		}
	}
}
