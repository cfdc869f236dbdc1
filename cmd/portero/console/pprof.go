//go:build pprof

package console

import (
	"net/http"
	"net/http/pprof"
)

// A console built with -tags pprof shows where the door's time and memory go,
// for go tool pprof and testdata/interop/bench-sip; no other does.
func init() {
	profiles = func(mux *http.ServeMux) {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
}
