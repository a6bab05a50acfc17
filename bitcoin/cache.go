package bitcoin

import "slices"

// Cache remembers what its keys derived. It is for programs that hold one key many
// times over, as a simulator of a whole federation does: each of n members, and each
// restart of one, derives the same hundred addresses. Not safe for concurrent use.
type Cache struct{ keys map[cacheName]*cachedKey }

type cacheName struct {
	network Network
	pub     [33]byte
	chain   [32]byte
}

type cachedKey struct {
	key     Key
	derived derivations
}

// derivations are outputs of one key. They grow with the addresses in use, and no
// input of a peer chooses them.
type derivations map[Path]Derived

// NewKey is the function NewKey, with a memory. A nil Cache has none.
func (c *Cache) NewKey(network Network, pub [33]byte, chainCode [32]byte) (Key, error) {
	if c == nil {
		return NewKey(network, pub, chainCode)
	}
	name := cacheName{network, pub, chainCode}
	if known := c.keys[name]; known != nil {
		return known.key, nil
	}
	key, err := NewKey(network, pub, chainCode)
	if err != nil {
		return Key{}, err
	}
	known := &cachedKey{key: key, derived: make(derivations)}
	known.key.cache = &known.derived
	if c.keys == nil {
		c.keys = make(map[cacheName]*cachedKey)
	}
	c.keys[name] = known
	return known.key, nil
}

func (d *derivations) get(p Path) (Derived, bool) {
	if d == nil {
		return Derived{}, false
	}
	out, ok := (*d)[p]
	return out.clone(), ok
}

func (d *derivations) put(out Derived) {
	if d != nil {
		(*d)[out.Path] = out.clone()
	}
}

// clone shares no memory with d: what a caller does to one answer must not change
// the next.
func (d Derived) clone() Derived {
	d.Script, d.Tweaks, d.XOnly = slices.Clone(d.Script), slices.Clone(d.Tweaks), slices.Clone(d.XOnly)
	return d
}
