package door

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A password is in no text that could be logged.
func TestSecretIsHidden(t *testing.T) {
	c := Config{Trunks: []Trunk{{Credentials: Credentials{Username: "portero", Password: "zanzibar"}}}}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(j)} {
		if strings.Contains(text, "zanzibar") || !strings.Contains(text, "portero") {
			t.Errorf("the password is seen in %s", text)
		}
	}
}

func TestPasswordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("zanzibar\r\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Credentials{Username: "bob", PasswordFile: file}
	if p, err := c.password(); err != nil || p != "zanzibar" {
		t.Errorf("got %q, %v", p, err)
	}
	if c.client() == nil {
		t.Error("no client")
	}
	for _, bad := range []string{"/dev/zero", filepath.Dir(file), file + ".absent"} {
		if _, err := (Credentials{Username: "bob", PasswordFile: bad}).password(); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
