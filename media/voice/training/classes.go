package training

import (
	"sort"

	"github.com/portero/portero/media/voice"
)

// kinds of synthesis that sound alike, by the kind column of a manifest. A kind
// that is not here is "other".
var kindClass = map[string]string{
	"concatenative": "classical", "formant": "classical", "hmm": "classical", "spss": "classical",
	"neural-tts": "neural",
}

// leastOfClass is how many clips a kind of synthesis needs to have a class of its
// own; those with fewer share the class "other".
const leastOfClass = 40

// classes gives the classes of the linear model and each row's.
func classes(clips []Clip, rows []Row) (names []string, of []int) {
	name := func(c *Clip) string {
		if k := kindClass[c.Kind]; k != "" {
			return k
		}
		return "other"
	}
	seen := map[int]bool{}
	count := map[string]int{}
	for _, r := range rows {
		if c := &clips[r.Clip]; c.Synthetic && !seen[r.Clip] {
			seen[r.Clip] = true
			count[name(c)]++
		}
	}
	index := map[string]int{}
	for k, n := range count {
		if n >= leastOfClass && k != "other" {
			names = append(names, k)
		}
	}
	sort.Strings(names)
	names = append(append([]string{voice.Human}, names...), "other")
	for i, n := range names {
		index[n] = i
	}
	of = make([]int, len(rows))
	last := len(names) - 1
	used := false
	for i, r := range rows {
		c := &clips[r.Clip]
		if !c.Synthetic {
			continue
		}
		k, ok := index[name(c)]
		if !ok {
			k = last
		}
		of[i] = k
		used = used || k == last
	}
	if !used && len(names) > 2 {
		names = names[:last]
	}
	return names, of
}
