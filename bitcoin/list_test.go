package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/address/v2/bech32"
)

func testAddress(t testing.TB, n int) string {
	t.Helper()
	a, err := EncodeAddress(Regtest, testScript(n))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseListForms(t *testing.T) {
	a, b := testAddress(t, 0), testAddress(t, 4)
	files := map[string]string{
		"csv in satoshi": "address,sats\n" + a + ",1000\n" + b + ",150000000\n",
		"other order":    "address,sats\n" + b + ",150000000\n" + a + ",1000\n",
		"csv in btc":     "address,btc\n" + a + ",0.00001\n" + b + ",1.50000000\n",
		"labels":         "address,sats,label\n" + a + ",1000,alice\n" + b + ",150000000,\"bob, too\"\n",
		"spreadsheet":    "\ufeffaddress, sats\r\n" + a + ", 1000\r\n\r\n" + b + ",150000000\r\n",
		"upper case":     "address,sats\n" + a + ",1000\n" + strings.ToUpper(b) + ",150000000\n",
		"json":           `{"payouts":[{"address":"` + a + `","sats":1000},{"sats":150000000,"address":"` + b + `","label":"bob"}]}`,
		"json, spaced":   "\n { \"reference\" : \"\" ,\n\"payouts\" : [ {\"address\":\"" + b + "\",\"sats\":150000000} ,\n{\"address\":\"" + a + "\",\"sats\":1000}]}\n\n",
	}
	want := PayoutID{}
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			l, err := ParseList(Regtest, "f", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if l.Total() != 150_001_000 || len(l.Payees) != 2 {
				t.Errorf("total %v of %d payees", l.Total(), len(l.Payees))
			}
			if want == (PayoutID{}) {
				want = l.ID()
			}
			if l.ID() != want {
				t.Errorf("id %v, want %v", l.ID(), want)
			}
		})
	}
	for name, text := range map[string]string{
		"csv":  "reference,week 47\n" + files["csv in satoshi"],
		"json": strings.Replace(files["json"], `{"pay`, `{"reference":"week 47","pay`, 1),
	} {
		l, err := ParseList(Regtest, "f", []byte(text))
		if err != nil || l.Reference != "week 47" || l.ID() == want {
			t.Errorf("%s with a reference: %q, %v", name, l.Reference, err)
		}
	}
}

