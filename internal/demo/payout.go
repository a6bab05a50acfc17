package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"frostfed/bitcoin"
	"frostfed/crypto/memberkey"
	"frostfed/federation"
	"frostfed/policy"
)

// handLists gives each member its own copy of both payout lists, as files that
// it reads itself.
func (s *show) handLists(ctx context.Context, phase Phase) error {
	for week := 1; week <= 2; week++ {
		if err := s.handList(ctx, week); err != nil {
			return err
		}
	}
	list, err := s.members[0].readList(1)
	if err != nil {
		return err
	}
	phase.Done(fmt.Sprintf("%d miners, %s, %s", len(list.Payees), btc(list.Total()), filepath.Join(string(s.members[0].dir), "payouts-1.csv")))
	return nil
}

func (s *show) handList(ctx context.Context, week int) error {
	text, err := payoutFile(week)
	if err != nil {
		return err
	}
	for _, m := range s.members {
		path := filepath.Join(string(m.dir), fmt.Sprintf("payouts-%d.csv", week))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		list, err := m.readList(week)
		if err != nil {
			return err
		}
		err = m.do(ctx, func(now now, core *federation.Core) (federation.Effects, error) {
			return core.AddPayoutList(now, list), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// payoutFile writes a list of miners. Their addresses are hashes of their names,
// which nobody can spend; their shares differ.
func payoutFile(week int) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "reference,week %d\naddress,sats,label\n", week)
	for i := range miners {
		h := memberkey.Hash("frostfed/demo/miner", binary.BigEndian.AppendUint32(nil, uint32(i)))
		address, err := bitcoin.EncodeAddress(bitcoin.Regtest, append([]byte{0x00, 0x14}, h[:20]...))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s,%d,miner-%02d\n", address, 1_000_000+137_000*i*week, i+1)
	}
	return []byte(b.String()), nil
}

func (m *member) readList(week int) (bitcoin.PayoutList, error) {
	name := fmt.Sprintf("payouts-%d.csv", week)
	text, err := os.ReadFile(filepath.Join(string(m.dir), name))
	if err != nil {
		return bitcoin.PayoutList{}, err
	}
	return bitcoin.ParseList(bitcoin.Regtest, name, text)
}

func (m *member) payoutRequest(key string, week int) (federation.PayoutRequest, error) {
	list, err := m.readList(week)
	return federation.PayoutRequest{Key: key, List: list.ID(), FeeRate: bitcoin.PerVByte(feeRate)}, err
}

// refuseTampered lets one member propose the payout with one output redirected,
// against its own policy. The others must refuse by themselves.
func (s *show) refuseTampered(ctx context.Context, phase Phase) error {
	liar := s.members[1]
	req, err := liar.payoutRequest(s.key, 1)
	if err != nil {
		return err
	}
	var planned *bitcoin.Spend
	var planErr error
	if err := liar.view(ctx, func(core *federation.Core) { _, planned, planErr = core.PlanPayout(req) }); err != nil || planErr != nil {
		return errors.Join(err, planErr)
	}
	req.Tx = redirect(planned.Tx)
	req.Force = true
	watch := s.watch()
	defer watch.close()
	id, err := liar.pay(ctx, req)
	if err != nil {
		return err
	}
	verdicts := make(map[int]policy.Verdict)
	err = watch.until(ctx, func(i int, d federation.Decision) bool {
		if j, ok := d.(federation.RequestJudged); ok && j.Request == id && j.Member == s.members[i].node.Host.ID() {
			verdicts[i] = j.Verdict
			phase.Progress(fmt.Sprintf("refused by %d of %d", len(verdicts), s.Nodes))
		}
		return len(verdicts) == s.Nodes
	})
	if err != nil {
		return err
	}
	for i, m := range s.members {
		if verdicts[i].Allow {
			return fmt.Errorf("%s approved the tampered payout", m.name)
		}
		s.result.Refused = append(s.result.Refused, Refusal{Member: m.name, Rule: string(verdicts[i].Rule), Reason: verdicts[i].Reason})
	}
	first := s.result.Refused[0]
	phase.Done(fmt.Sprintf("by all %d members: %s", s.Nodes, first.Rule))
	s.Report.Note(first.Reason)
	return nil
}

// redirect sends the first payment to the liar.
func redirect(tx *wire.MsgTx) *wire.MsgTx {
	out := tx.Copy()
	out.TxOut[0].PkScript = append([]byte{0x00, 0x14}, bytes.Repeat([]byte{0x66}, 20)...)
	return out
}

func (m *member) pay(ctx context.Context, req federation.PayoutRequest) (federation.RequestID, error) {
	var id federation.RequestID
	err := m.do(ctx, func(now now, core *federation.Core) (federation.Effects, error) {
		var e federation.Effects
		var err error
		id, e, err = core.Pay(now, req)
		return e, err
	})
	return id, err
}

func (s *show) payFirst(ctx context.Context, phase Phase) error {
	paid, err := s.payWeek(ctx, phase, 1)
	if err != nil {
		return err
	}
	s.first(paid)
	phase.Done(fmt.Sprintf("%d miners, txid %s, block %d", miners, paid.txid, paid.height))
	return nil
}

// first notes the payout that the last screen shows.
func (s *show) first(paid *payment) {
	s.result.TxID, s.result.Block, s.result.Height = paid.txid.String(), paid.block.String(), paid.height
	s.result.Signature = hex.EncodeToString(paid.signature[:])
}

// payWithoutOne stops the last member and pays the next list.
func (s *show) payWithoutOne(ctx context.Context, phase Phase) error {
	down := s.members[s.Nodes-1]
	if err := down.stop(); err != nil {
		return err
	}
	paid, err := s.payWeek(ctx, phase, 2)
	if err != nil {
		return err
	}
	s.result.Second, s.result.After = paid.txid.String(), "one member down"
	phase.Done(fmt.Sprintf("without %s: txid %s, block %d", down.name, paid.txid, paid.height))
	return nil
}

type payment struct {
	txid      chainhash.Hash
	block     chainhash.Hash
	height    uint32
	signature [64]byte
}

// payWeek proposes a payout, waits for the signature and the mempool, mines, and
// looks into the block itself.
func (s *show) payWeek(ctx context.Context, phase Phase, week int) (*payment, error) {
	proposer := s.members[min(2, s.Nodes-2)] // not the last one, which is taken down
	req, err := proposer.payoutRequest(s.key, week)
	if err != nil {
		return nil, err
	}
	watch := s.watch()
	defer watch.close()
	id, err := proposer.pay(ctx, req)
	if err != nil {
		return nil, err
	}
	p := new(payment)
	approved, submitted := make(map[int]bool), false
	err = watch.untilEvent(ctx, func(i int, e memberEvent) bool {
		switch d := e.event.Decision.(type) {
		case federation.RequestJudged:
			if d.Request == id && d.Verdict.Allow && d.Member == s.members[i].node.Host.ID() {
				approved[i] = true
				phase.Progress(fmt.Sprintf("validated by %d of %d", len(approved), s.Nodes))
			}
		case federation.RequestSigned:
			if d.Request == id {
				p.txid, p.signature = d.TxID, [64]byte(d.Signatures[0])
				phase.Progress(fmt.Sprintf("signed by %d of %d", s.threshold(), s.Nodes))
			}
		}
		if sub := e.event.Submitted; sub != nil && sub.Request == id && sub.Err == nil {
			submitted = true
		}
		return submitted && p.txid != (chainhash.Hash{})
	})
	if err != nil {
		return nil, err
	}
	if err := s.mine(ctx, 1); err != nil {
		return nil, err
	}
	return p, s.inspect(ctx, p, week)
}

// inspect makes sure that the last block holds the payout, output by output.
func (s *show) inspect(ctx context.Context, p *payment, week int) error {
	tip, err := s.chain.Tip(ctx)
	if err != nil {
		return err
	}
	block, err := s.chain.Block(ctx, tip.Hash)
	if err != nil {
		return err
	}
	list, err := s.members[0].readList(week)
	if err != nil {
		return err
	}
	for _, tx := range block.Transactions {
		if tx.TxHash() != p.txid {
			continue
		}
		for _, payee := range list.Payees {
			if !pays(tx, payee) {
				return fmt.Errorf("the transaction in the block does not pay %s", payee.Label)
			}
		}
		p.block, p.height = tip.Hash, uint32(tip.Height)
		return nil
	}
	return fmt.Errorf("block %d does not hold transaction %v", tip.Height, p.txid)
}

func pays(tx *wire.MsgTx, payee bitcoin.Payee) bool {
	for _, out := range tx.TxOut {
		if bytes.Equal(out.PkScript, payee.Script) && out.Value == int64(payee.Amount) {
			return true
		}
	}
	return false
}

// bringBack restarts the member and waits until it knows what happened.
func (s *show) bringBack(ctx context.Context, phase Phase) error {
	back := s.members[s.Nodes-1]
	if err := s.start(ctx, back, s.seed()); err != nil {
		return err
	}
	watch := s.watch()
	defer watch.close()
	caughtUp := func() (done bool) {
		err := back.view(ctx, func(core *federation.Core) {
			for _, r := range core.Requests() {
				done = done || r.TxID.String() == s.result.Second && r.State == federation.StateConfirmed
			}
		})
		return err == nil && done
	}
	if !caughtUp() {
		err := watch.until(ctx, func(i int, d federation.Decision) bool { return i == s.Nodes-1 && caughtUp() })
		if err != nil {
			return err
		}
	}
	if err := s.waitMesh(ctx, watch, phase); err != nil {
		return err
	}
	phase.Done(fmt.Sprintf("%s knows the payout it missed", back.name))
	return nil
}
