package bitcoin

// What these were made from is in kit_test.go. They change only if addresses or
// transactions change, which would strand coins or split members: never.
const (
	goldenXpub       = "tpubD6NzVbkrYhZ4XR5iqpsibXPyo3mwXm28YmfKzZ5Mu1XMGzkQjbALE9exTVkLApKUMWe9yqwELGaTPKpmxXmCArjC9XNBupd59Z2TpVcz9e1"
	goldenDescriptor = "tr(" + goldenXpub + "/<0;1>/*)#x75xqpes"
	goldenAddress    = "bcrt1pzvvw5qjjcemgh9vn0wfqsagjttnpe8wtpmkkkpkhr540jwfsdjdsanz6r0"
	goldenTx         = "fce015375b04477471029183c41c7f5a809f8afd530631ab0a0d970d00dfe91b"
	goldenListID     = "bf51284de2b894fd5b098612492454d460cd0e0cecfd782ae6ad389f42ccc217"
)
