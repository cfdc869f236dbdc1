package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestCrashHelper is the process that TestPromisesOutliveAKill kills.
func TestCrashHelper(t *testing.T) {
	path := os.Getenv("PORTERO_TEST_CRASH_STORE")
	if path == "" {
		t.Skip("run by TestPromisesOutliveAKill only")
	}
	c := Defaults()
	c.Path = path
	s, err := Open(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"+15550101", "+15550102"} {
		if _, _, err := s.Promise(context.Background(), n, "call", "agents", start); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := s.Claim(context.Background(), start, lease); !ok || err != nil {
		t.Fatal(ok, err)
	}
	fmt.Println("said")
	time.Sleep(time.Minute) // until killed
}

// A door that is killed right after it said "we will call you back" owes it
// still, and what it was dialling is given out again when the lease is over.
func TestPromisesOutliveAKill(t *testing.T) {
	c := config(t)
	door := exec.Command(os.Args[0], "-test.run=^TestCrashHelper$", "-test.v")
	door.Env = append(os.Environ(), "PORTERO_TEST_CRASH_STORE="+c.Path)
	out, err := door.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := door.Start(); err != nil {
		t.Fatal(err)
	}
	said := false
	for lines := bufio.NewScanner(out); !said && lines.Scan(); {
		said = lines.Text() == "said"
	}
	if err := door.Process.Kill(); err != nil {
		t.Error(err)
	}
	door.Wait() // its error is the kill
	if !said {
		t.Fatal("the other process did not get as far as promising")
	}
	s := open(t, c)
	if other, ok := claim(t, s.Promises, start); !ok || other.Number != "+15550102" {
		t.Errorf("at once: %+v, %v; want the promise that nobody was dialling", other, ok)
	}
	if dead, ok := claim(t, s.Promises, start.Add(lease)); !ok || dead.Number != "+15550101" || dead.Attempts != 2 {
		t.Errorf("after the lease: %+v, %v; want the promise of the killed door", dead, ok)
	}
}
