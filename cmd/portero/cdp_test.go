package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// chromium is a headless Chromium with one page, driven by the Chrome DevTools
// Protocol: a JSON-RPC over a WebSocket.
type chromium struct {
	cmd    *exec.Cmd
	conn   *websocket.Conn
	cancel context.CancelFunc
	ended  chan struct{} // the reader is done

	mu      sync.Mutex
	id      int
	waiting map[int]chan devtools
	console []string
}

type devtools struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// startChromium starts one whose microphone plays a WAV file, over and over.
func startChromium(t *testing.T, wav string) *chromium {
	t.Helper()
	c := &chromium{waiting: map[int]chan devtools{}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.cmd = exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-port=0",
		"--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--use-file-for-fake-audio-capture="+wav,
		"--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
		"about:blank")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatalf("chromium: %v; testdata/interop/setup installs it", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		_ = c.cmd.Wait()
		if c.conn != nil {
			<-c.ended
		}
	})
	at := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "DevTools listening on "); ok {
				at <- url
			}
		}
		_, _ = io.Copy(io.Discard, said)
	}()
	var url string
	select {
	case url = <-at:
	case <-time.After(60 * time.Second):
		t.Fatal("chromium is not there after 60 s")
	}
	if c.conn, _, err = websocket.Dial(ctx, url, nil); err != nil {
		t.Fatal(err)
	}
	c.conn.SetReadLimit(64 << 20)
	go c.read(ctx)
	return c
}

func (c *chromium) read(ctx context.Context) {
	defer close(c.ended)
	for {
		_, b, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		var m devtools
		if json.Unmarshal(b, &m) != nil {
			continue
		}
		c.mu.Lock()
		if m.ID != 0 {
			if w := c.waiting[m.ID]; w != nil {
				w <- m
				delete(c.waiting, m.ID)
			}
		} else if m.Method == "Runtime.consoleAPICalled" || m.Method == "Runtime.exceptionThrown" {
			c.console = append(c.console, string(m.Params[:min(len(m.Params), 600)]))
		}
		c.mu.Unlock()
	}
}

// do calls a method of a session ("" for the browser's own).
func (c *chromium) do(session, method string, params any, result any) error {
	c.mu.Lock()
	c.id++
	id, w := c.id, make(chan devtools, 1)
	c.waiting[id] = w
	c.mu.Unlock()
	b, err := json.Marshal(struct {
		ID      int    `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
		Session string `json:"sessionId,omitempty"`
	}{id, method, params, session})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, b); err != nil {
		return err
	}
	select {
	case m := <-w:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-ctx.Done():
		return errors.New(method + ": no answer in 60 s")
	}
}

// open opens a page in a tab of its own, with a script that runs before its own.
func (c *chromium) open(t *testing.T, url, before string) *page {
	t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	var session struct {
		ID string `json:"sessionId"`
	}
	for _, step := range []func() error{
		func() error {
			return c.do("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
		},
		func() error {
			return c.do("", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &session)
		},
		func() error { return c.do(session.ID, "Runtime.enable", nil, nil) },
		func() error { return c.do(session.ID, "Page.enable", nil, nil) },
		func() error {
			return c.do(session.ID, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": before}, nil)
		},
		func() error { return c.do(session.ID, "Page.navigate", map[string]any{"url": url}, nil) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.mu.Lock()
			said := strings.Join(c.console, "\n")
			c.mu.Unlock()
			t.Logf("the page's console ends\n%s", said[max(0, len(said)-6000):])
		}
		_ = c.do("", "Target.closeTarget", map[string]any{"targetId": target.ID}, nil)
	})
	return &page{t: t, evaluate: func(expression string) (json.RawMessage, error) {
		var r struct {
			Result struct {
				Value json.RawMessage `json:"value"`
			} `json:"result"`
			Exception *struct {
				Text      string `json:"text"`
				Exception struct {
					Description string `json:"description"`
				} `json:"exception"`
			} `json:"exceptionDetails"`
		}
		err := c.do(session.ID, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true}, &r)
		if err == nil && r.Exception != nil {
			err = fmt.Errorf("%s %s", r.Exception.Text, r.Exception.Exception.Description)
		}
		return r.Result.Value, err
	}}
}
