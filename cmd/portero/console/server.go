package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/upstream"
)

// Deps are the rooms a console shows.
type Deps struct {
	Log     *zap.Logger
	Version string
	Status  func() Status // the door's
	Store   *store.Store
	Metrics *Metrics
	// Upstream lists the door's targets; nil: there are none to show.
	Upstream func() []upstream.TargetStatus
	// Run dials what is due, see [callback.Dialer.RunOnce]; nil: callbacks are off.
	Run func(ctx context.Context, hasten bool) (callback.Ran, error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Status is how the door fares.
type Status struct {
	Mode     string // observe or enforce
	CallsNow int
	Draining bool // takes no new calls
}

// Server is the HTTP side of a door.
type Server struct {
	cfg  Config
	deps Deps
	http *http.Server
}

const (
	readTime   = 5 * time.Second  // for a request's headers and body
	writeTime  = 15 * time.Second // for an answer
	idleTime   = 2 * time.Minute  // of a kept connection
	maxHeaders = 16 << 10         // bytes
	runTime    = 15 * time.Minute // for POST /api/callbacks/run, which waits for phones
	grace      = 3 * time.Second  // for requests under way when the console closes
)

// New is a console that shows deps; Serve opens it.
func New(cfg Config, deps Deps) *Server {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Server{cfg: cfg, deps: deps}
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaders,
		ErrorLog:          zap.NewStdLog(deps.Log.Named("console")),
	}
	return s
}

// Serve listens and answers until ctx ends, then lets requests under way finish
// for a moment. It returns at once, without an error, when the console is off.
func (s *Server) Serve(ctx context.Context) error {
	if s.cfg.Listen == Off {
		return nil
	}
	l, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("console: set console.listen to an address of this machine and a free port: %w", err)
	}
	return s.ServeListener(ctx, l)
}

// ServeListener is Serve on a listener that is open already; it closes it.
func (s *Server) ServeListener(ctx context.Context, l net.Listener) error {
	s.deps.Log.Info("listening for HTTP", zap.String("listener", l.Addr().String()))
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("console: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := s.http.Shutdown(patience)
	if err != nil {
		err = s.http.Close()
	}
	if serr := <-failed; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// Handler is all of the console as one handler.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /metrics", s.deps.Metrics.Handler())
	mux.HandleFunc("GET /api/calls", s.calls)
	mux.HandleFunc("GET /api/calls/{id}", s.call)
	mux.HandleFunc("GET /api/upstream", s.upstream)
	mux.HandleFunc("GET /api/callbacks", s.callbacks)
	mux.HandleFunc("POST /api/callbacks/run", s.run)
	mux.HandleFunc("DELETE /api/callbacks/{id}", s.cancel)
	if profiles != nil {
		profiles(mux)
	}
	return s.guard(s.jsonErrors(mux))
}

// profiles adds what only a build for measuring shows, see pprof.go.
var profiles func(*http.ServeMux)
