package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/cmd/portero/console"
	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/media/webrtc"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/campaign"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/policy/webhook"
	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/identity/verifier"
	"github.com/portero/portero/sip/judge"
)

type serveCmd struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)."`
}

// Run opens the door and serves until SIGTERM or SIGINT; SIGHUP reads the rules
// and certificates anew.
func (s serveCmd) Run(p printer) error {
	cfg, err := loadConfig(p, s.Config)
	if err != nil {
		return err
	}
	log, err := cfg.Log.Logger()
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return serve(ctx, cfg, s.Config, log)
}

// serve wires the rooms of one door and runs them until ctx ends.
func serve(ctx context.Context, cfg *config.Config, file string, log *zap.Logger) (err error) {
	room := reserve()
	defer runtime.KeepAlive(room)
	for _, n := range cfg.Door.Notes() {
		log.Warn(n)
	}
	bench, err := newBench(cfg)
	if err != nil {
		return err
	}
	warnExpired(bench, log)
	records, err := store.Open(cfg.Store, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	media, err := relay.New(cfg.Media.Relay, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, media.Close()) }()
	var browsers *webrtc.Mux // nil: they are not served
	if cfg.Media.WebRTC.Enabled() {
		if browsers, err = webrtc.New(cfg.Media.WebRTC, log); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, browsers.Close()) }()
	}
	prompts, err := prompt.New(cfg.Prompts)
	if err != nil {
		return err
	}
	recorder, err := record.New(cfg.Recording, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, recorder.Close()) }()
	spool, err := record.NewSpool(cfg.Captures, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	events, err := webhook.New(cfg.Webhook, log)
	if err != nil {
		return err
	}
	defer events.Close()
	cores := runtime.GOMAXPROCS(0)
	analysts := max(1, cores-1)                                    // a core is the signalling's, however many callers there are to hear
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores + analysts)) // see Deps.Analysts
	identities, err := verifier.New(cfg.Door.Identity)
	if err != nil {
		return err
	}
	defer identities.Close()
	metrics := console.NewMetrics()
	metrics.WatchIdentity(identities.Counts)
	metrics.Watch(records.Health, records.Counts)
	if events != nil {
		metrics.WatchEvents(events.Counts)
	}
	if browsers != nil {
		metrics.WatchBrowsers(browsers.Counts)
	}
	if recorder != nil {
		metrics.WatchRecordings(recorder.Counts)
	}
	if spool != nil {
		metrics.WatchCaptures(spool.Counts)
	}
	deps := door.Deps{Log: log, Analysts: analysts, Bench: bench, Relay: media, WebRTC: browsers, Prompts: prompts, Surge: surge.New(cfg.Surge),
		Records: records.Put, Metrics: metrics, Verifier: identities, Recorder: recorder, Spool: spool, Events: events,
		Withdraw: records.Withdraw}
	if cfg.Callback.Enabled {
		if deps.Queue, err = callback.NewQueue(cfg.Callback, records.Promises); err != nil {
			return err
		}
	}
	d, err := door.New(cfg.Door, deps)
	if err != nil {
		return err
	}
	metrics.Mirror(d.Mirrored)
	metrics.WatchUpstream(d.Upstream)
	dialer, err := callback.NewDialer(cfg.Callback, records.Promises, counted{d, metrics}, time.Now, log)
	if err != nil {
		return err
	}
	status := func() console.Status {
		return console.Status{Mode: string(d.Mode()), CallsNow: d.CallsNow(), Draining: d.Draining()}
	}
	admin := console.New(cfg.Console, console.Deps{Log: log, Version: buildVersion(), Status: status, Store: records,
		Metrics: metrics, Upstream: d.Upstream, Run: dialer.RunOnce})

	// The console outlives the door, so that a health check sees it drain. What
	// fails first ends all.
	serving, done := context.WithCancel(ctx)
	defer done()
	side, sideDone := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer sideDone()
	failed := make(chan error, 1)
	if recorder != nil {
		wg.Go(func() { recorder.Run(side) })
	}
	wg.Add(3)
	go func() {
		defer wg.Done()
		if err := admin.Serve(side); err != nil {
			failed <- err
			done()
		}
	}()
	go func() {
		defer wg.Done()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		dialer.Run(serving, tick.C)
	}()
	go func() {
		defer wg.Done()
		reloads(side, d, identities, bench.Campaigns, file, log)
	}()
	err = d.Serve(serving)
	done()
	select {
	case e := <-failed:
		err = errors.Join(err, e)
	default:
	}
	return err
}

// reloads reads the configuration anew at each SIGHUP and puts its rules, lists,
// judgement and sip.identity with its certificates in place. What does not compile
// is said and changes nothing.
func reloads(ctx context.Context, d *door.Door, identities *verifier.Verifier, campaigns *campaign.Index, file string, log *zap.Logger) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		cfg, err := config.Load(file)
		if err != nil {
			log.Error("reload: the configuration is not good, the old rules stay", zap.String("file", file), zap.Error(err))
			continue
		}
		b, err := newBench(cfg)
		if err != nil {
			log.Error("reload: the rules are not good, the old ones stay", zap.String("file", file), zap.Error(err))
			continue
		}
		if err := d.ReloadTLS(cfg.Door.TLS); err != nil {
			log.Error("reload: the certificates are not good, the old ones stay", zap.String("file", file), zap.Error(err))
			continue
		}
		if err := identities.Reload(cfg.Door.Identity); err != nil {
			log.Error("reload: sip.identity is not good, the old stays", zap.String("file", file), zap.Error(err))
			continue
		}
		b.Campaigns = campaigns // what was heard stays known
		d.Reload(b)
		warnExpired(b, log)
		log.Info("reload: rules, lists, mode, judgement, sip.tls and sip.identity are new; other keys need a restart", zap.String("file", file))
	}
}

// warnExpired says which signatures weigh nothing any more.
func warnExpired(b *judge.Bench, log *zap.Logger) {
	for _, g := range b.Signatures.Expired(time.Now()) {
		if g.Unseen == "" {
			log.Warn("a signature has expired and weighs nothing; look for a newer one, or renew it in a file of your own",
				zap.String("signature", g.Name), zap.String("valid_to", g.ValidTo.Format(time.DateOnly)))
		}
	}
}

// counted is the door as the dialer sees it, with its attempts counted.
type counted struct {
	*door.Door
	metrics *console.Metrics
}

// Dial implements callback.Door.
func (c counted) Dial(ctx context.Context, p store.Promise) callback.Result {
	r := c.Door.Dial(ctx, p)
	c.metrics.Dialed(string(r.Outcome))
	return r
}
