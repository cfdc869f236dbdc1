package relay

import (
	"net/netip"
	"time"
)

// Config is the media section of the configuration.
type Config struct {
	// CallerAddress is the local IP address that faces the trunks: RTP and RTCP
	// with callers go through it. Required.
	CallerAddress string `yaml:"caller_address"`
	// FarAddress is the local IP address that faces the PBXs. Default:
	// caller_address.
	FarAddress string `yaml:"far_address"`
	// CallerAdvertise is the IP address written into the SDP for callers, when it
	// is not caller_address: the outer address of a one-to-one NAT, or the address
	// to use when caller_address is 0.0.0.0 or ::. Default: caller_address.
	CallerAdvertise string `yaml:"caller_advertise"`
	// FarAdvertise is the same for the SDP to PBXs. Default: far_address.
	FarAdvertise string `yaml:"far_advertise"`
	// CallerAddress6 is a local IPv6 address that faces the trunks too, for callers
	// whose SDP names an IPv6 address; caller_address is then an IPv4 address.
	// Default: none.
	CallerAddress6 string `yaml:"caller_address6"`
	// FarAddress6 is the same for PBXs whose SIP address is an IPv6 one. Default:
	// caller_address6, unless far_address is given.
	FarAddress6 string `yaml:"far_address6"`
	// CallerAdvertise6 is written into the SDP for callers instead of
	// caller_address6. Default: caller_address6.
	CallerAdvertise6 string `yaml:"caller_advertise6"`
	// FarAdvertise6 is the same for PBXs. Default: far_address6.
	FarAdvertise6 string `yaml:"far_advertise6"`
	// Ports is the range that RTP and RTCP take their ports from.
	Ports Ports `yaml:"ports"`
	// Timeout is when a silent caller is given up.
	Timeout Timeout `yaml:"timeout"`
	// Latch says whose media is taken besides the address in the peer's SDP:
	// "any" learns the source from the first consistent RTP stream, which peers
	// behind NAT need; "address" learns the port only, of the address in the SDP;
	// "off" takes none. A source that matches the SDP always goes before a learnt
	// one. Default: any.
	Latch string `yaml:"latch"`
	// LatchPackets is how many consecutive packets with one SSRC and payload
	// type and rising sequence numbers make a source: 1 to 20. Default: 3.
	LatchPackets int `yaml:"latch_packets"`
	// TapBytes is the size of the ring between a call's packet loop and its
	// analysis, bytes: 4096 to 16 MiB; that of what the caller hears is half as
	// large. It holds 3.3 s of G.711 by 32768. What does
	// not fit is counted and not analysed. Default: 32768.
	TapBytes int `yaml:"tap_bytes"`
}

// Ports is a range of UDP ports, used in pairs: RTP even, RTCP the next.
type Ports struct {
	// Min is the lowest port: 1024 to 65534. Default: 16384.
	Min int `yaml:"min"`
	// Max is the highest port: min+1 to 65535. Every call takes four ports, two
	// more while it is moved. Default: 32767.
	Max int `yaml:"max"`
	// Rest is how long a pair is left alone after its call, so that late packets
	// do not reach the next: 0s to 10m. When no other pair is free, the one that
	// rested longest is taken. Default: 3s.
	Rest time.Duration `yaml:"rest"`
}

// Timeout says how long a caller may send no RTP. The door ends a call for it
// only when nobody is on hold and the far side has sent nothing for 30 s either:
// a caller who is merely muted keeps the call.
type Timeout struct {
	// Initial is from the opening of the call's ports to its first packet: 1s to
	// 10m. Default: 30s.
	Initial time.Duration `yaml:"initial"`
	// Running is from one packet to the next: 1s to 24h. Default: 15s.
	Running time.Duration `yaml:"running"`
}

// The values of Config.Latch.
const (
	LatchAny     = "any"
	LatchAddress = "address"
	LatchOff     = "off"
)

// Limits of the configuration.
const (
	minPort         = 1024
	maxPort         = 65535
	maxRest         = 10 * time.Minute
	maxLatchPackets = 20
	minTapBytes     = 4096
	maxTapBytes     = 16 << 20
)

// Defaults is the configuration without what must be given: caller_address.
func Defaults() Config {
	return Config{
		Ports:        Ports{Min: 16384, Max: 32767, Rest: 3 * time.Second},
		Timeout:      Timeout{Initial: 30 * time.Second, Running: 15 * time.Second},
		Latch:        LatchAny,
		LatchPackets: 3,
		TapBytes:     32768,
	}
}

