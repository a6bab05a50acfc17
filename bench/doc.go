// Package bench compares the cryptography of frostfed with its peers and with
// the floor: the least time that its operations can take on the curve library
// below it. It is a module of its own, so that the peers stay out of the
// product's dependency graph.
//
// The same cases serve two runners. Benchmark is for benchstat and for counting
// allocations:
//
//	go test -run '^$' -bench '/op=sign$/t=3$' .
//
// cmd/compare alternates the implementations round by round and prints the
// medians of the paired ratios, which a noisy machine can still tell:
//
//	go run ./cmd/compare -ops 'sign|coordinator'
package bench

import (
	"fmt"
	"regexp"
	"sync"
)

// Size is a threshold and a number of participants.
type Size struct{ T, N int }

// String returns t/n.
func (s Size) String() string { return fmt.Sprintf("%d/%d", s.T, s.N) }

// Sizes are the federations measured.
var Sizes = []Size{{3, 5}, {7, 10}, {14, 20}, {34, 50}, {67, 100}}

// Ours is the name of this project's implementation in Case.Impl.
const Ours = "frostfed"

// Case is one implementation of one operation. Cases with the same Op and Size
// are alternatives, of which Ours comes first.
type Case struct {
	Op   string
	Size // 0/0 if the operation has none
	Impl string
	// Setup prepares the inputs, once; later calls return the same Round.
	Setup func() (Round, error)
}

// Name is the name of the sub-benchmark, in the key=value form of benchstat.
func (c Case) Name() string {
	if c.N == 0 {
		return fmt.Sprintf("op=%s/impl=%s", c.Op, c.Impl)
	}
	return fmt.Sprintf("op=%s/t=%d/n=%d/impl=%s", c.Op, c.T, c.N, c.Impl)
}

// Round makes n operations ready, which is not measured, and returns the function
// that does the next one. Secret nonces make it necessary: each signs once.
type Round func(n int) (func() error, error)

// repeat is the Round of an operation that consumes nothing.
func repeat(op func() error) Round {
	return func(int) (func() error, error) { return op, nil }
}

// stock is the Round of an operation that consumes one item each time.
func stock[T any](produce func() (T, error), consume func(T) error) Round {
	return func(n int) (func() error, error) {
		items := make([]T, n)
		for i := range items {
			var err error
			if items[i], err = produce(); err != nil {
				return nil, err
			}
		}
		return func() error {
			item := items[0]
			items = items[1:]
			return consume(item)
		}, nil
	}
}

// Cases returns the cases whose Op matches ops entirely, those with sizes for
// each of sizes. Inputs are made when they are needed.
func Cases(ops *regexp.Regexp, sizes []Size) []Case {
	all := curveCases()
	for _, size := range sizes {
		all = append(all, signCases(size)...)
		all = append(all, dkgCases(size)...)
	}
	var selected []Case
	for _, c := range all {
		if m := ops.FindString(c.Op); m != "" && m == c.Op {
			c.Setup = sync.OnceValues(c.Setup)
			selected = append(selected, c)
		}
	}
	return selected
}
