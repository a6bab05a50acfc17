package p2p

import (
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// gater refuses identities that are not Ed25519. It is no allow-list of members:
// applicants, the DHT and dial-backs of reachability tests come from peers that
// are on no list. Members are told from strangers per stream, in Host.handle.
type gater struct{}

func (gater) InterceptPeerDial(id peer.ID) bool                               { return isEd25519(id) }
func (gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool                    { return true }
func (gater) InterceptAccept(network.ConnMultiaddrs) bool                     { return true }
func (gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

func (gater) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return isEd25519(id)
}
