package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

type recordCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"Configuration of the door that had the call (YAML)."`
	Output string `short:"o" placeholder:"FILE" help:"Where the capture goes; - is standard output. A name that ends in .pcap makes it pcap, any other pcapng."`
	List   bool   `help:"List the calls of which packets are kept, the newest first."`
	JSON   bool   `help:"With --list: one JSON object a line."`
	Call   string `arg:"" optional:"" name:"call" help:"The call's Call-ID, or its id in Portero's records."`
}

// Help is shown below the flags.
func (recordCmd) Help() string {
	return `The call is written as a capture that portero inspect, replay and test read, and Wireshark: the caller's side of it, as the door saw it. Its packets come from captures.directory, where the door keeps those of the last calls if the configuration says so, or else from the call's recording, if it was recorded as pcapng. A door that serves may go on.

What came over TCP, TLS or WebSocket is shown as UDP. Keys of SRTP are left out and its voices are in the clear; pressed keys are left out unless the configuration keeps them, and a judgement that hangs on them differs then from the live one. Without captures.media there are no voices, and nothing is heard in the capture.

Exit status: 0 when the capture was written; 1 when nothing is kept of the call, or something failed; 2 when the command line is wrong.`
}

// recordTime is how long the store may take to answer.
const recordTime = storeTime

// Run writes a capture or the list.
func (c recordCmd) Run(p printer) error {
	usage := func(why string) error {
		fmt.Fprintf(p.Err(), "record: %s\nTry portero record --help.\n", why)
		return exitStatus(exitUsage)
	}
	switch {
	case c.List && (c.Call != "" || c.Output != ""):
		return usage("--list takes no call and no --output")
	case c.JSON && !c.List:
		return usage("--json goes with --list")
	case !c.List && c.Call == "":
		return usage("which call? --list tells which there are")
	case !c.List && c.Output == "":
		return usage("where to? --output takes a file, or - for standard output")
	}
	cfg, err := loadConfig(p, c.Config)
	if err != nil {
		return err
	}
	if c.List {
		return c.list(p, cfg)
	}
	capture, err := findCapture(cfg, c.Call)
	if err != nil {
		return err
	}
	write := capture.WritePCAPNG
	if strings.EqualFold(filepath.Ext(c.Output), ".pcap") {
		write = capture.WritePCAP
	}
	if c.Output == "-" {
		return write(p.Out())
	}
	if err := writePrivate(c.Output, write); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out(), "%s: %d packets, %s\n", c.Output, capture.Packets(), voices(capture.Voices))
	return err
}

func voices(n int) string {
	if n == 0 {
		return "signalling alone"
	}
	return fmt.Sprintf("%d of them voices", n)
}

// writePrivate writes a file that its owner alone can read: it holds a call.
func writePrivate(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// findCapture takes a call's packets from where they are kept. What was recorded holds
// the voices that packets without media lack.
func findCapture(cfg *config.Config, call string) (*record.Capture, error) {
	var kept *record.Capture
	if dir := cfg.Captures.Directory; dir != "" {
		var err error
		kept, err = record.Find(dir, call)
		if err != nil && !errors.Is(err, record.ErrNotKept) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if kept != nil && kept.Voices > 0 {
			return kept, nil
		}
	}
	r, err := storedCall(cfg, call)
	if err == nil {
		for _, file := range packetFiles(r) {
			if c, err := record.Load(file); err == nil && c.Packets() > 0 {
				return c, nil
			}
		}
	}
	if kept != nil {
		return kept, nil
	}
	return nil, nothingKept(cfg, call, err)
}

// nothingKept says why there is no capture, and what would make one.
func nothingKept(cfg *config.Config, call string, unknown error) error {
	var why string
	switch {
	case unknown != nil && !errors.Is(unknown, store.ErrNotFound) && !errors.Is(unknown, store.ErrNoStore):
		return unknown
	case cfg.Captures.Directory == "" && cfg.Recording.Format != record.PCAPNG:
		why = "no packets are kept by this configuration; set captures.directory, and restart the door"
	case unknown != nil:
		why = "the door does not know that call; portero record --list tells which it knows"
	case cfg.Captures.Directory == "":
		why = "it was not recorded, and captures.directory is not set"
	default:
		why = fmt.Sprintf("it came before captures.directory was set, by no trunk, or too long ago (captures.keep is %v, max_mb %d)", cfg.Captures.Keep, cfg.Captures.MaxMB)
	}
	return fmt.Errorf("no packet of call %s is kept: %s", plain(call), why)
}

// packetFiles are the recordings of a call that hold packets.
func packetFiles(r store.Record) []string {
	var out []string
	for _, x := range r.Recordings {
		if filepath.Ext(x.File) == "."+record.PCAPNG {
			out = append(out, x.File)
		}
	}
	return out
}

func storedCall(cfg *config.Config, id string) (r store.Record, err error) {
	err = withCalls(cfg, func(ctx context.Context, calls *store.Calls) (err error) {
		r, err = calls.Call(ctx, id)
		return err
	})
	return r, err
}

func withCalls(cfg *config.Config, f func(context.Context, *store.Calls) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	calls, err := store.OpenCalls(ctx, cfg.Store)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, calls), calls.Close())
}

// keptCall is a line of the list.
type keptCall struct {
	ID      string        `json:"id"`
	CallID  string        `json:"call_id"`
	At      store.Time    `json:"at"`      // the INVITE, or the first packet
	From    string        `json:"from"`    // what follows is empty while the call goes on
	To      string        `json:"to"`      //
	Outcome store.Outcome `json:"outcome"` //
	Class   policy.Class  `json:"class"`   //
	Action  policy.Action `json:"action"`  //
	SIP     int           `json:"sip"`     // packets in captures.directory
	RTP     int           `json:"rtp"`     //
	Files   []string      `json:"files"`   // recordings as packets
}

// list tells what is kept, and what the store knows of it.
func (c recordCmd) list(p printer, cfg *config.Config) error {
	var found []record.Listed
	if dir := cfg.Captures.Directory; dir != "" {
		var err error
		if found, err = record.List(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	byID := map[string]store.Record{}
	err := withCalls(cfg, func(ctx context.Context, calls *store.Calls) error {
		last, err := calls.List(ctx, store.Filter{Limit: store.MaxCalls})
		for _, r := range last {
			byID[r.ID] = r
		}
		for _, l := range found {
			if _, ok := byID[l.ID]; !ok && err == nil {
				if r, e := calls.Call(ctx, l.ID); e == nil {
					byID[l.ID] = r
				}
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNoStore) {
		return err
	}
	return c.print(p.Out(), listed(found, byID))
}

// listed puts together what both know, the newest first.
func listed(found []record.Listed, byID map[string]store.Record) []keptCall {
	var out []keptCall
	of := func(r store.Record) keptCall {
		return keptCall{ID: r.ID, CallID: r.CallID, At: r.InviteAt, From: r.From, To: r.To, Outcome: r.Outcome, Class: r.Class(), Action: r.Action(), Files: append([]string{}, packetFiles(r)...)}
	}
	seen := map[string]bool{}
	for _, l := range found {
		seen[l.ID] = true
		k := keptCall{ID: l.ID, CallID: l.CallID, At: store.At(l.First), Files: []string{}}
		if r, ok := byID[l.ID]; ok {
			k = of(r)
		}
		k.SIP, k.RTP = l.SIP, l.RTP
		out = append(out, k)
	}
	for id, r := range byID {
		if k := of(r); !seen[id] && len(k.Files) > 0 {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b keptCall) int { return cmp.Or(b.At.Compare(a.At.Time), cmp.Compare(a.ID, b.ID)) })
	return out
}

func (c recordCmd) print(w io.Writer, calls []keptCall) error {
	if c.JSON {
		e := json.NewEncoder(w)
		for _, k := range calls {
			if err := e.Encode(k); err != nil {
				return err
			}
		}
		return nil
	}
	if len(calls) == 0 {
		_, err := fmt.Fprintln(w, "no packets of any call are kept")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tFROM\tTO\tOUTCOME\tCLASS\tACTION\tSIP\tRTP\tCALL-ID")
	for _, k := range calls {
		rtp := fmt.Sprint(k.RTP)
		if len(k.Files) > 0 {
			rtp += " and a recording"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", clock(k.At), dash(k.From), dash(k.To), dash(string(k.Outcome)), dash(string(k.Class)), dash(string(k.Action)), k.SIP, rtp, plain(k.CallID))
	}
	return t.Flush()
}
