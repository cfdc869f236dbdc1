package console

import (
	"encoding/json"
	"net/http"
	"strings"

	"go.uber.org/zap"
)

// answer writes v as JSON.
func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.deps.Log.Error("console: an answer is not JSON", zap.Error(err))
		status, b = http.StatusInternalServerError, []byte(`{"error":"internal error; see the log"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// fail writes an error as JSON.
func (s *Server) fail(w http.ResponseWriter, status int, says string) {
	s.answer(w, status, struct {
		Error string `json:"error"`
	}{says})
}

// jsonErrors gives the mux's own answers (404, 405) the form of all others.
func (s *Server) jsonErrors(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		var d discard
		d.header = http.Header{}
		h.ServeHTTP(&d, r)
		switch {
		case d.status == http.StatusMethodNotAllowed:
			allow := d.header.Get("Allow")
			w.Header().Set("Allow", allow)
			s.fail(w, d.status, r.Method+" is not allowed here; allowed: "+allow)
		case strings.HasPrefix(r.URL.Path, "/api"):
			s.fail(w, http.StatusNotFound, "nothing is here; there are /api/calls, /api/calls/{id}, /api/upstream, /api/callbacks, /api/callbacks/run")
		default:
			s.fail(w, http.StatusNotFound, "nothing is here; there are /healthz, /metrics, /api/calls, /api/upstream, /api/callbacks")
		}
	})
}

// discard keeps an answer's status and header only.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
