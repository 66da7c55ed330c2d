"""The verifiable secure sum: n members hold integer vectors, all learn the sum over the survivors and nothing else.

    round       what everybody knows: place, roster, published keys, survivors
    keys        what a member draws for a round, what two members share
    shares      secrets split among the roster, sealed in one document a member
    masks       the ChaCha20 keystream added to vectors, chunk by chunk
    graph       who masks with whom where a round is too large for all pairs
    member      one member's steps, (state, message, rand) -> (state, message)
    aggregate   the sum from public bytes, by anybody

It fixes no order of arrival and knows no deadlines: who is in (U1), who stayed (U3) and when is for a ledger to say,
and every step takes that as an argument. `federation.simulate` shows all steps in a row.
What it does not give: truthful inputs (a member may submit nonsense within its bounds), a sum over fewer than three,
secrecy of kept contributions against a later quantum computer (pair masks rest on secp256k1), rosters over 64 but
through a `Graph` (on chain every member masks with every other).
Sources: Bonawitz et al. 2017 (masks, dropouts), Bell et al. 2020 (graphs), RFC 8439 (ChaCha20),
RFC 9180 (HPKE), Shamir 1979.
"""

from federation.securesum.aggregate import Secrets, aggregate, check_scalar, check_seed, recover
from federation.securesum.graph import Graph, degree_for
from federation.securesum.keys import ShareKey, pair_key
from federation.securesum.masks import Mask, add_keystreams
from federation.securesum.member import (
    Held,
    MemberState,
    Reveal,
    Share,
    accept,
    close,
    contribute,
    deal,
    draw,
    reveal,
    reveal_silent,
)
from federation.securesum.round import Address, Context, Keys, Roster, Round
from federation.securesum.shares import Bundle

__all__ = [
    "Address",
    "Bundle",
    "Context",
    "Graph",
    "Held",
    "Keys",
    "Mask",
    "MemberState",
    "Reveal",
    "Roster",
    "Round",
    "Secrets",
    "Share",
    "ShareKey",
    "accept",
    "add_keystreams",
    "aggregate",
    "check_scalar",
    "check_seed",
    "close",
    "contribute",
    "deal",
    "degree_for",
    "draw",
    "pair_key",
    "recover",
    "reveal",
    "reveal_silent",
]
