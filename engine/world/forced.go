package world

import (
	"fmt"
	"strconv"
	"strings"
)

// ForcesNewCluster says what in a unit's effective environment (NAME=value) or
// commands would make its next start force a new cluster, or "". That start
// throws out every member but its own, also those that were added since.
func ForcesNewCluster(environment []string, commands [][]string) string {
	var words []string
	for _, e := range environment {
		name, value, _ := strings.Cut(e, "=")
		if on, err := strconv.ParseBool(value); name == "ETCD_FORCE_NEW_CLUSTER" && value != "" && (on || err != nil) {
			return e
		}
		if name != "ETCD_FORCE_NEW_CLUSTER" {
			words = append(words, strings.Fields(value)...) // of which a command may be made: $ETCD_OPTS
		}
	}
	for _, argv := range commands {
		words = append(words, argv...)
	}
	for _, w := range words {
		flag, value, valued := strings.Cut(strings.Trim(w, `"'`), "=")
		if strings.TrimLeft(flag, "-") != "force-new-cluster" || !strings.HasPrefix(flag, "-") {
			continue
		}
		if on, err := strconv.ParseBool(value); !valued || on || err != nil {
			return w
		}
	}
	return ""
}

// Unforced is Q11 for one unit: that it can be started without forcing a new
// cluster. by is what ForcesNewCluster found.
func Unforced(unit, by string) Check {
	q := Check{ID: "Q11", Holds: by == "", Text: unit + " does not force a new cluster"}
	if by != "" {
		q.Text = fmt.Sprintf("%s would force a new cluster (%s) and throw out every other member", unit, by)
		q.Help = "remove that setting, with systemd_dropin and state = \"absent\" if it is a drop-in of ours; to force a new cluster on purpose, use etcd2_force_new_cluster"
	}
	return q
}