func TestParseListErrors(t *testing.T) {
	a, b := testAddress(t, 0), testAddress(t, 4)
	mainnet, _ := EncodeAddress(Mainnet, testScript(4))
	mainnetOld, _ := EncodeAddress(Mainnet, testScript(0))
	offCurve, _ := EncodeAddress(Regtest, p2tr([32]byte{31: 5}))
	var many strings.Builder
	for i := range MaxPayees + 1 {
		fmt.Fprintf(&many, "%s,1000\n", testAddress(t, i))
	}
	csv := func(rows ...string) string { return "address,sats\n" + strings.Join(rows, "\n") + "\n" }
	js := func(rows ...string) string { return "{\"payouts\":[\n" + strings.Join(rows, ",\n") + "\n]}" }
	rows := []struct {
		name string
		text string
		line int
		want error
	}{
		{"empty", "", 0, ErrFormat},
		{"header only", "address,sats\n", 0, ErrNoPayees},
		{"no header", a + ",1000\n", 1, ErrFormat},
		{"header in another order", "sats,address\n1000," + a, 1, ErrFormat},
		{"unknown column", "address,sats,memo\n", 1, ErrFormat},
		{"both amounts", "address,sats,btc\n", 1, ErrFormat},
		{"two references", "reference,x\nreference,y\n", 2, ErrFormat},
		{"reference too long", "reference," + strings.Repeat("x", MaxReference+1) + "\n", 1, ErrFormat},
		{"reference not ASCII", "reference,é\n", 1, ErrFormat},
		{"row too short", csv(a+",1000", b), 3, ErrFormat},
		{"row too long", csv(a + ",1000,x"), 2, ErrFormat},
		{"open quote", csv(a+",1000", `"`+b+",1"), 3, ErrFormat},
		{"bad address", csv(a+",1000", "bcrt1qqq,1000"), 3, ErrAddress},
		{"typo in address", csv(a[:len(a)-1] + "1,1000"), 2, ErrAddress},
		{"no address", csv(",1000"), 2, ErrAddress},
		{"public key", csv("02" + strings.Repeat("11", 32) + ",1000"), 2, ErrAddress},
		{"key not on the curve", csv(offCurve + ",1000"), 2, ErrAddress},
		{"anchor", csv("bcrt1pfeesnyr2tx,1000"), 2, ErrAddress},
		{"other network", csv(mainnet + ",1000"), 2, ErrNetwork},
		{"other network, old form", csv(mainnetOld + ",1000"), 2, ErrNetwork},
		{"negative", csv(a + ",-1000"), 2, ErrAmount},
		{"plus sign", csv(a + ",+1000"), 2, ErrAmount},
		{"zero", csv(a + ",0"), 2, ErrAmount},
		{"no amount", csv(a + ","), 2, ErrAmount},
		{"fraction of a satoshi", csv(a + ",1000.5"), 2, ErrAmount},
		{"exponent", csv(a + ",1e6"), 2, ErrAmount},
		{"overflow", csv(a + ",18446744073709551617"), 2, ErrAmount},
		{"more than all bitcoin", csv(a + ",2100000000000001"), 2, ErrAmount},
		{"sum of more than all bitcoin", csv(a+",2100000000000000", b+",1000"), 3, ErrAmount},
		{"nine decimals", "address,btc\n" + a + ",0.000010001\n", 2, ErrAmount},
		{"no decimals after the dot", "address,btc\n" + a + ",1.\n", 2, ErrAmount},
		{"no whole part", "address,btc\n" + a + ",.5\n", 2, ErrAmount},
		{"decimal comma", "address,btc\n" + a + ",\"0,5\"\n", 2, ErrAmount},
		{"dust P2PKH", csv(testAddress(t, 0) + ",545"), 2, ErrDust},
		{"dust P2SH", csv(testAddress(t, 1) + ",539"), 2, ErrDust},
		{"dust P2WPKH", csv(testAddress(t, 2) + ",293"), 2, ErrDust},
		{"dust P2WSH", csv(testAddress(t, 3) + ",329"), 2, ErrDust},
		{"dust P2TR", csv(testAddress(t, 4) + ",329"), 2, ErrDust},
		{"duplicate payee", csv(a+",1000", b+",1000", a+",2000"), 4, ErrDuplicatePayee},
		{"duplicate in upper case", csv(b+",1000", strings.ToUpper(b)+",1000"), 3, ErrDuplicatePayee},
		{"too many", csv(strings.TrimSpace(many.String())), MaxPayees + 2, ErrTooManyPayees},
		{"too large", strings.Repeat("x", MaxListFile+1), 0, ErrTooManyPayees},
		{"not UTF-8", csv(a+",1000", "\xff,1"), 3, ErrFormat},
		{"UTF-16", "\xff\xfea\x00d\x00", 1, ErrFormat},
		{"json cut short", `{"payouts":[`, 1, ErrFormat},
		{"json without payouts", `{}`, 0, ErrNoPayees},
		{"json key repeated", "{\"payouts\":[],\n\"payouts\":[]}", 2, ErrFormat},
		{"json unknown key", "{\n\"pay\":[]}", 2, ErrFormat},
		{"json key in capitals", `{"Payouts":[]}`, 1, ErrFormat},
		{"json more text", "{\"payouts\":[]}\n{}", 2, ErrFormat},
		{"json row is no object", js("1"), 2, ErrFormat},
		{"json without sats", js(`{"address":"` + a + `"}`), 2, ErrFormat},
		{"json sats as text", js(`{"address":"` + a + `","sats":"1000"}`), 2, ErrAmount},
		{"json sats negative", js(`{"address":"` + a + `","sats":-1}`), 2, ErrAmount},
		{"json sats with exponent", js(`{"address":"` + a + `","sats":1e3}`), 2, ErrAmount},
		{"json bad address", js(`{"address":"`+a+`","sats":1000}`, `{"address":"x","sats":1000}`), 3, ErrAddress},
		{"json address is a number", js(`{"address":1,"sats":1000}`), 2, ErrFormat},
		{"json duplicate", js(`{"address":"`+a+`","sats":1000}`, `{"address":"`+a+`","sats":1000}`), 3, ErrDuplicatePayee},
		{"json reference", "{\"reference\":\"\\n\"}", 1, ErrFormat},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := ParseList(Regtest, "pay.csv", []byte(r.text))
			var bad *ListError
			if !errors.As(err, &bad) || !errors.Is(err, r.want) {
				t.Fatalf("got %v, want %v", err, r.want)
			}
			if bad.File != "pay.csv" || bad.Line != r.line || bad.Hint == "" {
				t.Errorf("%+v, want line %d", bad, r.line)
			}
		})
	}
}

