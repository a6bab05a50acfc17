// Package echo is Bracha's reliable broadcast: each member can send payloads to all,
// and either every honest member delivers the same payload or none delivers any.
//
// # Model
//
// n members, of which up to f = (n-1)/3 are malicious (below n = 4 none). Channels
// are authenticated and, by package acked and Resync, eventually deliver between
// honest members; there is no bound on delay. Honest members may crash and restart
// at any moment with their disk intact. An instance is a pair (sender, topic); a
// topic is used once.
//
//   - Agreement: no two honest members deliver different payloads.
//   - Validity: what an honest sender broadcasts, every honest member delivers.
//   - Totality: if one honest member delivers, all do.
//   - Integrity: at most once per instance and process, and only what the sender
//     signed.
//
// # Messages
//
//	SEND     the payload, signed by its sender: federation, sender, topic and hash
//	ECHO     the hash, once: "this came from the sender, and I store it"
//	READY    the hash, once: "nobody honest will deliver anything else"
//	PULL     asks for a payload
//	PAYLOAD  answers PULL
//
// ECHO and READY carry the sender's signature. So nobody can open an instance in
// another's name, and two hashes for one topic, wherever they come from, are a proof
// of equivocation that anyone can check with VerifyEquivocation. A signature is
// verified once per hash, not once per vote. The comment of message in wire.go has
// the exact forms.
//
// # States of an instance
//
//	(none) --SEND--> echoed              stores the payload, says ECHO
//	any --(n+f)/2+1 ECHOs--> ready       says READY, once
//	any --f+1 READYs--> ready            says READY, once
//	ready --2f+1 READYs, payload here--> delivered
//	ready --2f+1 READYs, payload missing--> pulling
//	pulling --SEND or PAYLOAD with the hash--> delivered
//	pulling --silence for PullAfter--> pulling from the next member that said ECHO
//	any --Forget--> (gone; Config.Admit rejects the topic)
//
// Payloads travel once; votes carry hashes. Several votes for one member leave in
// one frame, packed by package acked, so n broadcasts at once cost about 3n(n-1)
// frames rather than 2n^3.
//
// # What is persisted, and why
//
// Before the message that tells of it: the own payload (else a crash could make us
// sign another), own ECHO and own READY (else we could vote twice, and two crashed
// members would break agreement), the payload that was echoed (else all copies could
// vanish after READY) and the delivered one. Votes of others are not persisted: a
// restart is a new boot to package acked, its peers call Resync, and the votes come
// again. Restore then says own votes again, too, and repeats Delivered.
//
// # What is not guaranteed
//
// Order between instances. Delivery from a malicious sender. Anything if more than f
// members are malicious, except that a signature still proves who sent what.
// Totality for instances beyond the limits of Config, which only a sender reaches
// that has more live broadcasts than allowed; and for topics that Config.Admit
// rejects, or that some members forget before all have delivered.
//
// Source: G. Bracha, Asynchronous Byzantine agreement protocols, Information and
// Computation 75 (1987), the broadcast primitive. Signatures in votes, hashes instead
// of payloads, and PULL are additions; they leave Bracha's rules as they are.
package echo
