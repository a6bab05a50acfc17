package policy

// goldenRequest is what an operator's command reads. Fields may be added with a
// new version; a change to those here breaks commands in use.
const goldenRequest = `{
 "version": 1,
 "request": "ab00000000000000000000000000000000000000000000000000000000000000",
 "kind": "transaction",
 "network": "regtest",
 "key": "02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f",
 "txid": "43525a6d668ae6393f5285d1add84240dffe10dfb5a9c2ce5a62bf19831d018b",
 "tx": "0200000001c8ae130226d6f0707b0f295d48602745bb7d96d14532d166b2eb2312ceee7df5e903000000fdffffff029ae700000000000016001455b1316f32f95ab210169850f18583bca94a4bad20ac97000000000022512033f627c8406564280cad1e720db46c78beb027acee5c7ae649a6d20d418f3767f4010000",
 "weight": 568,
 "fee": 710,
 "leaving": 60000,
 "inputs": [
  {
   "outpoint": "f57deece1223ebb266d13245d1967dbb452760485d290f7b70f0d6260213aec8:1001",
   "amount": 10000000,
   "path": "/0/0"
  }
 ],
 "outputs": [
  {
   "address": "bcrt1q2kcnzmejl9dtyyqknpg0rpvrhj555jadv0qjw5",
   "amount": 59290
  },
  {
   "address": "bcrt1px0mz0jzqv4jzsr9dreeqmdrv0zltqfavaew84ejf5mfq6sv0xansw6drqt",
   "amount": 9940000,
   "path": "/1/2"
  }
 ]
}`
