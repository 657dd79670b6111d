package onhost

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// deviceAndInode is what stat -Lc %d:%i says of a file.
func deviceAndInode(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.ErrUnsupported
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), nil
}
