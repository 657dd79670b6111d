package etcd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etcdplay/etcdplay/engine/conn"
)

// clock is what two clocks said at about the same time.
type clock struct {
	host        time.Time // to the second
	here, until time.Time // this machine's, before and after the host was asked
}

// clockOf asks the host what time it is.
func clockOf(ctx context.Context, h conn.Reader) (clock, error) {
	c := clock{here: time.Now()}
	r, err := h.Query(ctx, conn.Command{Argv: []string{"date", "-u", "+%s"}})
	c.until = time.Now()
	if err != nil {
		return c, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(r.Stdout)), 10, 64)
	if err != nil || r.ExitCode != 0 {
		return c, fmt.Errorf("%s does not say what time it is: date ended with %d and said %q", h.Name(), r.ExitCode, firstLine(append(r.Stdout, r.Stderr...)))
	}
	c.host = time.Unix(seconds, 0)
	return c, nil
}

// skew is by how much the host's clock is ahead at least; what the question and
// the missing fraction of a second can explain is none.
func (c clock) skew() time.Duration {
	if ahead := c.host.Sub(c.until); ahead > 0 {
		return ahead.Round(time.Second)
	}
	if behind := c.here.Sub(c.host.Add(time.Second)); behind > 0 {
		return -behind.Round(time.Second)
	}
	return 0
}
