package spelling

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"listen", "address", "jitter_buffer", "ports"}
	for word, want := range map[string]string{
		"lisetn": "listen", "adress": "address", "JitterBuffer": "jitter_buffer", "jitter-bufer": "jitter_buffer",
		"port": "ports", "x": "", "telephone": "",
	} {
		if got := Nearest(word, words, 3); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
