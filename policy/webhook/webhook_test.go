package webhook

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/portero/portero/policy"
)

// receiver is a real HTTP server that notes what it gets.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []Event
	bodies [][]byte
	heads  []http.Header
	answer func(n int) int // status of the n-th post; nil: 200
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		var e Event
		if err := json.Unmarshal(b, &e); err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %v", req.Method, req.Header, err)
		}
		r.mu.Lock()
		r.posts, r.bodies, r.heads = append(r.posts, e), append(r.bodies, b), append(r.heads, req.Header)
		n := len(r.posts)
		r.mu.Unlock()
		if r.answer == nil {
			return
		}
		code := r.answer(n)
		if code == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.posts)
}

func sender(t *testing.T, change func(*Config)) *Sender {
	t.Helper()
	c := Defaults()
	change(&c)
	s, err := New(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// Every URL gets every event, in order, signed.
func TestPosts(t *testing.T) {
	a, b := newReceiver(t, nil), newReceiver(t, nil)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sender(t, func(c *Config) { c.URLs, c.SecretFile = []string{a.URL + "/x?token=y", b.URL}, file })
	for _, k := range []Kind{Started, Verdict, Ended} {
		s.Put(Event{Kind: k, CallID: "c", Verdict: &policy.Verdict{Class: policy.Human, PMachine: 0.1}})
	}
	s.Close()
	for _, r := range []*receiver{a, b} {
		if len(r.posts) != 3 || r.posts[0].Kind != Started || r.posts[1].Verdict.Class != policy.Human || r.posts[2].Kind != Ended {
			t.Fatalf("%+v", r.posts)
		}
		for i, h := range r.heads {
			if want := "sha256=" + Sign([]byte("0123456789abcdef"), h.Get("X-Portero-Timestamp"), r.bodies[i]); h.Get("X-Portero-Signature") != want || h.Get("X-Portero-Event") != r.posts[i].ID {
				t.Errorf("%v, want %s", h, want)
			}
		}
	}
	if c := s.Counts(); c.Sent != 6 || c.Failed+c.Dropped != 0 {
		t.Errorf("%+v", c)
	}
	s.Put(Event{})
	if s.Counts().Dropped != 2 {
		t.Error("an event after the end")
	}
}

// A receiver that is away gets the event again, with its id; one that refuses does
// not; a redirect is not followed. It is said once.
func TestRepeats(t *testing.T) {
	r := newReceiver(t, func(n int) int { return []int{503, 429, 200, 400, 302, 200}[n-1] })
	core, logs := observer.New(zap.InfoLevel)
	c := Defaults()
	c.URLs = []string{r.URL + "/hidden"}
	s, err := New(c, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 4 {
		s.Put(Event{Kind: Verdict})
	}
	eventually(t, "six posts", func() bool { return r.count() == 6 && s.Counts().Sent == 2 })
	if r.posts[0].ID != r.posts[2].ID || r.posts[2].ID == r.posts[3].ID || s.Counts().Failed != 2 {
		t.Errorf("%+v, %+v", r.posts, s.Counts())
	}
	if n := logs.FilterMessageSnippet("does not take").Len(); n != 1 || strings.Contains(logs.All()[0].ContextMap()["webhook"].(string), "hidden") {
		t.Errorf("said %d times: %+v", n, logs.All())
	}
}

// A receiver that does not answer holds up nobody, not another URL either; what
// does not fit is dropped; closing does not wait for it for long.
func TestSlowReceiver(t *testing.T) {
	hang := make(chan struct{})
	slow := newReceiver(t, func(int) int { <-hang; return 200 })
	defer close(hang)
	quick := newReceiver(t, nil)
	s := sender(t, func(c *Config) {
		c.URLs, c.Queue, c.Timeout = []string{slow.URL, quick.URL}, 200, 500*time.Millisecond
	})
	for range 300 {
		s.Put(Event{Kind: Verdict})
		if s.Counts().Queued > 390 {
			eventually(t, "the quick one is served", func() bool { return s.Counts().Queued < 300 })
		}
	}
	eventually(t, "the quick one has them", func() bool { return quick.count() >= 200 })
	if c := s.Counts(); c.Dropped == 0 {
		t.Errorf("%+v", c)
	}
	s.Close()
}

// Too old is too old.
func TestGivesUp(t *testing.T) {
	r := newReceiver(t, func(int) int { return 500 })
	s := sender(t, func(c *Config) { c.URLs, c.Retry = []string{r.URL}, 0 })
	s.Put(Event{})
	eventually(t, "given up", func() bool { return s.Counts().Failed == 1 })
	if r.count() != 1 {
		t.Errorf("%d posts", r.count())
	}
}

func TestNone(t *testing.T) {
	s, err := New(Defaults(), zap.NewNop())
	if s != nil || err != nil {
		t.Fatal(s, err)
	}
	s.Put(Event{})
	s.Close()
	if s.All() || s.Counts() != (Counts{}) {
		t.Error("nobody posts")
	}
}
