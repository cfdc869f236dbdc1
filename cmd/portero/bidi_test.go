package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// firefox is a headless Firefox, driven by WebDriver BiDi: a JSON-RPC over a
// WebSocket.
type firefox struct {
	cmd   *exec.Cmd
	conn  *websocket.Conn
	ended chan struct{} // the reader is done

	mu      sync.Mutex
	id      int
	waiting map[int]chan bidi
}

type bidi struct {
	ID      int             `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   string          `json:"error"`
	Message string          `json:"message"`
}

// firefoxPrefs have it use a microphone of its own making, which plays a tone,
// without asking, and look for nothing on the Internet.
const firefoxPrefs = `
user_pref("media.navigator.permission.disabled", true);
user_pref("media.navigator.streams.fake", true);
user_pref("media.autoplay.default", 0);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("app.update.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
`

func startFirefox(t *testing.T) *firefox {
	t.Helper()
	profile := t.TempDir()
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxPrefs), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &firefox{waiting: map[int]chan bidi{}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	f.cmd = exec.Command("firefox-esr", "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0")
	f.cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said, err := f.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatalf("firefox-esr: %v; testdata/interop/setup installs it", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
		_ = f.cmd.Wait()
		if f.conn != nil {
			<-f.ended
		}
	})
	at := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
				at <- url
			}
		}
		_, _ = io.Copy(io.Discard, said)
	}()
	var url string
	select {
	case url = <-at:
	case <-time.After(2 * time.Minute):
		t.Fatal("firefox is not there after 2 min")
	}
	if f.conn, _, err = websocket.Dial(ctx, url+"/session", nil); err != nil {
		t.Fatal(err)
	}
	f.conn.SetReadLimit(64 << 20)
	go f.read(ctx)
	if err := f.do("session.new", map[string]any{"capabilities": map[string]any{}}, nil); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *firefox) read(ctx context.Context) {
	defer close(f.ended)
	for {
		_, b, err := f.conn.Read(ctx)
		if err != nil {
			return
		}
		var m bidi
		if json.Unmarshal(b, &m) != nil || m.ID == 0 {
			continue
		}
		f.mu.Lock()
		if w := f.waiting[m.ID]; w != nil {
			w <- m
			delete(f.waiting, m.ID)
		}
		f.mu.Unlock()
	}
}

func (f *firefox) do(method string, params, result any) error {
	f.mu.Lock()
	f.id++
	id, w := f.id, make(chan bidi, 1)
	f.waiting[id] = w
	f.mu.Unlock()
	b, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := f.conn.Write(ctx, websocket.MessageText, b); err != nil {
		return err
	}
	select {
	case m := <-w:
		if m.Error != "" {
			return fmt.Errorf("%s: %s: %s", method, m.Error, m.Message)
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
func (f *firefox) open(t *testing.T, url, before string) *page {
	t.Helper()
	var tab struct {
		Context string `json:"context"`
	}
	if err := f.do("browsingContext.create", map[string]any{"type": "tab"}, &tab); err != nil {
		t.Fatal(err)
	}
	if err := f.do("script.addPreloadScript", map[string]any{"functionDeclaration": "() => {" + before + "}", "contexts": []string{tab.Context}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.do("browsingContext.navigate", map[string]any{"context": tab.Context, "url": url, "wait": "complete"}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.do("browsingContext.close", map[string]any{"context": tab.Context}, nil) })
	return &page{t: t, evaluate: func(expression string) (json.RawMessage, error) {
		var r struct {
			Type   string `json:"type"`
			Result struct {
				Value json.RawMessage `json:"value"`
			} `json:"result"`
			Exception struct {
				Text string `json:"text"`
			} `json:"exceptionDetails"`
		}
		err := f.do("script.evaluate", map[string]any{"expression": "(async () => JSON.stringify(await (" + expression + ")) ?? 'null')()",
			"target": map[string]any{"context": tab.Context}, "awaitPromise": true, "userActivation": true}, &r)
		switch {
		case err != nil:
			return nil, err
		case r.Type != "success":
			return nil, errors.New(r.Exception.Text)
		}
		var text string // JSON in JSON
		if err := json.Unmarshal(r.Result.Value, &text); err != nil {
			return nil, err
		}
		return json.RawMessage(text), nil
	}}
}
