package protocols

import "testing"

func TestQuorums(t *testing.T) {
	rows := []struct{ n, f, echo, amplify, deliver, threshold int }{
		{1, 0, 1, 1, 1, 1},
		{2, 0, 2, 1, 1, 2},
		{3, 0, 2, 1, 1, 3},
		{4, 1, 3, 2, 3, 3},
		{5, 1, 4, 2, 3, 4},
		{7, 2, 5, 3, 5, 5},
		{10, 3, 7, 4, 7, 7},
		{128, 42, 86, 43, 85, 86},
	}
	for _, r := range rows {
		if MaxFaulty(r.n) != r.f || EchoQuorum(r.n) != r.echo || ReadyAmplification(r.n) != r.amplify ||
			DeliveryQuorum(r.n) != r.deliver || DefaultThreshold(r.n) != r.threshold {
			t.Errorf("n=%d: got f=%d echo=%d amplify=%d deliver=%d t=%d", r.n, MaxFaulty(r.n), EchoQuorum(r.n),
				ReadyAmplification(r.n), DeliveryQuorum(r.n), DefaultThreshold(r.n))
		}
	}
}

// Bracha's proofs rest on these, so they are checked for every size allowed.
func TestQuorumIntersection(t *testing.T) {
	for n := 1; n <= MaxMembers; n++ {
		f := MaxFaulty(n)
		if 2*EchoQuorum(n)-n <= f {
			t.Errorf("n=%d: two echo quorums may share only faulty members", n)
		}
		if EchoQuorum(n) > n-f {
			t.Errorf("n=%d: the honest members alone are no echo quorum", n)
		}
		if DeliveryQuorum(n) > n-f {
			t.Errorf("n=%d: the honest members alone cannot deliver", n)
		}
		if DeliveryQuorum(n)-f < ReadyAmplification(n) {
			t.Errorf("n=%d: delivery does not imply amplification everywhere", n)
		}
		if th := DefaultThreshold(n); th < 1 || th > n || th <= f {
			t.Errorf("n=%d: bad default threshold %d", n, th)
		}
	}
}
