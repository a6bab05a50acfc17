//go:build !toygroup

package bip445_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log"

	"frostfed/crypto/bip445"
)

// Two of three participants sign; one function plays both signers and the
// coordinator.
func Example() {
	group, err := bip445.NewGroup(bip445.ThresholdInfo{
		T:        2,
		ThreshPK: [33]byte(unhex("02D772A09F5F675783D275ED9F6AAEDB2ECCBC74171B37AC23AE3BBD9D7AE2CDAA")),
		PubShares: [][]byte{
			unhex("039EE3335AF48DFE23702AB353F4AF20D401F67A130DF783CC8457323A860A2FB4"),
			unhex("0284DC4AB2CB78A621EB87FA1F14BCE2B725AFEAAC981ADCBAFF5CC2D417D2A63A"),
			unhex("036441EC2D4C1266201CD89B69549A2F5B2188612A0D434153E625FB38173DD509"),
		},
	})
	check(err)
	shares := map[int]string{
		0: "53442FA9BD72EEA0A42DF6F2D2D76A2C0D3A3DFA2BE2F820F41ADE976B8259FB",
		2: "61BB07FE8123B9EC255CA3FC27AEF64D5D260A6FC73D7F15B63DBE12EC5DEA07",
	}

	// Ahead of time, every signer: a nonce, of which the public half is sent.
	ids := []int{0, 2}
	secnonces := make([]*bip445.SecNonce, len(ids))
	received := make([][]byte, len(ids))
	for i := range ids {
		var pub bip445.PubNonce
		secnonces[i], pub, err = bip445.NonceGen(rand.Reader, bip445.NonceInput{SecShare: unhex(shares[ids[i]])})
		check(err)
		enc := pub.Bytes()
		received[i] = enc[:]
	}

	// The coordinator chooses the signers and sums their nonces.
	pubnonces, err := bip445.ParsePubNonces(received)
	check(err)
	aggnonce := bip445.NonceAgg(pubnonces)

	// Everybody: the set, the key with its tweaks, the session.
	set, err := group.SignerSet(ids)
	check(err)
	key, err := group.TweakCtx().Apply(make([]byte, 32), true)
	check(err)
	msg := []byte("sighash")
	session, err := bip445.NewSession(set, key, aggnonce, msg)
	check(err)

	// Every signer: a partial signature.
	psigs := make([][32]byte, len(ids))
	for i, id := range ids {
		signer, err := bip445.NewSigner(id, unhex(shares[id]))
		check(err)
		psigs[i], err = signer.Sign(&session, secnonces[i])
		check(err)
	}

	// The coordinator: the signature.
	sig, err := session.PartialSigAgg(psigs)
	check(err)
	fmt.Println(key.Verify(msg, sig[:]))
	// Output: true
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	check(err)
	return b
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
