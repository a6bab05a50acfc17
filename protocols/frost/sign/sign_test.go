package sign

import (
	"fmt"
	"testing"
)

func TestSignatures(t *testing.T) {
	for _, row := range []struct{ t, n, items int }{
		{1, 1, 1}, {1, 1, 70}, {1, 3, 1}, {2, 3, 1}, {3, 4, 2}, {4, 5, 20}, {5, 7, 1}, {2, 2, 130}, {3, 3, 64}, {4, 5, 65},
	} {
		t.Run(fmt.Sprintf("%d-of-%d/%d", row.t, row.n, row.items), func(t *testing.T) {
			w := newWorld(t, 1, row.t, row.n, fullPools)
			items := w.items(row.items)
			id := reqID(1)
			w.approveAll(id, items)
			w.run(60000)
			w.mustSign(id, items)
			w.mustNotBlame()
			lots := (row.items + maxLot - 1) / maxLot
			for i, nd := range w.nodes {
				want := 0
				if i == w.ranked(id)[0] {
					want = lots
				}
				if nd.sessions[id] != want {
					t.Errorf("member %d started %d sessions, want %d", i, nd.sessions[id], want)
				}
				if len(nd.m.Requests()) != 0 {
					t.Errorf("member %d still holds the request", i)
				}
			}
		})
	}
}
