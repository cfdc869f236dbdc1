package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthcheckCmd asks a running door how it fares, for containers whose image
// has no other program to ask with.
type healthcheckCmd struct {
	Console string        `default:"127.0.0.1:8080" placeholder:"ADDRESS:PORT" help:"Where the door's console listens (console.listen)."`
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer."`
}

// Run ends without an error when GET /healthz is answered with 200; otherwise
// the error holds what the door said.
func (c healthcheckCmd) Run() error {
	client := http.Client{Timeout: c.Timeout}
	r, err := client.Get("http://" + c.Console + "/healthz")
	if err != nil {
		return fmt.Errorf("no answer from the console: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusOK {
		return nil
	}
	said, err := io.ReadAll(io.LimitReader(r.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("the console at %s answered %s and broke off: %w", c.Console, r.Status, err)
	}
	return fmt.Errorf("the door at %s is not well: %s: %s", c.Console, r.Status, bytes.TrimSpace(said))
}
