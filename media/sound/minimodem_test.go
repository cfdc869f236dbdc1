package sound

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
)

// TestMinimodem: what another program sends is heard as it is meant.
func TestMinimodem(t *testing.T) {
	if _, err := exec.LookPath("minimodem"); err != nil {
		t.Skip("minimodem is not installed: testdata/interop/setup test")
	}
	for _, c := range []struct {
		mode string // as minimodem calls it
		says string
	}{
		{"tdd", "TTY, 45 baud"},
		{"-5 -M 1400 -S 1800 --stopbits 1.5 50", "TTY, 50 baud"},
		{"300", "Bell 103"},
		{"-M 980 -S 1180 300", "V.21"},
		{"-M 1650 -S 1850 300", "V.21"},
		{"-M 980 -S 1180 --stopbits 2 110", "EDT"},
		{"-M 1300 -S 2100 1200", "V.23"},
	} {
		file := filepath.Join(t.TempDir(), "sent.wav")
		args := append([]string{"--tx", "-R", "8000", "-v", "0.2", "-f", file}, strings.Fields(c.mode)...)
		cmd := exec.Command("minimodem", args...)
		cmd.Stdin = strings.NewReader("HELLO THIS IS A TEXT TELEPHONE CALLING GA\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("minimodem %s: %v\n%s", c.mode, err, out)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, law := range []codec.Law{codec.MuLaw, codec.ALaw} {
			o := hear(codec.Companded(a.PCM(), law))
			e := o.Evidence()
			if o.Kind() != Text || !strings.Contains(e[0].Says, c.says) || o.Characters() < 35 {
				t.Errorf("minimodem %s: %q, %d characters, %+v", c.mode, o.Kind(), o.Characters(), e)
			}
		}
	}
}
