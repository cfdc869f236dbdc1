package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/portero/portero/sip/replay"
	"github.com/portero/portero/sip/trace"
)

type exportCmd struct {
	SIPp exportSIPpCmd `cmd:"" name:"sipp" help:"As a scenario of SIPp, with the audio as a capture that it plays."`
}

type exportSIPpCmd struct {
	Call    string `placeholder:"CALL-ID" help:"Which call of the capture; not needed when there is only one."`
	Side    string `enum:"uac,uas,both" default:"uac" help:"Whose part: the caller's (uac), that of whom it called (uas), or both."`
	Out     string `short:"o" type:"path" required:"" placeholder:"DIR" help:"Where to put uac.xml and uac.pcap, uas.xml and uas.pcap; made if need be."`
	Keylog  string `type:"path" placeholder:"FILE" help:"Secrets of the capture's TLS connections (SSLKEYLOGFILE)."`
	Capture string `arg:"" help:"pcap, pcapng or snoop file, also compressed with gzip or zstd; - is standard input."`
}

// Help is shown below the flags.
func (exportSIPpCmd) Help() string {
	return `uac.xml is the caller's side of the recorded call for SIPp 3.6: its messages in their order, with SIPp's keywords where a call needs values of its own, the recorded pauses, any provisional response taken as optional. uac.pcap is what the caller said, for play_pcap_audio, which needs the right to open raw sockets. uas.xml and uas.pcap are the other side's.

Where the recorded call was challenged, so has to be this one: give SIPp -au and -ap.

Exit status: 0 when it was written; 1 when not; 2 when the command line is wrong.`
}

// Run writes the scenario.
func (c *exportSIPpCmd) Run(p printer) error {
	in := io.Reader(os.Stdin)
	if c.Capture != "-" {
		f, err := os.Open(c.Capture)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	keys, err := secretsOf(p, "export", c.Keylog)
	if err != nil {
		return err
	}
	calls, _, err := replay.Load(in, c.Call, keys, replay.DefaultHeld)
	if err != nil && !errors.Is(err, trace.ErrCut) {
		return fmt.Errorf("export: %s: %w", c.Capture, err)
	}
	switch {
	case len(calls) == 0 && c.Call != "":
		return fmt.Errorf("export: %s: no call %s that begins with an INVITE", c.Capture, c.Call)
	case len(calls) == 0:
		return fmt.Errorf("export: %s: no call that begins with an INVITE", c.Capture)
	case len(calls) > 1:
		for _, r := range calls {
			fmt.Fprintf(p.Err(), "%s  %s -> %s\n", plain(r.CallID), plain(r.From), plain(r.To))
		}
		fmt.Fprintf(p.Err(), "export: %s: %d calls; choose one with --call\n", c.Capture, len(calls))
		return exitStatus(exitUsage)
	}
	for _, side := range []struct {
		name, use string
		export    func(*replay.Recording, string) (replay.Scenario, error)
	}{
		{"uac", "to place the call: sipp -sf %s -m 1 HOST:PORT", replay.ExportSIPp},
		{"uas", "to answer one: sipp -sf %s -m 1 -i ADDRESS", replay.ExportSIPpAnswerer},
	} {
		if c.Side != side.name && c.Side != "both" {
			continue
		}
		audio := filepath.Join(c.Out, side.name+".pcap")
		s, err := side.export(calls[0], audio)
		if err != nil {
			return fmt.Errorf("export: %s: %w", c.Capture, err)
		}
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return err
		}
		scenario := filepath.Join(c.Out, side.name+".xml")
		if err := os.WriteFile(scenario, s.XML, 0o644); err != nil {
			return err
		}
		if s.Audio != nil {
			if err := os.WriteFile(audio, s.Audio, 0o644); err != nil {
				return err
			}
		}
		for _, n := range s.Notes {
			fmt.Fprintf(p.Err(), "export: %s\n", n)
		}
		fmt.Fprintf(p.Out(), "%s; "+side.use+"\n", scenario, scenario)
	}
	return nil
}
