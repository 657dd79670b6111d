package unitfile

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var spanUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"us": time.Microsecond, "usec": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// span reads a time span such as "1min 30s", "500ms", "5" (seconds) or
// "infinity".
func span(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time span", s)
	rest := strings.TrimSpace(s)
	if rest == "infinity" {
		return Infinity, nil
	}
	if rest == "" {
		return 0, bad
	}
	total := 0.0
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		n, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return 0, bad
		}
		rest = strings.TrimLeft(rest[digits:], " ")
		letters := strings.IndexAny(rest, " 0123456789.")
		if letters < 0 {
			letters = len(rest)
		}
		unit, ok := spanUnits[rest[:letters]]
		if !ok {
			return 0, bad
		}
		total += n * float64(unit)
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	if total >= math.MaxInt64 {
		return 0, bad
	}
	return time.Duration(total), nil
}

// timeout is a span of which zero means none at all.
func timeout(s string) (time.Duration, error) {
	d, err := span(s)
	if err == nil && d == 0 {
		return Infinity, nil
	}
	return d, err
}

func boolean(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, nil
	case "0", "no", "n", "false", "f", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean", s)
}

func choice(s string, supported ...string) (string, error) {
	for _, c := range supported {
		if s == c {
			return s, nil
		}
	}
	return "", fmt.Errorf("%q is not supported; supported: %s", s, strings.Join(supported, ", "))
}

func signal(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n < 65 {
		return syscall.Signal(n), nil
	}
	name := s
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("%q is not a signal", s)
}

// limit reads a resource limit: a number with an optional suffix, "soft:hard"
// taken as the soft one, or infinity.
func limit(s string) (uint64, error) {
	soft, _, _ := strings.Cut(s, ":")
	if soft == "infinity" {
		return math.MaxUint64, nil
	}
	n, err := strconv.ParseUint(soft, 10, 63)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a limit", s)
	}
	return n, nil
}

func absolute(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", fmt.Errorf("path %q is not absolute", s)
	}
	return path.Clean(s), nil
}
