package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/portero/portero/cmd/portero/config"
)

// What the page for browsers shows as a configuration is one.
func TestBrowserReadme(t *testing.T) {
	const name = "../../configs/browser/README.md"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatal("it shows no configuration")
	}
	if _, err := config.Parse(name, m[1]); err != nil {
		t.Error(err)
	}
}

// What README.md shows as a configuration is one, and the files and targets it
// names exist.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Error("README.md shows no configuration")
	}
	for _, m := range blocks {
		if _, err := config.Parse("README.md", []byte(m[1])); err != nil {
			t.Errorf("a configuration in README.md is not good:\n%v", err)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat("../../" + m[1]); !strings.Contains(m[1], "://") && err != nil {
			t.Errorf("README.md points at %s: %v", m[1], err)
		}
	}
	mk, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`make ([a-z-]+)`).FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`(?m)^`+m[1]+`:`).Match(mk) && !strings.Contains(text, "make "+m[1]+" PBX") {
			t.Errorf("README.md says make %s, and the Makefile has no such target", m[1])
		}
	}
}

// What README.md shows of a recorded call is what inspect draws of it.
func TestReadmeInspect(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```\n(Messages\n.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatal("it shows no call")
	}
	t.Setenv("COLUMNS", "100")
	out, _, _ := inspect(t, "--call", "1", filepath.Join(traces, "proxied.pcap"))
	for line := range strings.Lines(string(m[1])) {
		if line = strings.TrimRight(line, "\n"); line != "…" && !strings.Contains(out, line+"\n") {
			t.Errorf("not drawn is %s", line)
		}
	}
}
