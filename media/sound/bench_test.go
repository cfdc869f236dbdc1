package sound

import (
	"syscall"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// cpu is what the process has used: on a busy machine the clock says little.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSecond is what a second of audio costs: of a caller who speaks all the
// time (the prompts of this project stand for one), and of one who types.
func BenchmarkSecond(b *testing.B) {
	for name, pcm := range map[string][]int16{
		"speech": spoken(b), "text telephone": type45("HELLO THIS IS A TEXT TELEPHONE GA ").line(codec.MuLaw, 20, 0), "singing": sing(10).line(codec.MuLaw, 20, 0),
	} {
		b.Run(name, func(b *testing.B) {
			var o Observer
			b.ReportAllocs()
			began := cpu()
			at := 0
			for b.Loop() {
				if at+rate > len(pcm) {
					at = 0
				}
				for i := range hopsASec {
					o.Frame(pcm[at+i*hop : at+(i+1)*hop])
				}
				at += rate
			}
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/1000/float64(b.N), "cpu-µs/s-of-audio")
		})
	}
}
