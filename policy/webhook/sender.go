package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Sender posts events. Its methods are safe for concurrent use.
type Sender struct {
	cfg    Config
	key    []byte
	log    *zap.Logger
	client *http.Client
	queues []chan post

	sent, failed, dropped atomic.Uint64

	mu     sync.RWMutex // of closing against Put
	closed bool
	done   context.Context // posts that are repeated end with it
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// post is an event ready to go.
type post struct {
	id   string
	body []byte
}

// New starts to post to the URLs of cfg. It returns nil if there is none.
func New(cfg Config, log *zap.Logger) (*Sender, error) {
	if len(cfg.URLs) == 0 {
		return nil, nil
	}
	var faults []error
	cfg.Check(func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("webhook.%s: %s", path, fmt.Sprintf(format, args...)))
	})
	key, err := cfg.key()
	if faults = append(faults, err); errors.Join(faults...) != nil {
		return nil, errors.Join(faults...)
	}
	s := &Sender{cfg: cfg, key: key, log: log, client: &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, Proxy: http.ProxyFromEnvironment},
	}}
	s.done, s.stop = context.WithCancel(context.Background())
	for _, u := range cfg.URLs {
		q := make(chan post, cfg.Queue)
		s.queues = append(s.queues, q)
		s.wg.Go(func() { s.run(u, q) })
	}
	return s, nil
}

// All says whether events of all calls are wanted, not only of recording sessions.
func (s *Sender) All() bool { return s != nil && s.cfg.Of == OfAll }

// Put posts an event, to every URL; it never waits. Of a nil Sender it does nothing.
func (s *Sender) Put(e Event) {
	if s == nil {
		return
	}
	var id [12]byte
	_, _ = rand.Read(id[:])
	e.ID = hex.EncodeToString(id[:])
	b, err := json.Marshal(e)
	if err != nil {
		s.log.Error("an event cannot be written", zap.String("call_id", e.CallID), zap.Error(err))
		s.dropped.Add(uint64(len(s.queues)))
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, q := range s.queues {
		if s.closed {
			s.dropped.Add(1)
			continue
		}
		select {
		case q <- post{e.ID, b}:
		default:
			s.dropped.Add(1)
		}
	}
}

// Counts are the figures so far.
type Counts struct {
	Sent    uint64 // taken by a receiver
	Failed  uint64 // refused, or not taken in time
	Dropped uint64 // the queue was full
	Queued  int    // that wait now
}

// Counts are those at the moment of the call; of a nil Sender they are zero.
func (s *Sender) Counts() Counts {
	if s == nil {
		return Counts{}
	}
	c := Counts{Sent: s.sent.Load(), Failed: s.failed.Load(), Dropped: s.dropped.Load()}
	for _, q := range s.queues {
		c.Queued += len(q)
	}
	return c
}

// Close posts what waits, each once and for no longer than a timeout in all, and
// ends.
func (s *Sender) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	for _, q := range s.queues {
		close(q)
	}
	s.mu.Unlock()
	timer := time.AfterFunc(s.cfg.Timeout, s.stop)
	s.wg.Wait()
	timer.Stop()
	s.stop()
	s.client.CloseIdleConnections()
}

// run posts the events of one URL, in order.
func (s *Sender) run(to string, q chan post) {
	host := to
	if u, err := url.Parse(to); err == nil {
		host = u.Host
	}
	log := s.log.With(zap.String("webhook", host)) // a path or query may hold a secret
	away := false
	for p := range q {
		err := s.deliver(to, p)
		switch {
		case err == nil && away:
			away = false
			log.Info("the webhook takes events again")
		case err != nil:
			s.failed.Add(1)
			if !away {
				away = true
				log.Error("a webhook does not take events; calls go on", zap.Error(err))
			}
		}
	}
}

// The time between two posts of the same event grows from firstWait to lastWait.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 15 * time.Second
)

// errRefused says that posting again is of no use.
var errRefused = errors.New("the event was refused")

// deliver posts an event until it is taken, refused, or too old.
func (s *Sender) deliver(to string, p post) error {
	end := time.Now().Add(s.cfg.Retry)
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		err := s.post(to, p)
		if err == nil {
			s.sent.Add(1)
			return nil
		}
		s.mu.RLock()
		closed := s.closed
		s.mu.RUnlock()
		if errors.Is(err, errRefused) || closed || time.Now().Add(wait).After(end) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-s.done.Done():
			return err
		}
	}
}

// post sends an event once.
func (s *Sender) post(to string, p post) error {
	req, err := http.NewRequestWithContext(s.done, http.MethodPost, to, bytes.NewReader(p.body))
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Portero")
	req.Header.Set("X-Portero-Event", p.id)
	req.Header.Set("X-Portero-Timestamp", stamp)
	if len(s.key) > 0 {
		req.Header.Set("X-Portero-Signature", "sha256="+Sign(s.key, stamp, p.body))
	}
	res, err := s.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL
		}
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	_ = res.Body.Close()
	switch code := res.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return fmt.Errorf("the receiver says %s", res.Status)
	default:
		return fmt.Errorf("%w: the receiver says %s", errRefused, res.Status)
	}
}

// Sign is the signature of a post: who receives it computes the same and compares,
// and takes no old timestamp.
func Sign(key []byte, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(timestamp + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
