package record

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// free is how much of a directory's disk is free for us, bytes.
func free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// lock keeps other doors out of a directory until it is closed.
func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another door records there: %w", err)
	}
	return nil
}
