package policy

import "fmt"

// Rule is the stable name of what decided. Names are part of the API and of
// metrics; they are never changed, only added.
type Rule string

// The rules. RuleTable explains them.
const (
	Allowed Rule = "allowed"

	KeyUnknown      Rule = "key_unknown"
	WrongNetwork    Rule = "wrong_network"
	TipUnknown      Rule = "tip_unknown"
	TipStale        Rule = "tip_stale"
	TipBehind       Rule = "tip_behind"
	BlockUnknown    Rule = "block_unknown"
	ProposalExpired Rule = "proposal_expired"
	PayoutUnknown   Rule = "payout_unknown"
	PayoutPaid      Rule = "payout_already_paid"
	PayoutInvalid   Rule = "payout_invalid"
	PayeeOurs       Rule = "payee_ours"
	CoinUnknown     Rule = "coin_unknown"
	CoinSpent       Rule = "coin_spent"
	CoinUnconfirmed Rule = "coin_unconfirmed"
	CoinImmature    Rule = "coin_immature"
	CoinNotOurs     Rule = "coin_not_ours"
	CoinLocked      Rule = "coin_locked"
	DuplicateCoin   Rule = "duplicate_coin"
	FundsMissing    Rule = "funds_insufficient"
	FeeTooLow       Rule = "fee_too_low"
	FeeTooHigh      Rule = "fee_too_high"
	ChangeNotOurs   Rule = "change_not_ours"
	ChangeTooFar    Rule = "change_too_far"
	CoinsDiffer     Rule = "coins_differ"
	OutputsDiffer   Rule = "outputs_differ"
	TxMalformed     Rule = "tx_malformed"
	BadVersion      Rule = "version"
	BadLockTime     Rule = "locktime"
	BadSequence     Rule = "sequence"
	BadSighashType  Rule = "sighash_type"
	Dust            Rule = "dust"
	TooHeavy        Rule = "too_heavy"
	NotAllowListed  Rule = "not_allow_listed"
	DailyLimit      Rule = "daily_limit"
	ExternalRefused Rule = "external_refused"
	ExternalTimeout Rule = "external_timeout"
	ExternalFailed  Rule = "external_failed"
	ExternalGarbage Rule = "external_garbage"
)

// RuleTable lists every rule with its meaning. A transient refusal may turn into
// consent by itself, when the member's node or data catches up.
var RuleTable = []struct {
	Rule      Rule
	Transient bool
	Meaning   string
}{
	{Allowed, false, "nothing speaks against it"},
	{KeyUnknown, true, "the key or its epoch is not one this member signs for"},
	{WrongNetwork, false, "the proposal is for another Bitcoin network"},
	{TipUnknown, true, "this member's node has not told its best block"},
	{TipStale, true, "this member's node is not synced"},
	{TipBehind, true, "the proposal was made at a block this member has not reached"},
	{BlockUnknown, true, "the proposal was made at a block outside this member's best chain"},
	{ProposalExpired, false, "the proposal is too old: make a new one"},
	{PayoutUnknown, true, "this member has no payout list with that id"},
	{PayoutPaid, false, "the list is promised to, or paid by, another transaction: a second payment needs a list with its own reference"},
	{PayoutInvalid, false, "the payout list breaks a rule of lists"},
	{PayeeOurs, false, "the list pays an address of the federation itself"},
	{CoinUnknown, true, "this member's node does not know the coin"},
	{CoinSpent, false, "the coin is spent"},
	{CoinUnconfirmed, true, "the coin is not deep enough in the chain"},
	{CoinImmature, true, "the coin comes from a coinbase younger than 100 blocks"},
	{CoinNotOurs, false, "the coin is not locked to a receive or change address of the key"},
	{CoinLocked, false, "the coin is promised to another transaction"},
	{DuplicateCoin, false, "a coin is named twice"},
	{FundsMissing, false, "the coins do not suffice for payouts and fee"},
	{FeeTooLow, false, "the fee rate is below this member's minimum"},
	{FeeTooHigh, false, "the fee rate is above this member's maximum"},
	{ChangeNotOurs, false, "the change goes to somebody else"},
	{ChangeTooFar, false, "the change index is so far ahead that a scan would miss it"},
	{CoinsDiffer, false, "the transaction does not spend exactly the coins named"},
	{OutputsDiffer, false, "an output is not as this member computes it"},
	{TxMalformed, false, "the transaction does not decode or is not in canonical form"},
	{BadVersion, false, "the transaction version is not 2"},
	{BadLockTime, false, "the lock time is not what was agreed"},
	{BadSequence, false, "a sequence is not 0xfffffffd"},
	{BadSighashType, false, "an input asks for another sighash type than SIGHASH_DEFAULT"},
	{Dust, false, "an output is too small to be relayed"},
	{TooHeavy, false, "the transaction is heavier than this member's limit"},
	{NotAllowListed, false, "an output is neither on the allow-list nor ours"},
	{DailyLimit, true, "more would leave within 144 blocks than the limit"},
	{ExternalRefused, false, "the operator's command refused"},
	{ExternalTimeout, true, "the operator's command did not answer in time"},
	{ExternalFailed, true, "the operator's command did not run properly"},
	{ExternalGarbage, true, "the operator's command answered something that is not a verdict"},
}

// Verdict is a decision. The zero value refuses.
type Verdict struct {
	Allow  bool
	Rule   Rule
	Reason string // for people; may quote addresses and amounts, holds no secret
}

func allow() Verdict { return Verdict{Allow: true, Rule: Allowed} }

func refuse(rule Rule, format string, args ...any) Verdict {
	return Verdict{Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

func (v Verdict) String() string {
	if v.Allow {
		return string(v.Rule)
	}
	return fmt.Sprintf("%s: %s", v.Rule, v.Reason)
}

// Transient reports whether asking again later may give another answer.
func (v Verdict) Transient() bool {
	for _, row := range RuleTable {
		if row.Rule == v.Rule {
			return row.Transient
		}
	}
	return false
}

// All returns the first refusal, or consent if there is none. It takes at least
// one verdict, because no policy at all is not consent.
func All(first Verdict, rest ...Verdict) Verdict {
	for _, v := range append([]Verdict{first}, rest...) {
		if !v.Allow {
			return v
		}
	}
	return first
}
