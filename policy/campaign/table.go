package campaign

// table finds where a word occurs: chains of postings in one slice, linked by
// index, so that a million of them are one allocation to the collector.
type table struct {
	heads    []int32 // first posting + 1 of each chain, 0 for none
	postings []posting
	free     int32 // first free posting + 1, 0 for none
	shift    uint
}

// posting is one occurrence, 12 bytes.
type posting struct {
	word uint32
	slot uint16 // of the call
	pos  uint16 // of the word in its print
	next int32  // posting + 1
}

// newTable makes room for about n postings; more only make chains longer.
func newTable(n int) table {
	bits := uint(10)
	for 1<<bits < n && bits < 22 {
		bits++
	}
	return table{heads: make([]int32, 1<<bits), shift: 32 - bits}
}

func (t *table) head(word uint32) *int32 { return &t.heads[(word*0x9E3779B1)>>t.shift] }

func (t *table) insert(word uint32, slot, pos uint16) {
	h := t.head(word)
	p := posting{word: word, slot: slot, pos: pos, next: *h}
	if t.free != 0 {
		i := t.free - 1
		t.free = t.postings[i].next
		t.postings[i] = p
		*h = i + 1
		return
	}
	t.postings = append(t.postings, p)
	*h = int32(len(t.postings))
}

// remove takes a call's posting out again.
func (t *table) remove(word uint32, slot, pos uint16) {
	for link := t.head(word); *link != 0; {
		p := &t.postings[*link-1]
		if p.word == word && p.slot == slot && p.pos == pos {
			i := *link
			*link = p.next
			p.next = t.free
			t.free = i
			return
		}
		link = &p.next
	}
}

// find calls hit for each occurrence of word, at most limit of them: a word
// that is everywhere tells nothing.
func (t *table) find(word uint32, limit int, hit func(slot, pos uint16)) {
	for i := *t.head(word); i != 0 && limit > 0; {
		p := &t.postings[i-1]
		if p.word == word {
			hit(p.slot, p.pos)
			limit--
		}
		i = p.next
	}
}
