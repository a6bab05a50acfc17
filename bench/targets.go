package bench

// Target is how many times faster than its peer an operation should be, for a
// federation that uses a general curve library. The goals of a curve core of its
// own are twice as high, except for the curve itself.
type Target struct {
	ID    string // row of the performance goals
	Ratio float64
}

// MaxFloor is how many times its floor an operation may cost (F1).
const MaxFloor = 1.25

// TargetOf returns the target of an operation against its peer, or false if none
// was set for it and this size.
func TargetOf(op string, size Size) (Target, bool) {
	small, large := size == Size{3, 5}, size == Size{67, 100}
	switch {
	case op == OpBaseMul:
		return Target{"P1", 1 / 1.2}, true
	case op == OpMul:
		return Target{"P2", 1 / 0.55}, true
	case op == OpVerify:
		return Target{"P3", 1 / 0.5}, true
	case op == OpSign && small:
		return Target{"S2", 5. / 2}, true
	case op == OpSign && large:
		return Target{"S2", 100. / 2}, true
	case op == OpSet && large:
		return Target{"S3", 8. / 2}, true
	case op == OpCoordinator && small:
		return Target{"S4", 7. / 2}, true
	case op == OpCoordinator && large:
		return Target{"S4", 16. / 2}, true
	case op == OpCoordinatorDecoded && large:
		return Target{"S5", 80. / 2}, true
	case op == OpCoordinatorChecked && large:
		return Target{"S6", 8. / 2}, true
	case op == OpNonce:
		return Target{"S7", 10. / 2}, true
	}
	return Target{}, false
}
