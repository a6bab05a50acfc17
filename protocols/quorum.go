package protocols

// The arithmetic of quorums. All thresholds of the project are computed here,
// in integers.

// MaxMembers is the largest federation: beyond 131 signers the security of
// FROST against adaptive corruption is not proven, and BIP 445 caps n at 128.
const MaxMembers = 128

// MaxFaulty is f, the number of Byzantine members that broadcast among n
// members tolerates: the largest f with n >= 3f+1 (Bracha 1987).
func MaxFaulty(n int) int { return (n - 1) / 3 }

// EchoQuorum is the number of ECHOs for one value that justify READY: more than
// (n+f)/2, so that any two such quorums share an honest member.
func EchoQuorum(n int) int { return (n+MaxFaulty(n))/2 + 1 }

// ReadyAmplification is the number of READYs that justify one's own: f+1, so
// that at least one of them is honest.
func ReadyAmplification(n int) int { return MaxFaulty(n) + 1 }

// DeliveryQuorum is the number of READYs that justify delivery: 2f+1, of which
// f+1 are honest and will bring every other honest member to READY.
func DeliveryQuorum(n int) int { return 2*MaxFaulty(n) + 1 }

// DefaultThreshold is t unless the charter says otherwise: more than two
// thirds of the members.
func DefaultThreshold(n int) int { return 2*n/3 + 1 }
