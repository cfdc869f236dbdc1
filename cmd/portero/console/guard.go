package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"go.uber.org/zap"
)

// AdminHeader is wanted, with the value 1, from requests that change something.
// A web page of another origin cannot send it without being asked first
// (a CORS preflight), which the console never grants.
const AdminHeader = "X-Portero-Admin"

// maxBody bounds request bodies, bytes; no request has one that is read.
const maxBody = 1 << 10

// guard refuses requests that no friend sends.
func (s *Server) guard(next http.Handler) http.Handler {
	loopback, err := s.cfg.loopback()
	loopback = loopback && err == nil
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { // net/http's own way to drop a connection
					panic(v)
				}
				s.deps.Metrics.Panicked()
				s.deps.Log.Error("console: a handler panicked", zap.Any("panic", v), zap.Stack("stack"))
				s.fail(w, http.StatusInternalServerError, "internal error; see the log")
			}
		}()
		switch {
		case loopback && s.cfg.Token == "" && !localHost(r.Host):
			s.fail(w, http.StatusForbidden, "the Host header names another machine; ask for localhost or 127.0.0.1, or configure console.token")
		case s.cfg.Token != "" && strings.HasPrefix(r.URL.Path, "/api") && !s.knows(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="portero"`)
			s.fail(w, http.StatusUnauthorized, "a token is wanted: Authorization: Bearer TOKEN, with console.token of the configuration")
		case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get(AdminHeader) != "1":
			s.fail(w, http.StatusForbidden, "what changes something wants the header "+AdminHeader+": 1")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows tells whether r brings the token. Hashes are compared, so that the time
// taken says nothing about the token, not even its length.
func (s *Server) knows(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.cfg.Token))
	return ok && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// localHost tells whether a Host header names this machine by loopback.
func localHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
