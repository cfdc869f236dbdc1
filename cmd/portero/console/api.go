package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

// Health is the answer of /healthz.
type Health struct {
	OK       bool         `json:"ok"`        // takes calls; the store may be ill, calls go on without it
	Draining bool         `json:"draining"`  // takes no new calls
	Mode     string       `json:"mode"`      // observe or enforce
	CallsNow int          `json:"calls_now"` //
	Store    store.Health `json:"store"`     //
	// Upstream says how many targets can be sent calls to.
	Upstream UpstreamHealth `json:"upstream"`
	Version  string         `json:"version"` //
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	st := s.deps.Status()
	h := Health{OK: !st.Draining, Draining: st.Draining, Mode: st.Mode, CallsNow: st.CallsNow, Store: s.deps.Store.Health(), Upstream: s.upstreamHealth(), Version: s.deps.Version}
	code := http.StatusOK
	if !h.OK {
		code = http.StatusServiceUnavailable
	}
	s.answer(w, code, h)
}

func (s *Server) calls(w http.ResponseWriter, r *http.Request) {
	f, err := filter(r.URL.RawQuery)
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	list, err := s.deps.Store.Calls(r.Context(), f)
	if err != nil {
		s.broken(w, err)
		return
	}
	s.answer(w, http.StatusOK, list)
}

func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	rec, err := s.deps.Store.Call(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.fail(w, http.StatusNotFound, "no ended call of that id is stored")
	case err != nil:
		s.broken(w, err)
	default:
		s.answer(w, http.StatusOK, rec)
	}
}

func (s *Server) callbacks(w http.ResponseWriter, r *http.Request) {
	q, err := query(r.URL.RawQuery, "state")
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	var states []store.State
	if text := q.Get("state"); text != "" {
		st, err := store.ParseState(text)
		if err != nil {
			s.fail(w, http.StatusBadRequest, err.Error())
			return
		}
		states = append(states, st)
	}
	list, err := s.deps.Store.List(r.Context(), states...)
	if err != nil {
		s.broken(w, err)
		return
	}
	if list == nil {
		list = []store.Promise{}
	}
	s.answer(w, http.StatusOK, list)
}

func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	q, err := query(r.URL.RawQuery, "now")
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	hasten := false
	if text := q.Get("now"); text != "" {
		if hasten, err = strconv.ParseBool(text); err != nil {
			s.fail(w, http.StatusBadRequest, fmt.Sprintf("now is %q; allowed: true, false", text))
			return
		}
	}
	if s.deps.Run == nil {
		s.fail(w, http.StatusConflict, "callbacks are disabled; set callback.enabled")
		return
	}
	// Phones take longer than the server's answer time.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(runTime + writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.broken(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), runTime)
	defer cancel()
	ran, err := s.deps.Run(ctx, hasten)
	if err != nil && ctx.Err() == nil {
		s.broken(w, err)
		return
	}
	if err != nil {
		ran.Stopped = "the request ended; dials under way go on"
	}
	s.answer(w, http.StatusOK, ran)
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	pr, err := s.deps.Store.Cancel(r.Context(), r.PathValue("id"), s.deps.Now())
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.fail(w, http.StatusNotFound, "no promise of that id or to that number is stored")
	case errors.Is(err, store.ErrEnded):
		s.fail(w, http.StatusConflict, err.Error())
	case err != nil:
		s.broken(w, err)
	default:
		s.answer(w, http.StatusOK, pr)
	}
}

// broken answers for a store that failed; the error may name files, so it goes
// to the log.
func (s *Server) broken(w http.ResponseWriter, err error) {
	s.deps.Log.Warn("console: a request failed", zap.Error(err))
	s.fail(w, http.StatusServiceUnavailable, "the store did not answer; see the log")
}

// query reads parameters and refuses those that are unknown or given twice: a
// filter with a typing mistake must not look like one without matches.
func query(raw string, allowed ...string) (url.Values, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("the query cannot be read: %v", err)
	}
	for name, values := range q {
		if !slices.Contains(allowed, name) {
			return nil, fmt.Errorf("parameter %q is unknown; allowed: %s", name, strings.Join(allowed, ", "))
		}
		if len(values) > 1 {
			return nil, fmt.Errorf("parameter %q is given %d times; give it once", name, len(values))
		}
	}
	return q, nil
}

// filter reads the parameters of /api/calls.
func filter(raw string) (store.Filter, error) {
	var f store.Filter
	q, err := query(raw, "since", "until", "from", "class", "limit")
	if err != nil {
		return f, err
	}
	moment := func(name string) time.Time {
		text := q.Get(name)
		if text == "" || err != nil {
			return time.Time{}
		}
		t, perr := time.Parse(time.RFC3339Nano, text)
		// Moments are kept as nanoseconds in 64 bits.
		if perr != nil || t.Year() < 1970 || t.Year() > 2200 {
			err = fmt.Errorf("%s is %q; a time of RFC 3339 from 1970 to 2200 is wanted, such as 2026-11-23T08:00:00Z (a + as %%2B)", name, text)
		}
		return t
	}
	f.Since, f.Until = moment("since"), moment("until")
	if err != nil {
		return f, err
	}
	f.From = q.Get("from")
	switch c := policy.Class(q.Get("class")); c {
	case "", policy.Human, policy.Assistant, policy.Recording, policy.Unknown:
		f.Class = c
	default:
		return f, fmt.Errorf("class is %q; allowed: human, assistant, recording, unknown", c)
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > store.MaxCalls {
			return f, fmt.Errorf("limit is %q; allowed: 1 to %d", text, store.MaxCalls)
		}
		f.Limit = n
	}
	return f, nil
}