// Check reports every mistake, each with its path below the media section.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.CallerAddress == "" {
		fault("caller_address", "is missing: give the local IP address that faces the trunks, such as 192.0.2.10")
	}
	c.checkAddress(fault, "caller_address", c.CallerAddress, "caller_advertise", c.CallerAdvertise)
	c.checkAddress(fault, "far_address", c.FarAddress, "far_advertise", c.FarAdvertise)
	c.checkSecond(fault, "caller_address", c.CallerAddress, c.CallerAddress6, c.CallerAdvertise6)
	c.checkSecond(fault, "far_address", c.FarAddress, c.FarAddress6, c.FarAdvertise6)
	if c.Ports.Min < minPort || c.Ports.Min >= maxPort {
		fault("ports.min", "is %d: allowed are %d to %d", c.Ports.Min, minPort, maxPort-1)
	}
	switch pairs := (c.Ports.Max - c.Ports.Min - c.Ports.Min%2 + 1) / 2; {
	case c.Ports.Max <= c.Ports.Min || c.Ports.Max > maxPort:
		fault("ports.max", "is %d: allowed are %d (ports.min + 1) to %d", c.Ports.Max, c.Ports.Min+1, maxPort)
	case pairs < 2:
		fault("ports.max", "leaves %d pairs of an even port and the next: one call needs 2, and 3 while it is moved", pairs)
	}
	between(fault, "ports.rest", c.Ports.Rest, 0, maxRest)
	between(fault, "timeout.initial", c.Timeout.Initial, time.Second, 10*time.Minute)
	between(fault, "timeout.running", c.Timeout.Running, time.Second, 24*time.Hour)
	switch c.Latch {
	case LatchAny, LatchAddress, LatchOff:
	default:
		fault("latch", "is %q: allowed are any, address and off", c.Latch)
	}
	if c.LatchPackets < 1 || c.LatchPackets > maxLatchPackets {
		fault("latch_packets", "is %d: allowed are 1 to %d", c.LatchPackets, maxLatchPackets)
	}
	if c.TapBytes < minTapBytes || c.TapBytes > maxTapBytes {
		fault("tap_bytes", "is %d: allowed are %d to %d", c.TapBytes, minTapBytes, maxTapBytes)
	}
}

// checkAddress looks at a local address and the one advertised for it.
func (Config) checkAddress(fault func(path, format string, args ...any), path, address, advPath, advertise string) {
	var local netip.Addr
	if address != "" {
		a, err := netip.ParseAddr(address)
		if err != nil {
			fault(path, "is %q: an IP address is needed, without a port", address)
			return
		}
		local = a
	}
	if advertise == "" {
		if local.IsUnspecified() {
			fault(path, "is %s, which no peer can send to: give the address itself, or %s too", local, advPath)
		}
		return
	}
	a, err := netip.ParseAddr(advertise)
	switch {
	case err != nil:
		fault(advPath, "is %q: an IP address is needed, without a port", advertise)
	case a.IsUnspecified():
		fault(advPath, "is %s, which no peer can send to", a)
	case local.IsValid() && a.Is4() != local.Is4():
		fault(advPath, "is %s, not of the same IP version as %s %s", a, path, local)
	}
}

// checkSecond looks at the IPv6 address beside an IPv4 one.
func (c Config) checkSecond(fault func(path, format string, args ...any), path, first, second, advertise string) {
	if first == "" {
		first = c.CallerAddress
	}
	advPath := path[:len(path)-len("address")] + "advertise6"
	if a, err := netip.ParseAddr(second); second != "" && (err != nil || !a.Is6() || a.Is4In6()) {
		fault(path+"6", "is %q: an IPv6 address is needed, without a port", second)
		return
	}
	if a, err := netip.ParseAddr(first); second != "" && err == nil && !a.Is4() {
		fault(path+"6", "is %s, but %s is %s, an IPv6 address too: give the IPv4 address there, or leave this out", second, path, first)
		return
	}
	if second == "" && advertise != "" {
		fault(advPath, "is %s, but there is no %s6", advertise, path)
		return
	}
	c.checkAddress(fault, path+"6", second, advPath, advertise)
}

func between(fault func(path, format string, args ...any), path string, d, low, high time.Duration) {
	if d < low || d > high {
		fault(path, "is %s: allowed are %s to %s", d, low, high)
	}
}

// facing is the address to bind to on a side and the one to put into SDP.
func (c Config) facing(side Side) (bind, advertise netip.Addr, err error) {
	far, farAdv := c.FarAddress, c.FarAdvertise
	if far == "" {
		far = c.CallerAddress
	}
	return chosen(side, c.CallerAddress, c.CallerAdvertise, far, farAdv)
}

// facing6 is the same for the IPv6 address beside it; not valid if there is none.
func (c Config) facing6(side Side) (bind, advertise netip.Addr, err error) {
	far := c.FarAddress6
	if far == "" && c.FarAddress == "" {
		far = c.CallerAddress6
	}
	return chosen(side, c.CallerAddress6, c.CallerAdvertise6, far, c.FarAdvertise6)
}

func chosen(side Side, caller, callerAdv, far, farAdv string) (bind, advertise netip.Addr, err error) {
	address, adv := caller, callerAdv
	if side == FarSide {
		address, adv = far, farAdv
		if adv == "" && far == caller {
			adv = callerAdv
		}
	}
	if address == "" {
		return bind, bind, nil
	}
	if bind, err = netip.ParseAddr(address); err != nil {
		return bind, bind, err
	}
	if adv == "" {
		return bind, bind, nil
	}
	advertise, err = netip.ParseAddr(adv)
	return bind, advertise, err
}
