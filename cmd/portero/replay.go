package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/portero/portero/sip/replay"
	"github.com/portero/portero/sip/trace"
	"github.com/portero/portero/sip/transport"
)

type replayCmd struct {
	To           string        `required:"" placeholder:"URI" help:"Whom to call: sip:HOST[:PORT], with USER@ to call that number instead of the recorded one."`
	Call         string        `placeholder:"CALL-ID" help:"Only this call of the capture."`
	User         string        `placeholder:"NAME" help:"Answers challenges (digest) as this user."`
	Password     string        `env:"PORTERO_REPLAY_PASSWORD" placeholder:"SECRET" help:"The user's password; others on this machine may see a command line, so rather by the environment or --password-file."`
	PasswordFile string        `type:"path" placeholder:"FILE" help:"Holds the password in its first line."`
	Rate         float64       `placeholder:"CPS" help:"Calls that begin in a second, instead of the recorded spacing."`
	Speed        float64       `default:"1" help:"Divides the recorded pauses. RTP keeps its pace, and what does not fit any more is left out; see --speed-rtp."`
	SpeedRTP     bool          `name:"speed-rtp" help:"--speed divides the pauses between RTP packets, too."`
	Loop         int           `default:"1" help:"Do it all this often."`
	Concurrency  int           `default:"100" help:"At most so many calls at a time; a call that finds no place begins later."`
	Transport    string        `enum:"udp,tcp,tls," default:"" help:"udp, tcp or tls. Without it what the URI says, else udp."`
	Bind         string        `placeholder:"ADDRESS[:PORT]" help:"Where to call from; without a port 5060 if that is free."`
	TLSCA        string        `name:"tls-ca" type:"path" placeholder:"FILE" help:"Certificates (PEM) that the target's must be signed by, instead of the system's."`
	Insecure     bool          `help:"Take any certificate."`
	Patience     time.Duration `default:"5s" help:"How late the far side's BYE may be before the caller hangs up."`
	MaxCalls     int           `default:"1000" help:"Refuse to place more calls than this."`
	MaxTime      time.Duration `default:"10m" help:"End everything after this time."`
	JSON         bool          `help:"One JSON document a call, a line each."`
	Write        string        `type:"path" placeholder:"FILE" help:"Write what is sent and received as a capture (pcap)."`
	Keylog       string        `type:"path" placeholder:"FILE" help:"Secrets of the capture's TLS connections (SSLKEYLOGFILE)."`
	Capture      string        `arg:"" help:"pcap, pcapng or snoop file, also compressed with gzip or zstd; - is standard input."`

	options replay.Options
}

// Help is shown below the flags.
func (replayCmd) Help() string {
	return `The caller of each recorded call calls again. The recorded messages go out byte for byte, but for what must be new: Call-ID, tags and branches (each in the shape of the recorded one, so that the fingerprint stays), the addresses of Via, Contact and session description, and what the live dialog dictates. The far side is answered as it acts: challenges, reliable ringing, re-INVITEs, BYE. RTP goes out in the recorded pace with the recorded headers and payload.

For each call a line says whether its flow is the recorded one, or where the two part. A difference: the responses to the INVITE, who ended the call, the far side's requests in it, the codec. None: when things happened, and how many packets came; they are told.

SIGINT ends the calls with BYE or CANCEL, as does --max-time.

Exit status: 0 when all flows are equal; 1 when one differs, was cut short, or the capture could not be read; 2 when the command line is wrong, or asks for more than --max-calls.`
}

// Validate reads the flags that need it; what it returns is an error of usage.
func (c *replayCmd) Validate() error {
	target, addr, carrier, err := parseTarget(c.To)
	if err != nil {
		return fmt.Errorf("--to %s: %w", c.To, err)
	}
	c.options.Target, c.options.Transport = target, carrier
	if c.Transport != "" {
		c.options.Transport = strings.ToUpper(c.Transport)
	}
	if target.Secure && c.options.Transport != transport.TLS {
		return errors.New("--to sips: goes over TLS only")
	}
	c.options.Addr = addr
	if c.Bind != "" {
		if c.options.Bind, err = netip.ParseAddrPort(c.Bind); err != nil {
			a, aerr := netip.ParseAddr(strings.Trim(c.Bind, "[]"))
			if aerr != nil {
				return fmt.Errorf("--bind %s: not an address, nor an address with a port", c.Bind)
			}
			c.options.Bind = netip.AddrPortFrom(a, 0)
		}
	}
	switch {
	case c.Speed <= 0:
		return fmt.Errorf("--speed %g: must be more than 0", c.Speed)
	case c.Rate < 0:
		return fmt.Errorf("--rate %g: must not be less than 0", c.Rate)
	case c.Loop < 1:
		return fmt.Errorf("--loop %d: must be at least 1", c.Loop)
	case c.Concurrency < 1:
		return fmt.Errorf("--concurrency %d: must be at least 1", c.Concurrency)
	case c.MaxTime <= 0:
		return fmt.Errorf("--max-time %s: must be more than 0", c.MaxTime)
	case c.Patience < 0:
		return fmt.Errorf("--patience %s: must not be less than 0", c.Patience)
	case c.User == "" && c.PasswordFile != "":
		return errors.New("--password-file needs --user")
	}
	return nil
}

