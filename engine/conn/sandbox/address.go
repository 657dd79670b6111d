package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// maxHosts is how many addresses a block has that the rest of the world would
// not take for a network or broadcast address.
const maxHosts = 250

// block is the addresses of one sandbox: 127.A.B.1 and on, of which Linux lets
// anybody use any.
type block struct {
	prefix               string // "127.A.B."
	clientPort, peerPort int
	claim                string // path of the file that keeps others away
}

func (b block) host(i int) string { return b.prefix + strconv.Itoa(i+1) }

// clientPorts are tried in this order: etcd's own first, others if something on
// this machine listens to it, or to the next one, on every address.
func clientPorts() []int { return []int{2379, 12379, 22379, 32379, 42379} }

// claim chooses a block of n addresses where nothing listens on the port and
// the next one, and which no other sandbox of this user has, even one that is
// stopped now. The first of the ports that will do is taken.
func claim(dir string, n int, ports []int) (block, error) {
	folder := filepath.Join(os.TempDir(), "etcdplay-sandboxes-"+strconv.Itoa(os.Getuid()))
	var last error
	for _, port := range ports {
		for range 20 {
			b := block{
				prefix:     fmt.Sprintf("127.%d.%d.", 16+rand.IntN(230), rand.IntN(256)),
				clientPort: port, peerPort: port + 1,
			}
			b.claim = filepath.Join(folder, strings.TrimSuffix(b.prefix, "."))
			// Each time, since the end of another sandbox may just have removed it.
			if err := os.MkdirAll(folder, 0o700); err != nil {
				return block{}, err
			}
			taken, err := take(b.claim, dir)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return block{}, err
			}
			if !taken {
				continue
			}
			if last = b.free(n); last == nil {
				return b, nil
			}
			if err := os.Remove(b.claim); err != nil {
				return block{}, err
			}
		}
	}
	return block{}, fmt.Errorf("no free loopback addresses: %w", last)
}

// take makes the claim's file, unless a sandbox that still is has it.
func take(path, dir string) (bool, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, dropStale(path)
	}
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(dir)
	return err == nil, errors.Join(err, f.Close())
}

// dropStale removes a claim whose sandbox is no more. One that is being made
// has no sandbox yet either, so a young claim counts.
func dropStale(path string) error {
	owner, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || time.Since(info.ModTime()) < time.Minute {
		return nil // gone meanwhile, or young: either way not ours
	}
	if _, err := os.Stat(filepath.Join(string(owner), metaFile)); errors.Is(err, fs.ErrNotExist) {
		return os.Remove(path)
	}
	return nil
}

// free is nil if all addresses and ports of the block can be listened to.
func (b block) free(n int) error {
	for i := range n {
		for _, port := range []int{b.clientPort, b.peerPort} {
			l, err := net.Listen("tcp", net.JoinHostPort(b.host(i), strconv.Itoa(port)))
			if err != nil {
				return err
			}
			l.Close()
		}
	}
	return nil
}
