package render

import (
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/etcdplay/etcdplay/hcl/diag"
)

// Value is v on one line, as one would write it in a playbook. Where a part is
// not known yet, it says after which tasks it will be; a sensitive part is
// never shown.
func Value(v cty.Value, waits []string) string { return diag.Value(v, After(waits)) }

// After says when something will be known.
func After(waits []string) string {
	if len(waits) == 0 {
		return "(known during the run)"
	}
	return "(known after " + strings.Join(waits, ", ") + ")"
}
