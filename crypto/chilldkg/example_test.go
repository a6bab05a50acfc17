//go:build !toygroup

package chilldkg_test

import (
	"crypto/rand"
	"fmt"
	"log"

	"frostfed/crypto/chilldkg"
)

// Three participants generate a 2-of-3 key without a coordinator. The broadcast
// is a slice that all of them read.
func Example() {
	const t, n = 2, 3
	random := func() []byte {
		b := make([]byte, 32)
		rand.Read(b) // never fails
		return b
	}
	keys, pubs := make([][]byte, n), make([][]byte, n)
	for i := range keys {
		keys[i] = random()
		pub, err := chilldkg.HostPubkeyGen(keys[i])
		check(err)
		pubs[i] = pub[:]
	}
	params, err := chilldkg.NewSessionParams(pubs, t)
	check(err)
	session := params.SessionID([32]byte(random()), 0)

	broadcast := make([][]byte, n)
	for i, key := range keys {
		broadcast[i], err = chilldkg.Deal(key, params, session, random())
		check(err)
	}
	states, sigs := make([]*chilldkg.ParticipantState2, n), make([][]byte, n)
	for i, key := range keys {
		dealings, err := chilldkg.OpenDealings(params, session, broadcast)
		check(err)
		round, err := chilldkg.Combine(dealings)
		check(err)
		states[i], sigs[i], err = round.Step2(key, broadcast[i], random())
		check(err)
	}
	for i, state := range states {
		for j, sig := range sigs {
			check(state.AddCertSig(j, sig))
		}
		out, recoveryData, ok := state.Finish()
		fmt.Println(i, ok, out.T, "of", len(out.PubShares), len(recoveryData), "bytes of recovery data")
		out.SecShare.Wipe()
	}
	// Output:
	// 0 true 2 of 3 556 bytes of recovery data
	// 1 true 2 of 3 556 bytes of recovery data
	// 2 true 2 of 3 556 bytes of recovery data
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
