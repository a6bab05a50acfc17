package bitcoin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// lookups answer as a member's own view that knows all of s.
func lookups(s *Spend) (func(wire.OutPoint) (Coin, bool), func([]byte) (Path, bool)) {
	coin := func(op wire.OutPoint) (Coin, bool) {
		for _, in := range s.Inputs {
			if in.Coin.OutPoint == op {
				return in.Coin, true
			}
		}
		return Coin{}, false
	}
	own := func(script []byte) (Path, bool) {
		for _, o := range s.Own {
			if o != nil && bytes.Equal(o.Script, script) {
				return o.Path, true
			}
		}
		return Path{}, false
	}
	return coin, own
}

func mustPSBT(t testing.TB, s *Spend, sigs [][64]byte) []byte {
	t.Helper()
	data, err := s.PSBT(sigs)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPSBTRoundTrip(t *testing.T) {
	s := mustBuild(t, testPayout(t))
	unsigned := mustPSBT(t, s, nil)
	for name, data := range map[string][]byte{
		"binary": unsigned,
		"base64": []byte(base64.StdEncoding.EncodeToString(unsigned) + "\n"),
	} {
		p, err := DecodePSBT(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		coin, own := lookups(s)
		back, err := p.Spend(s.Key(), coin, own)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(back.Bytes(), s.Bytes()) || back.Leaving() != s.Leaving() {
			t.Errorf("%s: another transaction", name)
		}
		if _, err := p.Extract(); !errors.Is(err, ErrPSBT) {
			t.Errorf("%s: extract unsigned: %v", name, err)
		}
	}
	in := mustPacket(t, unsigned).Inputs[0]
	d := in.TaprootBip32Derivation[0]
	if !bytes.Equal(d.XOnlyPubKey, in.TaprootInternalKey) || d.Bip32Path[0] != 0 || d.Bip32Path[1] != s.Inputs[0].Coin.Path.Index {
		t.Errorf("derivation %+v", d)
	}
}

func mustPacket(t testing.TB, data []byte) *psbt.Packet {
	t.Helper()
	packet, err := psbt.NewFromRawBytes(bytes.NewReader(data), false)
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func mustSerialize(t testing.TB, packet *psbt.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := packet.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPSBTExtract(t *testing.T) {
	s := mustBuild(t, testPayout(t))
	sigs := signAll(t, s)
	want, err := s.Finish(sigs)
	if err != nil {
		t.Fatal(err)
	}
	finished := mustPSBT(t, s, sigs)
	// As a signer leaves it, before a finalizer: TAP_KEY_SIG.
	packet := mustPacket(t, mustPSBT(t, s, nil))
	for i := range packet.Inputs {
		packet.Inputs[i].TaprootKeySpendSig = sigs[i][:]
	}
	for name, data := range map[string][]byte{"finished": finished, "signed": mustSerialize(t, packet)} {
		p, err := DecodePSBT(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Extract()
		if err != nil || got.WitnessHash() != want.WitnessHash() {
			t.Errorf("%s: %v", name, err)
		}
	}

	rows := []struct {
		name string
		edit func(*psbt.PInput)
		want error
	}{
		{"zero signature", func(in *psbt.PInput) { copy(in.FinalScriptWitness[2:], make([]byte, 64)) }, ErrSignature},
		{"bit flipped", func(in *psbt.PInput) { in.FinalScriptWitness[40] ^= 1 }, ErrSignature},
		{"another amount", func(in *psbt.PInput) { in.WitnessUtxo.Value++ }, ErrSignature},
		{"another script", func(in *psbt.PInput) { in.WitnessUtxo.PkScript[5] ^= 1 }, ErrSignature},
		{"anyone can spend", func(in *psbt.PInput) { in.WitnessUtxo.PkScript = []byte{txscript.OP_TRUE} }, ErrSignature},
		{"no amount", func(in *psbt.PInput) { in.WitnessUtxo = nil }, ErrPSBT},
		{"two elements", func(in *psbt.PInput) { in.FinalScriptWitness[0] = 2 }, ErrPSBT},
		{"no signature", func(in *psbt.PInput) { in.FinalScriptWitness = nil }, ErrPSBT},
		{"creates money", func(in *psbt.PInput) { in.WitnessUtxo.Value = 1 }, ErrTx},
		{"negative", func(in *psbt.PInput) { in.WitnessUtxo.Value = -1 }, ErrTx},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			packet := mustPacket(t, finished)
			r.edit(&packet.Inputs[1])
			p, err := DecodePSBT(mustSerialize(t, packet))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Extract(); !errors.Is(err, r.want) {
				t.Errorf("got %v, want %v", err, r.want)
			}
		})
	}
}

func TestPSBTSpendRefuses(t *testing.T) {
	s := mustBuild(t, testPayout(t))
	unsigned := mustPSBT(t, s, nil)
	other := mustBuild(t, Payout{Key: s.Key(), List: testList(t, 1, 1000), Coins: []Coin{testCoin(99, 9000)}, FeeRate: 250})
	rows := []struct {
		name string
		edit func(*psbt.Packet)
		want error
	}{
		{"SIGHASH_ALL", func(p *psbt.Packet) { p.Inputs[0].SighashType = txscript.SigHashAll }, ErrSighashType},
		{"SIGHASH_NONE", func(p *psbt.Packet) { p.Inputs[2].SighashType = txscript.SigHashNone }, ErrSighashType},
		{"ANYONECANPAY", func(p *psbt.Packet) { p.Inputs[1].SighashType = txscript.SigHashSingle | txscript.SigHashAnyOneCanPay }, ErrSighashType},
		{"other amount", func(p *psbt.Packet) { p.Inputs[0].WitnessUtxo.Value++ }, ErrPSBT},
		{"other script", func(p *psbt.Packet) { p.Inputs[0].WitnessUtxo.PkScript[9] ^= 1 }, ErrPSBT},
		{"merkle root", func(p *psbt.Packet) { p.Inputs[0].TaprootMerkleRoot = make([]byte, 32) }, ErrPSBT},
		{"signed already", func(p *psbt.Packet) { p.Inputs[0].FinalScriptWitness = []byte{0} }, ErrPSBT},
		{"foreign input", func(p *psbt.Packet) { p.UnsignedTx.TxIn[0].PreviousOutPoint = other.Inputs[0].Coin.OutPoint }, ErrNotOurs},
		{"more out than in", func(p *psbt.Packet) { p.UnsignedTx.TxOut[0].Value = int64(MaxMoney) }, ErrTx},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			packet := mustPacket(t, unsigned)
			r.edit(packet)
			p, err := DecodePSBT(mustSerialize(t, packet))
			if err != nil {
				t.Fatal(err)
			}
			coin, own := lookups(s)
			if _, err := p.Spend(s.Key(), coin, own); !errors.Is(err, r.want) {
				t.Errorf("got %v, want %v", err, r.want)
			}
		})
	}
	t.Run("lying address table", func(t *testing.T) {
		p, _ := DecodePSBT(unsigned)
		coin, _ := lookups(s)
		lie := func([]byte) (Path, bool) { return Path{Change, 4}, true }
		if _, err := p.Spend(s.Key(), coin, lie); !errors.Is(err, ErrNotOurs) {
			t.Error(err)
		}
	})
}

func TestDecodePSBTRefuses(t *testing.T) {
	s := mustBuild(t, testPayout(t))
	good := mustPSBT(t, s, nil)
	twice := mustPacket(t, good)
	twice.UnsignedTx.TxIn[1].PreviousOutPoint = twice.UnsignedTx.TxIn[0].PreviousOutPoint
	rows := map[string][]byte{
		"empty":         nil,
		"no PSBT":       []byte("hello"),
		"cut short":     good[:len(good)-2],
		"trailing byte": append(bytes.Clone(good), 0),
		"bad base64":    []byte("cHNidP8B!"),
		"too large":     make([]byte, 2*MaxPSBT),
		"coin twice":    mustSerialize(t, twice),
	}
	for name, data := range rows {
		if _, err := DecodePSBT(data); !errors.Is(err, ErrPSBT) && !errors.Is(err, ErrTx) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFinishRefuses(t *testing.T) {
	s := mustBuild(t, testPayout(t))
	sigs := signAll(t, s)
	if _, err := s.Finish(sigs[1:]); !errors.Is(err, ErrTx) {
		t.Errorf("one signature too few: %v", err)
	}
	sigs[0], sigs[1] = sigs[1], sigs[0]
	var bad *SignatureError
	if _, err := s.Finish(sigs); !errors.As(err, &bad) || bad.Input != 0 {
		t.Errorf("signatures swapped: %v", err)
	}
	if _, err := s.PSBT(sigs); !errors.Is(err, ErrSignature) {
		t.Errorf("PSBT with swapped signatures: %v", err)
	}
	if s.Tx.HasWitness() {
		t.Error("Finish wrote into the unsigned transaction")
	}
}
