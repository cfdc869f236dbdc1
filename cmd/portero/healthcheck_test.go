package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHealthcheck(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, c := range map[string]struct {
		door http.HandlerFunc
		want string // part of the error; empty for none
	}{
		"well": {func(http.ResponseWriter, *http.Request) {}, ""},
		"draining": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "draining: 3 calls", http.StatusServiceUnavailable)
		}, "503 Service Unavailable: draining: 3 calls"},
		"no path": {http.NotFound, "404"},
		"silent":  {func(http.ResponseWriter, *http.Request) { <-hang }, "no answer from the console"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if name != "no path" && r.URL.Path != "/healthz" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				c.door(w, r)
			}))
			s.Start()
			defer s.CloseClientConnections()
			err := healthcheckCmd{Console: strings.TrimPrefix(s.URL, "http://"), Timeout: 200 * time.Millisecond}.Run()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	if err := (healthcheckCmd{Console: "127.0.0.1:1", Timeout: time.Second}).Run(); err == nil {
		t.Error("no error without a door")
	}
}
