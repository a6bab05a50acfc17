//go:build !toygroup

package bip445

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

// TestNonceSignsOnce covers reuse through copies, other messages and failures.
func TestNonceSignsOnce(t *testing.T) {
	d := deal(t, 2, 3, 6)
	ids := []int{0, 1}
	set, err := d.group.SignerSet(ids)
	if err != nil {
		t.Fatal(err)
	}
	secs, pubs := d.nonces(t, ids, 1)
	agg := NonceAgg(pubs)
	first := mustSession(t, set, d.group.TweakCtx(), agg, []byte("first"))
	second := mustSession(t, set, d.group.TweakCtx(), agg, []byte("second"))
	copied := *secs[0]
	if _, err := d.signers[0].Sign(first, secs[0]); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*SecNonce{"same": secs[0], "copy": &copied, "nil": nil, "empty": new(SecNonce)} {
		if _, err := d.signers[0].Sign(second, n); !errors.Is(err, ErrNonceUsed) || !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A signer outside of the set, or with another share than the set lists,
	// spends the nonce and signs nothing.
	impostor, err := NewSigner(1, d.shares[2])
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]*Signer{"not in the set": d.signers[2], "other share": impostor} {
		n, _ := d.nonces(t, []int{1}, 2)
		if psig, err := signer.Sign(first, n[0]); !errors.Is(err, ErrPrecondition) || psig != [32]byte{} {
			t.Errorf("%s: %x, %v", name, psig, err)
		}
		if _, err := d.signers[1].Sign(first, n[0]); !errors.Is(err, ErrNonceUsed) {
			t.Errorf("%s: nonce survived: %v", name, err)
		}
	}
	secs[1].Wipe()
	if _, err := d.signers[1].Sign(first, secs[1]); !errors.Is(err, ErrNonceUsed) {
		t.Errorf("wiped nonce: %v", err)
	}
	d.signers[0].Wipe()
	n, _ := d.nonces(t, []int{0}, 3)
	if _, err := d.signers[0].Sign(first, n[0]); !errors.Is(err, ErrPrecondition) {
		t.Errorf("wiped signer: %v", err)
	}
}

type brokenReader struct{}

var errBroken = errors.New("broken")

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestNonceGenErrors(t *testing.T) {
	rand := bytes.NewReader(make([]byte, 1000))
	big, negative := 128, -1
	for name, in := range map[string]NonceInput{
		"zero share":  {SecShare: make([]byte, 32)},
		"short share": {SecShare: make([]byte, 31)},
		"pubshare":    {PubShare: make([]byte, 32)},
		"key":         {XonlyPK: make([]byte, 33)},
		"id":          {SignerID: &big},
		"negative id": {SignerID: &negative},
	} {
		if _, _, err := NonceGen(rand, in); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := NonceGen(brokenReader{}, NonceInput{}); !errors.Is(err, errBroken) {
		t.Errorf("broken reader: %v", err)
	}
	if _, _, err := NonceGen(bytes.NewReader(make([]byte, 31)), NonceInput{}); err == nil {
		t.Error("31 bytes of randomness are accepted")
	}
}

// TestKnownAnswerOfThisDraft pins one nonce and one partial signature of draft
// 0.12.1 without the vectors folder. Earlier drafts give others: 0.6.0 hashes no
// number of signers, 0.8.0 four times that number.
func TestKnownAnswerOfThisDraft(t *testing.T) {
	if Version != "0.12.1" {
		t.Fatal("a new draft needs new known answers")
	}
	hexes := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	id := 2
	nonce, _, err := NonceGen(bytes.NewReader(bytes.Repeat([]byte{0x0f}, 32)), NonceInput{
		SecShare: hexes("61BB07FE8123B9EC255CA3FC27AEF64D5D260A6FC73D7F15B63DBE12EC5DEA07"),
		SignerID: &id,
		PubShare: hexes("036441EC2D4C1266201CD89B69549A2F5B2188612A0D434153E625FB38173DD509"),
		XonlyPK:  hexes("D772A09F5F675783D275ED9F6AAEDB2ECCBC74171B37AC23AE3BBD9D7AE2CDAA"),
		Msg:      bytes.Repeat([]byte{1}, 32),
		Extra:    bytes.Repeat([]byte{8}, 32),
	})
	if err != nil {
		t.Fatal(err)
	}
	if k := nonce.secret.k[0].Bytes(); !bytes.Equal(k[:], hexes("8A8027738AE9310C3F1C7DA09186B3BE90B923A0FC25536BB4F14E37BAAADDCC")) {
		t.Errorf("first secret nonce is %x", k)
	}
	v := vector{
		T: 2, N: 3,
		IDs:      []int{0, 1},
		ThreshPK: hexes("02D772A09F5F675783D275ED9F6AAEDB2ECCBC74171B37AC23AE3BBD9D7AE2CDAA"),
		SecShare: hexes("53442FA9BD72EEA0A42DF6F2D2D76A2C0D3A3DFA2BE2F820F41ADE976B8259FB"),
		SecNonce: hexes("874A212D2DF14B0E55D5E9B86B0B6530A83BA59785303E333AB9F6193289D4A3B5DE529495EC16F25C1452C2732363C38623725EAE7BBCA47BD1AB43B3E21792"),
		AggNonce: hexes("0258D346E23685E092E143BD203EEC8597131390B1300E9466C9B741EC65FCCFC6029C9B5D46EF571F128C657306C86AC24E2E58CAC742788645A29E1CC0CEFFB316"),
		Msg:      hexes("F95466D086770E689964664219266FE5ED215C92AE20BAB5C9D79ADDDDF3C0CF"),
		SignerID: new(int),
	}
	if psig, err := v.sign(); err != nil || !bytes.Equal(psig, hexes("BD7C4B381E7A7CE76891C064CE565246643D47A8D8E5035C1536C8402B290108")) {
		t.Errorf("partial signature is %x, %v", psig, err)
	}
}

// TestHashInputs pins the layout that the known answers depend on.
func TestHashInputs(t *testing.T) {
	got := appendIDs(nil, []int{2, 0})
	if want := []byte{0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2}; !bytes.Equal(got, want) {
		t.Errorf("encoded ids %x, want %x", got, want)
	}
	absent, empty := nonceInput(&[32]byte{}, &NonceInput{}), nonceInput(&[32]byte{}, &NonceInput{Msg: []byte{}})
	if len(absent) != 32+1+1+1+1+4 || len(empty) != len(absent)+8 {
		t.Errorf("nonce inputs of %d bytes without and %d with an empty message", len(absent), len(empty))
	}
}