// parseTarget reads a sip or sips URI. The address is invalid when the host is
// a name, which is looked up later.
func parseTarget(uri string) (t replay.Target, addr netip.AddrPort, carrier string, err error) {
	carrier = transport.UDP
	scheme, rest, ok := strings.Cut(uri, ":")
	switch {
	case ok && strings.EqualFold(scheme, "sip"):
	case ok && strings.EqualFold(scheme, "sips"):
		t.Secure, carrier = true, transport.TLS
	default:
		return t, addr, "", errors.New("not a SIP URI: sip:HOST[:PORT] is needed")
	}
	for _, c := range rest {
		if c <= ' ' || c > '~' || strings.ContainsRune(`<>"?,\`, c) {
			return t, addr, "", fmt.Errorf("%q cannot stand here", c)
		}
	}
	rest, params, _ := strings.Cut(rest, ";")
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		switch {
		case p == "":
		case strings.EqualFold(name, "transport"):
			switch carrier = strings.ToUpper(value); carrier {
			case transport.UDP, transport.TCP, transport.TLS:
			default:
				return t, addr, "", fmt.Errorf("transport %s: udp, tcp or tls is possible", value)
			}
		default:
			t.Params += ";" + p
		}
	}
	t.Host = rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		t.User, t.Host = rest[:i], rest[i+1:]
	}
	if a, err := netip.ParseAddr(strings.Trim(t.Host, "[]")); err == nil {
		return t, netip.AddrPortFrom(a.Unmap(), usualPort(carrier)), carrier, nil
	}
	if a, err := netip.ParseAddrPort(t.Host); err == nil {
		return t, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), carrier, nil
	}
	host, port, err := net.SplitHostPort(t.Host)
	if err != nil {
		host, port = t.Host, strconv.Itoa(int(usualPort(carrier)))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || strings.ContainsAny(host, ":[]/") {
		return t, addr, "", fmt.Errorf("%q is neither a host nor a host with a port", t.Host)
	}
	return t, netip.AddrPortFrom(netip.Addr{}, uint16(n)), carrier, nil
}

func usualPort(carrier string) uint16 {
	if carrier == transport.TLS {
		return 5061
	}
	return 5060
}

// Run places the calls.
func (c *replayCmd) Run(p printer) error {
	calls, err := c.load(p)
	if err != nil {
		return err
	}
	if n := len(calls) * c.Loop; n > c.MaxCalls {
		fmt.Fprintf(p.Err(), "replay: %d calls would be placed, --max-calls allows %d\n", n, c.MaxCalls)
		return exitStatus(exitUsage)
	}
	if span := time.Duration(float64(calls[len(calls)-1].At.Sub(calls[0].At)) / c.Speed); c.Rate == 0 && span > c.MaxTime {
		fmt.Fprintf(p.Err(), "replay: warning: the last call of the recording begins after %s, --max-time ends the run after %s; --rate places calls without the recorded spacing\n",
			span.Round(time.Second), c.MaxTime)
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(interrupted, stop) // a second SIGINT ends the program
	ctx, cancel := context.WithTimeout(interrupted, c.MaxTime)
	defer cancel()
	o, err := c.settle(ctx)
	if err != nil {
		return err
	}
	var film *replay.Film
	if c.Write != "" {
		f, err := os.Create(c.Write)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // flushed below
		w := bufio.NewWriter(f)
		if film, err = replay.NewFilm(w); err != nil {
			return err
		}
		o.Wire = film.Wire
		defer w.Flush() //nolint:errcheck // film.Err has what matters
	}
	t := &replayed{out: p.Out(), json: c.JSON, total: len(calls) * c.Loop}
	if err := replay.Run(ctx, calls, o, t.call); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if film != nil && film.Err() != nil {
		return fmt.Errorf("replay: writing %s: %w", c.Write, film.Err())
	}
	if t.err != nil {
		return fmt.Errorf("cannot write the result: %w", t.err)
	}
	return t.end(p.Err())
}

func (c *replayCmd) load(p printer) ([]*replay.Recording, error) {
	in := io.Reader(os.Stdin)
	if c.Capture != "-" {
		f, err := os.Open(c.Capture)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	keys, err := secretsOf(p, "replay", c.Keylog)
	if err != nil {
		return nil, err
	}
	calls, without, err := replay.Load(in, c.Call, keys, replay.DefaultHeld)
	if errors.Is(err, trace.ErrCut) {
		fmt.Fprintf(p.Err(), "replay: %s: warning: %v; what stands before was read\n", c.Capture, err)
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("replay: %s: %w", c.Capture, err)
	}
	if without > 0 {
		fmt.Fprintf(p.Err(), "replay: %s: warning: %d calls have no INVITE in it that can be answered, and cannot be placed\n", c.Capture, without)
	}
	switch {
	case len(calls) > 0:
		return calls, nil
	case c.Call != "":
		return nil, fmt.Errorf("replay: %s: no call %s that begins with an INVITE", c.Capture, c.Call)
	}
	return nil, fmt.Errorf("replay: %s: no call that begins with an INVITE", c.Capture)
}

// secretsOf reads the key log that is named, nil without one.
func secretsOf(p printer, command, file string) (*trace.KeyLog, error) {
	if file == "" {
		return nil, nil
	}
	k, err := openKeyLog(file, false, func(format string, args ...any) {
		fmt.Fprintf(p.Err(), command+": warning: "+format+"\n", args...)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: --keylog: %w", command, err)
	}
	return k, nil
}

// settle is the options with all that must be looked up or read.
func (c *replayCmd) settle(ctx context.Context) (replay.Options, error) {
	o := c.options
	o.User, o.Password = c.User, c.Password
	o.Rate, o.Speed, o.SpeedRTP, o.Loop, o.Concurrency, o.Patience = c.Rate, c.Speed, c.SpeedRTP, c.Loop, c.Concurrency, c.Patience
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return o, err
		}
		first, _, _ := strings.Cut(string(b), "\n")
		o.Password = strings.TrimSuffix(first, "\r")
	}
	if !o.Addr.Addr().IsValid() {
		host := strings.TrimSuffix(o.Target.Host, ":"+strconv.Itoa(int(o.Addr.Port())))
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return o, fmt.Errorf("replay: --to: %w", err)
		}
		for _, a := range found {
			if bind := o.Bind.Addr(); !bind.IsValid() || bind.Is4() == a.Unmap().Is4() {
				o.Addr = netip.AddrPortFrom(a.Unmap(), o.Addr.Port())
				break
			}
		}
		if !o.Addr.Addr().IsValid() {
			return o, fmt.Errorf("replay: --to: %s has no address of the family of --bind", host)
		}
	}
	if o.Transport == transport.TLS {
		o.ClientTLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure} //nolint:gosec // asked for
		host, _, _ := strings.Cut(strings.Trim(o.Target.Host, "[]"), ":")
		o.ClientTLS.ServerName = host
	}
	if c.TLSCA != "" {
		pem, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return o, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("replay: --tls-ca %s holds no certificate", c.TLSCA)
		}
		if o.ClientTLS != nil {
			o.ClientTLS.RootCAs = pool
		}
	}
	return o, nil
}

// replayed tells what came of calls.
type replayed struct {
	out           io.Writer
	json          bool
	total         int
	done, differs int
	err           error
}

func (t *replayed) call(r replay.Result) {
	t.done++
	if !r.Equal {
		t.differs++
	}
	if t.json {
		b, err := json.Marshal(r)
		if err == nil {
			_, err = t.out.Write(append(b, '\n'))
		}
		t.fail(err)
		return
	}
	now := r.Flow.String()
	if r.Equal {
		t.printf("equal    %s -> %s  %s; %s\n", plain(r.From), plain(r.To), now, ended(r.Flow))
	} else {
		t.printf("DIFFERS  %s -> %s\n", plain(r.From), plain(r.To))
	}
	t.printf("         Call-ID %s, recorded %s\n", plain(r.Now), plain(r.CallID))
	for _, d := range r.Differences {
		t.printf("         %s\n", d.Says)
	}
	if r.Timing != "" {
		t.printf("         %s\n", r.Timing)
	}
	if r.Flow.Sent+r.Flow.Received+r.Recorded.Sent+r.Recorded.Received > 0 {
		t.printf("         RTP: sent %d of %d, received %d (recorded %d), lost %d (recorded %d)\n",
			r.Flow.Sent, r.Recorded.Sent, r.Flow.Received, r.Recorded.Received, r.Flow.Lost, r.Recorded.Lost)
	}
	if !r.SameFingerprint && r.Now != "" {
		t.printf("         its fingerprint is not the recorded one, %s\n", r.Fingerprint)
	}
	if r.Note != "" {
		t.printf("         %s\n", plain(r.Note))
	}
}

func ended(f replay.Flow) string {
	says := map[string]string{"caller": "the caller hung up", "far": "the far side hung up", "cancelled": "cancelled by the caller", "refused": "refused"}[f.Ended]
	if says == "" {
		return "not over"
	}
	return says + " after " + f.EndedAt.String()
}

func (t *replayed) printf(format string, args ...any) {
	_, err := fmt.Fprintf(t.out, format, args...)
	t.fail(err)
}

func (t *replayed) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// end sums up, on standard error so that the calls may be piped away.
func (t *replayed) end(errs io.Writer) error {
	left := ""
	if t.done < t.total {
		left = fmt.Sprintf(", %d not placed", t.total-t.done)
	}
	fmt.Fprintf(errs, "replay: %d calls placed, %d as recorded, %d otherwise%s\n", t.done, t.done-t.differs, t.differs, left)
	if t.differs > 0 || t.done < t.total {
		return errReported
	}
	return nil
}
