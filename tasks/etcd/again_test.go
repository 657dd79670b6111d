package etcd

import (
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// etcd makes a member's ID of its peer URLs and the second in which it is added,
// and refuses the ID of one that was removed. An addition right after a removal
// has to wait for the next second.
func TestAddRightAfterRemoval(t *testing.T) {
	t.Parallel()
	c := boot(t, 1)
	given := map[string]cty.Value{"name": str("b"), "peer_urls": strs("http://127.0.4.8:2380")}
	for range 3 {
		added := c.act(memberAdd(settleFor), given)
		c.act(memberRemove(settleFor), map[string]cty.Value{"id": str(texts(added, "id"))})
	}
}
