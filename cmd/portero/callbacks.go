package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/cmd/portero/console"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/store"
)

// callbacksCmd looks after the promises of callbacks. list and cancel work on
// the store itself, also while a door serves with it; run asks that door.
type callbacksCmd struct {
	List   callbacksListCmd   `cmd:"" help:"List the callbacks owed and once owed."`
	Cancel callbacksCancelCmd `cmd:"" help:"Take a promise back, by its id or its number."`
	Run    callbacksRunCmd    `cmd:"" help:"Have the running door dial what is due, without the pace between dials."`
}

// storeTime is how long list and cancel wait for a store that another writes.
const storeTime = 20 * time.Second

type callbacksListCmd struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
	JSON   bool   `help:"One JSON object a line."`
	State  string `placeholder:"STATE" help:"Only these: open, dialing, joined, failed, cancelled, expired."`
}

// Run lists promises, by state and then age.
func (c *callbacksListCmd) Run(p printer) error {
	var states []store.State
	if c.State != "" {
		s, err := store.ParseState(c.State)
		if err != nil {
			return err
		}
		states = append(states, s)
	}
	return withPromises(c.Config, func(ctx context.Context, promises *store.Promises) error {
		list, err := promises.List(ctx, states...)
		if err != nil {
			return err
		}
		if c.JSON {
			e := json.NewEncoder(p.Out())
			for _, pr := range list {
				if err := e.Encode(pr); err != nil {
					return err
				}
			}
			return nil
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(p.Out(), "no callbacks")
			return err
		}
		return promiseTable(p.Out(), list)
	})
}

// promiseTable writes a line a promise, for people: times are the machine's.
func promiseTable(w io.Writer, list []store.Promise) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNUMBER\tSTATE\tPROMISED\tNEXT\tATTEMPTS\tLAST ATTEMPT")
	for _, pr := range list {
		next, last := "-", "-"
		switch {
		case pr.State == store.StateOpen:
			next = clock(pr.NotBefore)
		case pr.State == store.StateDialing && !pr.CancelAt.IsZero():
			next = "none: cancelled"
		}
		if n := len(pr.History); n > 0 {
			a := pr.History[n-1]
			last = plain(a.Outcome + " " + a.Detail)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n", pr.ID, pr.Number, pr.State, clock(pr.PromisedAt), next, pr.Attempts, last)
	}
	return t.Flush()
}

// plain is s without what would steer a terminal: details quote the network, as
// the reason phrase of a response.
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
}

func clock(t store.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

type callbacksCancelCmd struct {
	Config  string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
	Promise string `arg:"" name:"id|number" help:"The promise's id, or the number it is owed to."`
}

// Run cancels one promise.
func (c *callbacksCancelCmd) Run(p printer) error {
	return withPromises(c.Config, func(ctx context.Context, promises *store.Promises) error {
		pr, err := promises.Cancel(ctx, c.Promise, time.Now())
		if err != nil {
			return err
		}
		what := "cancelled"
		if pr.State == store.StateDialing {
			what = "being dialled at this moment; that call goes on, and no other follows"
		}
		_, err = fmt.Fprintf(p.Out(), "callback %d to %s: %s\n", pr.ID, pr.Number, what)
		return err
	})
}

// withPromises opens the store of a configuration.
func withPromises(path string, f func(context.Context, *store.Promises) error) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	promises, err := store.OpenPromises(ctx, cfg.Store)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, promises), promises.Close())
}

type callbacksRunCmd struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
	Now    bool   `help:"Dial also what waits for its next attempt."`
}

// Run asks the door that serves with this configuration, by its console, and
// waits for the dials to end.
func (c *callbacksRunCmd) Run(p printer) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	ran, err := askRun(cfg.Console, c.Now)
	if err != nil {
		return err
	}
	for _, a := range ran.Attempted {
		result := plain(string(a.Result.Outcome) + " " + a.Result.Detail)
		if _, err := fmt.Fprintf(p.Out(), "callback %d to %s: %s\n", a.Promise.ID, a.Promise.Number, result); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(p.Out(), "%d dialled; %s\n", len(ran.Attempted), ran.Stopped)
	return err
}

// askRun is POST /api/callbacks/run.
func askRun(c console.Config, now bool) (callback.Ran, error) {
	var ran callback.Ran
	if c.Listen == console.Off {
		return ran, errors.New("console.listen is off, so the door cannot be asked; set it to 127.0.0.1:8080")
	}
	u := url.URL{Scheme: "http", Host: reachable(c.Listen), Path: "/api/callbacks/run"}
	if now {
		u.RawQuery = "now=true"
	}
	req, err := http.NewRequest(http.MethodPost, u.String(), nil)
	if err != nil {
		return ran, err
	}
	req.Header.Set(console.AdminHeader, "1")
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	// No proxy: the door is named by the configuration and often on loopback. No
	// time limit: phones ring as long as they ring, and the door has its own.
	client := http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return ran, fmt.Errorf("the door's console cannot be reached; is `portero serve` running with this configuration? %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return ran, fmt.Errorf("the answer of %s broke off: %w", u.Host, err)
	}
	if resp.StatusCode != http.StatusOK {
		var failed struct{ Error string }
		if json.Unmarshal(body, &failed) != nil || failed.Error == "" {
			failed.Error = "no reason given; is this another program's port?"
		}
		return ran, fmt.Errorf("the door at %s answered %s: %s", u.Host, resp.Status, failed.Error)
	}
	if err := json.Unmarshal(body, &ran); err != nil {
		return ran, fmt.Errorf("the answer of %s is not a door's: %w", u.Host, err)
	}
	return ran, nil
}

// reachable is the address to ask a listener at: one that listens everywhere is
// asked on loopback.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
