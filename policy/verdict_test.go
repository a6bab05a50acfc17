package policy

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"frostfed/bitcoin"
)

// Every constant is in the table once, and every rule has a case that it refuses.
func TestRuleTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "verdict.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[Rule]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				name, _ := strconv.Unquote(lit.Value)
				declared[Rule(name)]++
			}
		}
		return true
	})
	covered := map[Rule]bool{DailyLimit: true} // TestWindow
	for _, r := range payoutRefusals {
		covered[r.rule] = true
	}
	for _, r := range transactionRefusals {
		covered[r.rule] = true
	}
	for _, r := range externalVerdicts {
		covered[r.want] = true
	}
	if len(declared) < 30 || len(declared) != len(RuleTable) {
		t.Errorf("%d constants, %d rows", len(declared), len(RuleTable))
	}
	for _, row := range RuleTable {
		if declared[row.Rule] != 1 {
			t.Errorf("%s is declared %d times", row.Rule, declared[row.Rule])
		}
		if !covered[row.Rule] {
			t.Errorf("no test meets %s", row.Rule)
		}
		if row.Meaning == "" {
			t.Errorf("%s has no meaning", row.Rule)
		}
	}
}

func TestAll(t *testing.T) {
	yes, a, b := allow(), refuse(Dust, "a"), refuse(TooHeavy, "b")
	rows := []struct {
		got, want Verdict
	}{
		{All(yes), yes},
		{All(yes, yes), yes},
		{All(a), a},
		{All(yes, a, b), a},
		{All(b, a), b},
		{All(Verdict{}), Verdict{}},
		{All(yes, Verdict{}), Verdict{}},
	}
	for i, r := range rows {
		if r.got != r.want {
			t.Errorf("case %d: %v, want %v", i, r.got, r.want)
		}
	}
	if (Verdict{}).Allow {
		t.Error("the zero verdict allows")
	}
	if !refuse(TipBehind, "").Transient() || refuse(Dust, "").Transient() || yes.Transient() {
		t.Error("wrong refusals are transient")
	}
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(bitcoin.Mainnet); err != nil {
		t.Errorf("default: %v", err)
	}
	mainnet, _ := bitcoin.EncodeAddress(bitcoin.Mainnet, payeeScript(1))
	rows := []struct {
		key  string
		edit func(*Config)
	}{
		{"fee_min", func(c *Config) { c.FeeMin = 0 }},
		{"fee_min", func(c *Config) { c.FeeMin = 10_001 }},
		{"fee_max", func(c *Config) { c.FeeMax = 0 }},
		{"fee_max", func(c *Config) { c.FeeMin, c.FeeMax = 10, 9 }},
		{"fee_max", func(c *Config) { c.FeeMax = 1 << 62 }},
		{"min_confirmations", func(c *Config) { c.MinConfirmations = 0 }},
		{"max_weight", func(c *Config) { c.MaxWeight = 0 }},
		{"max_weight", func(c *Config) { c.MaxWeight = 400_001 }},
		{"daily_limit", func(c *Config) { c.DailyLimit = -1 }},
		{"daily_limit", func(c *Config) { c.DailyLimit = bitcoin.MaxMoney + 1 }},
		{"external_timeout", func(c *Config) { c.ExternalTimeout = 0 }},
		{"external_timeout", func(c *Config) { c.ExternalTimeout = 601 }},
		{"external", func(c *Config) { c.External = []string{""} }},
		{"allow_list", func(c *Config) { c.AllowList = []string{"x"} }},
		{"allow_list", func(c *Config) { c.AllowList = []string{mainnet} }},
		{"allow_list", func(c *Config) { c.AllowList = make([]string, maxAllowList+1) }},
	}
	for i, r := range rows {
		c := DefaultConfig()
		r.edit(&c)
		var bad *ConfigError
		if err := c.Validate(bitcoin.Regtest); !errors.As(err, &bad) || bad.Key != r.key || bad.Reason == "" {
			t.Errorf("row %d: %v, want %s", i, err, r.key)
		}
	}
}