// btcd's decoder reads a version 1 program of 20 bytes as a version 0 key hash,
// another script than its owner meant; and an anchor is anybody's money.
func TestParseAddressStrict(t *testing.T) {
	program, _ := bech32.ConvertBits(make([]byte, 20), 8, 5, true)
	short, err := bech32.EncodeM("bcrt", append([]byte{1}, program...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := address.DecodeAddress(short, Regtest.Params()); err != nil {
		t.Logf("the decoder refuses it by now: %v", err)
	}
	anchor, _ := address.NewAddressPayToAnchor(Regtest.Params())
	mixed := testAddress(t, 4)
	mixed = strings.ToUpper(mixed[:20]) + mixed[20:]
	for _, s := range []string{short, anchor.EncodeAddress(), mixed, " " + testAddress(t, 4)} {
		if script, err := ParseAddress(Regtest, s); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %x, %v", s, script, err)
		}
	}
}

func TestParseAddressNetworks(t *testing.T) {
	for from := Mainnet; from.Valid(); from++ {
		for n := range 5 {
			s, err := EncodeAddress(from, testScript(n))
			if err != nil {
				t.Fatal(err)
			}
			for to := Mainnet; to.Valid(); to++ {
				again, _ := EncodeAddress(to, testScript(n)) // test networks share prefixes
				_, err := ParseAddress(to, s)
				if again == s && err != nil || again != s && !errors.Is(err, ErrNetwork) {
					t.Errorf("%v address %s on %v: %v", from, s, to, err)
				}
			}
		}
	}
	for n := Mainnet; n.Valid(); n++ {
		if got, err := ParseNetwork(n.String()); err != nil || got != n {
			t.Errorf("%v: %v, %v", n, got, err)
		}
	}
	if n, err := ParseNetwork("main"); err == nil {
		t.Errorf("main is %v", n)
	}
}

func TestDustLimits(t *testing.T) {
	want := map[ScriptType]Sat{P2PKH: 546, P2SH: 540, P2WPKH: 294, P2WSH: 330, P2TR: 330} // Bitcoin Core, GetDustThreshold
	for kind, limit := range want {
		if kind.Dust() != limit {
			t.Errorf("%v: %v, want %v", kind, kind.Dust(), limit)
		}
	}
	for n := range 5 {
		if kind, err := TypeOf(testScript(n)); err != nil || kind != ScriptType(n+1) {
			t.Errorf("script %d is %v, %v", n, kind, err)
		}
	}
}

func TestPayoutListRoundTrip(t *testing.T) {
	l := testList(t, 20, 1000)
	l.Reference = "week 47"
	back, err := DecodePayoutList(l.Encode())
	if err != nil || !reflect.DeepEqual(l, back) {
		t.Fatalf("%v, %v", back, err)
	}
	if got := testList(t, 20, 1000).ID().String(); got != goldenListID {
		t.Errorf("id %s, want %s", got, goldenListID)
	}
}

func TestDecodePayoutListRefuses(t *testing.T) {
	good := testList(t, 3, 1000).Encode()
	for i := range good {
		if _, err := DecodePayoutList(good[:i]); err == nil {
			t.Errorf("cut to %d bytes: accepted", i)
		}
	}
	swapped := testList(t, 3, 1000)
	swapped.Payees[0], swapped.Payees[1] = swapped.Payees[1], swapped.Payees[0]
	rows := map[string][]byte{
		"trailing byte":   append(bytes.Clone(good), 0),
		"version":         append([]byte{2}, good[1:]...),
		"network":         append([]byte{1, 99}, good[2:]...),
		"unsorted payees": swapped.Encode(),
		"huge count":      {1, 4, 0, 0xff, 0xff},
	}
	for name, data := range rows {
		if l, err := DecodePayoutList(data); err == nil {
			t.Errorf("%s: %v", name, l)
		}
	}
}
