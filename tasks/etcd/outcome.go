package etcd

import (
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// outcome is what the error of a membership change proves about its effect.
type outcome int

const (
	// lost proves nothing: the change may have happened, or may still happen.
	lost outcome = iota
	// refused proves that this request had no effect and will have none.
	refused
	// earlier proves that this request had no effect, because one before it
	// probably had it.
	earlier
	// unsettled is refused for a reason that passes by itself.
	unsettled
	// unsynced is refused because the learner has not caught up.
	unsynced
	// unsent proves that the request never left, because nothing connected.
	unsent
)

// outcomeOf says what the error of a change of membership proves. Whatever it
// does not know proves nothing.
func outcomeOf(err error) outcome {
	var credentials *credentialError
	var d *dialError
	switch {
	case errors.As(err, &credentials):
		return refused
	case errors.As(err, &d):
		return unsent
	}
	// The texts are the servers' own. Codes do not tell: "unhealthy cluster" has
	// the code of a lost connection.
	proofs := []struct {
		part string
		outcome
	}{
		{"etcdserver: unhealthy cluster", unsettled},
		{"learner member which is in sync with leader", unsynced},
		{"not enough started members", refused},
		{"too many learner members", refused},
		{"can only promote a learner member", refused},
		{"etcdserver: member not found", refused},
		{"given member URLs are invalid", refused},
		{"permission denied", refused},
		{"invalid auth token", refused},
		{"user name is empty", refused},
		{"user name not found", refused},
		{"authentication failed", refused},
		{"authentication is not enabled", refused},
		{"revision of auth store is old", refused},
		{"rpc not supported for learner", refused},
		{"no address available", unsent},
		{"there is no connection available", unsent},
		{"Error while dialing", unsent},
		{"authentication handshake failed", unsent},
		{"error reading server preface", unsent},
		{"URL scheme must be", refused},
		{"URL must not contain", refused},
		{"Peer URLs already exists", earlier},
		{"member ID already exist", earlier},
	}
	text := rpctypes.ErrorDesc(err)
	for _, p := range proofs {
		if strings.Contains(text, p.part) {
			return p.outcome
		}
	}
	return lost
}
