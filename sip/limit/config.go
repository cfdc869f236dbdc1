package limit

// Config are the limits of one door.
type Config struct {
	// Source bounds one address (IPv6: one /64 network) of a trunk. More gets 503
	// with Retry-After. Default: 5000 a second.
	Source Bound `yaml:"source"`
	// Trunk bounds all addresses of a trunk together. More gets 503 with
	// Retry-After. Default: no bound.
	Trunk Bound `yaml:"trunk"`
	// Caller bounds the new calls of one caller of a trunk, by the number in
	// P-Asserted-Identity or From; withheld numbers are nobody's. More gets 480
	// with Retry-After, which tells the carrier nothing of the trunk as 503 would.
	// Default: no bound.
	Caller Bound `yaml:"caller"`
	// Table is how many sources, and how many callers, are remembered at once:
	// 1024 to 1048576, 24 bytes each. Default: 65536.
	Table int `yaml:"table"`
}

// Bound is what one source, trunk or caller may do. In-dialog requests do not
// count, and emergency calls and callers on allow and relay lists pass.
type Bound struct {
	// Rate is how many new calls and other requests outside dialogs a second.
	// Default: 0, no bound (source: 5000).
	Rate float64 `yaml:"rate"`
	// Burst is how many at once, before Rate counts. Default: 0, two seconds'
	// worth, at least 10.
	Burst int `yaml:"burst"`
	// Attempts is how many calls may be unanswered at once. Default: 0, no bound.
	Attempts int `yaml:"attempts"`
}

// Defaults bounds what no carrier does.
func Defaults() Config { return Config{Source: Bound{Rate: 5000}, Table: 65536} }

// Check reports every mistake by its path below the limits' configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	for _, b := range []struct {
		path string
		Bound
	}{{"source", c.Source}, {"trunk", c.Trunk}, {"caller", c.Caller}} {
		if b.Rate < 0 || b.Rate > 1e6 {
			fault(b.path+".rate", "%v is not allowed; allowed: 0 (no bound) to 1000000 a second", b.Rate)
		}
		if b.Burst < 0 || b.Burst > 1e7 {
			fault(b.path+".burst", "%d is not allowed; allowed: 0 (two seconds' worth) to 10000000", b.Burst)
		}
		if b.Burst > 0 && b.Rate == 0 {
			fault(b.path+".burst", "has no meaning without a rate")
		}
		if b.Attempts < 0 {
			fault(b.path+".attempts", "%d is not allowed; allowed: 0 (no bound) and more", b.Attempts)
		}
	}
	if c.Table < 1024 || c.Table > 1<<20 {
		fault("table", "%d is not allowed; allowed: 1024 to 1048576", c.Table)
	}
}
