package tap

import (
	"sync/atomic"
	"unsafe"
)

// status is the word of a block by which the kernel and we hand it over.
type status struct{ word *uint32 }

func (i *Interface) status() status {
	return status{(*uint32)(unsafe.Pointer(&i.ring[i.block*blockSize+8]))}
}

func (s status) load() uint32   { return atomic.LoadUint32(s.word) }
func (s status) store(v uint32) { atomic.StoreUint32(s.word, v) }
