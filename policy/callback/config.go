package callback

import (
	"fmt"
	"regexp"
	"time"
)

// Config says who may be promised a callback and how promises are kept.
type Config struct {
	// Enabled takes promises and dials them. When false, the action callback
	// goes to the agents, and promises made before wait. Default false.
	Enabled bool `yaml:"enabled"`
	// Destination names the destination the person is joined to after pressing
	// 1. Default agents.
	Destination string `yaml:"destination"`
	// FreeAgents is how many agents must be free for a dial, besides one for
	// each callback that is being dialled already. 1 to 10000, default 1.
	FreeAgents int `yaml:"free_agents"`
	// MaxConcurrent is how many callbacks are dialled at once. 1 to 1000,
	// default 1.
	MaxConcurrent int `yaml:"max_concurrent"`
	// Pace is the least time from the start of one dial to the next. 0s to 1h,
	// default 10s.
	Pace time.Duration `yaml:"pace"`
	// Attempts is how often a number is dialled before the promise has failed.
	// 1 to 10, default 3.
	Attempts int `yaml:"attempts"`
	// RetryAfter is the pause after the first attempt; it doubles with each
	// further one. 10s to 24h, default 15m.
	RetryAfter time.Duration `yaml:"retry_after"`
	// RingTimeout is how long the phone may ring. 5s to 3m, default 30s.
	RingTimeout time.Duration `yaml:"ring_timeout"`
	// Expire ends a promise that could not be kept for so long. 1m to 720h,
	// default 24h.
	Expire time.Duration `yaml:"expire"`
	// Hours are when people may be called, each as "DAYS HH:MM-HH:MM" or
	// "HH:MM-HH:MM" for every day, with days like mon-fri or sat,sun. An end of
	// 24:00 is midnight. Default empty: at any time.
	Hours []string `yaml:"hours"`
	// TimeZone is the IANA time zone of Hours, such as Europe/Berlin. Default
	// empty: the machine's.
	TimeZone string `yaml:"time_zone"`
	// MaxOpen is how many promises may be open; more are refused, and the call
	// goes to the agents. 1 to 10000, default 1000.
	MaxOpen int `yaml:"max_open"`
	// Cooldown is how long a number gets no new promise after one that ended
	// without the person being joined: a forged caller's number must not be
	// used to have somebody rung again and again. 0s to 720h, default 1h.
	Cooldown time.Duration `yaml:"cooldown"`
	// Numbers are regular expressions (RE2) of which one must match the whole
	// number; whoever calls in chooses what is dialled, so allow what your
	// callers have and no more. Numbers are compared without separators and with
	// a leading 00 turned into +. Default: E.164 with +, and national numbers of
	// 7 to 15 digits.
	Numbers []string `yaml:"numbers"`
	// Refuse are regular expressions (RE2); a number that one of them matches as
	// a whole is not dialled, whatever Numbers says. Default: shared-cost and
	// premium ranges of the ITU (+979, +878), satellite and global networks
	// (+870, +881, +882, +883), and North American 900 and 976 numbers.
	Refuse []string `yaml:"refuse"`
}

// Defaults are the values of keys that are not given.
func Defaults() Config {
	return Config{
		Destination:   "agents",
		FreeAgents:    1,
		MaxConcurrent: 1,
		Pace:          10 * time.Second,
		Attempts:      3,
		RetryAfter:    15 * time.Minute,
		RingTimeout:   30 * time.Second,
		Expire:        24 * time.Hour,
		MaxOpen:       1000,
		Cooldown:      time.Hour,
		Numbers:       []string{`\+[1-9][0-9]{6,14}`, `0?[1-9][0-9]{6,13}`},
		Refuse:        []string{`\+(979|878|870|881|882|883)[0-9]*`, `\+?1(900[0-9]{7}|[0-9]{3}976[0-9]{4})`},
	}
}

// Check reports every mistake in c; path is relative to this configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.Destination == "" {
		fault("destination", "is empty; the name of a destination is wanted")
	}
	count := func(path string, n, least, most int) {
		if n < least || n > most {
			fault(path, "is %d; %d to %d are allowed", n, least, most)
		}
	}
	span := func(path string, d, least, most time.Duration) {
		if d < least || d > most {
			fault(path, "is %v; %v to %v are allowed", d, least, most)
		}
	}
	count("free_agents", c.FreeAgents, 1, 10000)
	count("max_concurrent", c.MaxConcurrent, 1, 1000)
	span("pace", c.Pace, 0, time.Hour)
	count("attempts", c.Attempts, 1, 10)
	span("retry_after", c.RetryAfter, 10*time.Second, 24*time.Hour)
	span("ring_timeout", c.RingTimeout, 5*time.Second, 3*time.Minute)
	span("expire", c.Expire, time.Minute, 720*time.Hour)
	for i, h := range c.Hours {
		if _, err := parseWindow(h); err != nil {
			fault(fmt.Sprintf("hours[%d]", i), "%v", err)
		}
	}
	if _, err := c.location(); err != nil {
		fault("time_zone", "is %q; an IANA name such as Europe/Berlin is wanted: %v", c.TimeZone, err)
	}
	count("max_open", c.MaxOpen, 1, 10000)
	span("cooldown", c.Cooldown, 0, 720*time.Hour)
	if len(c.Numbers) == 0 {
		fault("numbers", "is empty, so no number could be called back; give at least one pattern, such as %s", Defaults().Numbers[0])
	}
	patterns := func(path string, list []string) {
		for i, p := range list {
			at := fmt.Sprintf("%s[%d]", path, i)
			if p == "" {
				fault(at, "is empty; a regular expression for whole numbers is wanted, such as %s", Defaults().Numbers[0])
			} else if _, err := wholly(p); err != nil {
				fault(at, "%q is no regular expression (RE2): %v", p, err)
			}
		}
	}
	patterns("numbers", c.Numbers)
	patterns("refuse", c.Refuse)
}

// location is the time zone of the hours.
func (c Config) location() (*time.Location, error) {
	if c.TimeZone == "" {
		return time.Local, nil
	}
	return time.LoadLocation(c.TimeZone)
}

// wholly compiles p so that it matches whole numbers only.
func wholly(p string) (*regexp.Regexp, error) {
	// Alone first: a pattern like `a)(b` must not close the group around it.
	if _, err := regexp.Compile(p); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + p + `)\z`)
}
