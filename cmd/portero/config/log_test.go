package config

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Lines wait a moment for others; a warning does not, nor what came before it.
func TestLogLines(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func(was *os.File) { os.Stderr = was }(os.Stderr)
	os.Stderr = w
	log, err := Log{Level: "info", Format: "json"}.Logger()
	if err != nil {
		t.Fatal(err)
	}
	log = log.With(zap.String("call_id", "a"))
	log.Debug("never")
	log.Info("first")
	log.Warn("second")
	if err := r.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := r.Read(buf) // without any Sync
	if err != nil {
		t.Fatalf("a warning was not written at once: %v", err)
	}
	first, second, _ := strings.Cut(string(buf[:n]), "\n")
	for line, want := range map[string]string{first: `"msg":"first","call_id":"a"`, second: `"msg":"second","call_id":"a"`} {
		if !strings.Contains(line, want) {
			t.Errorf("line %q does not hold %s", line, want)
		}
	}
	log.Info("third")
	if n, err = r.Read(buf); err != nil || !strings.Contains(string(buf[:n]), "third") {
		t.Errorf("a line that waits is not written by itself: %q, %v", buf[:n], err)
	}
	log.Info("fourth")
	_ = log.Sync()
	_ = w.Close()
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), "fourth") {
		t.Errorf("Sync left a line behind: %q, %v", rest, err)
	}
}
