package callback

import (
	"fmt"
	"strings"
	"time"
)

// hours are the windows in which people may be called; none means always.
type hours struct {
	windows []window
	zone    *time.Location
}

// window is a span of minutes on some days of the week.
type window struct {
	days     [7]bool // by time.Weekday
	from, to int     // minutes since midnight, to exclusive
}

func newHours(c Config) (hours, error) {
	zone, err := c.location()
	if err != nil {
		return hours{}, fmt.Errorf("time zone %q: %w", c.TimeZone, err)
	}
	h := hours{zone: zone}
	for _, s := range c.Hours {
		w, err := parseWindow(s)
		if err != nil {
			return hours{}, err
		}
		h.windows = append(h.windows, w)
	}
	return h, nil
}

// open tells whether people may be called at t.
func (h hours) open(t time.Time) bool {
	if len(h.windows) == 0 {
		return true
	}
	t = t.In(h.zone)
	minute := t.Hour()*60 + t.Minute()
	for _, w := range h.windows {
		if w.days[t.Weekday()] && minute >= w.from && minute < w.to {
			return true
		}
	}
	return false
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseWindow reads "mon-fri,sun 09:00-18:00"; without days it is every day.
func parseWindow(s string) (window, error) {
	const wanted = `wanted is "DAYS HH:MM-HH:MM", such as "mon-fri 09:00-18:00"`
	var w window
	days, times, two := strings.Cut(strings.TrimSpace(s), " ")
	if !two {
		days, times = "sun-sat", days
	}
	for _, part := range strings.Split(days, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, b := weekday(first), weekday(last)
		if a < 0 || b < 0 {
			return w, fmt.Errorf("hours %q: %q is no day or range of days out of %s; %s", s, part, strings.Join(weekdays, " "), wanted)
		}
		for d := a; ; d = (d + 1) % 7 { // fri-mon goes over the week's end
			w.days[d] = true
			if d == b {
				break
			}
		}
	}
	from, to, ok := strings.Cut(strings.TrimSpace(times), "-")
	if !ok {
		return w, fmt.Errorf("hours %q: no span of time; %s", s, wanted)
	}
	var err error
	if w.from, err = minutes(from); err != nil {
		return w, fmt.Errorf("hours %q: %w; %s", s, err, wanted)
	}
	if w.to, err = minutes(to); err != nil {
		return w, fmt.Errorf("hours %q: %w; %s", s, err, wanted)
	}
	if w.to <= w.from {
		return w, fmt.Errorf("hours %q: the end is not after the start; write a night as two spans, up to 24:00 and from 00:00", s)
	}
	return w, nil
}

func weekday(s string) int {
	for i, d := range weekdays {
		if strings.EqualFold(s, d) {
			return i
		}
	}
	return -1
}

// minutes reads HH:MM as minutes since midnight; 24:00 is the day's end.
func minutes(s string) (int, error) {
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return 0, fmt.Errorf("%q is no time of day", s)
	}
	return t.Hour()*60 + t.Minute(), nil
}
