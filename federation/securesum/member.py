"""One member's steps through a round. Each returns the state to be on disk *before* the message leaves the machine.

    draw           fresh secrets                        -> Keys, to publish
    deal           shares for the others                -> Bundle, to publish
    accept         the shares another member dealt      (before contributing: a bundle may vanish later)
    contribute     the masked vector                    -> lanes, to publish
    reveal         once the survivors are final         -> own seed, shares of the dropped members' scalars
    reveal_silent  where a survivor's seed is missing   -> shares of that survivor's seed
    close          secrets gone, decisions kept

Two promises hold for every sequence of calls, restarts included: one round has one contribution, one key list and one
survivor set, and never do both secrets of one member leave this state. Without them a mask comes off (Bonawitz et al.
2017). They hold for a disk that keeps what was written: a state restored from an old copy has forgotten its answers.

    state, keys = draw(context, me, rand)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from federation.errors import Refused, Untrusted
from federation.securesum.keys import Random, ShareKey, draw_scalar, pair_key, publish, sign
from federation.securesum.masks import Mask, add_keystreams
from federation.securesum.round import Address, Context, Keys, Roster, Round, keys_digest
from federation.securesum.shares import Bundle, deal_bundle
from federation.vectors import Lanes, ring


@dataclass(frozen=True)
class Held:
    """The two shares that `dealer` dealt to this member."""

    dealer: Address
    scalar_share: bytes
    seed_share: bytes


@dataclass(frozen=True)
class MemberState:
    """All a member must keep of one round; `records.dump` and `records.load` carry it over a restart. Secret."""

    context: Context
    me: Address
    scalar: bytes
    seed: bytes
    roster: Roster | None = None
    held: tuple[Held, ...] = ()
    among: bytes = b""  # digest of the keys of U1, once contributed or revealed
    contribution: bytes = b""  # SHA-256 of the SHA-256 of each stretch of the masked lanes, once made
    survivors: tuple[Address, ...] = ()  # U3, once answered
    opened_scalars: tuple[Address, ...] = ()  # whose s this member gave a share of
    opened_seeds: tuple[Address, ...] = ()  # whose b it gave, or gave a share of


@dataclass(frozen=True)
class Share:
    """One holder's share of a secret of `dealer`."""

    dealer: Address
    share: bytes


@dataclass(frozen=True)
class Reveal:
    """What `member` answers: its seed (empty: not now), shares of scalars of the dropped, of seeds of the silent."""

    member: Address
    seed: bytes = b""
    scalar_shares: tuple[Share, ...] = ()
    seed_shares: tuple[Share, ...] = ()


def draw(context: Context, me: Address, rand: Random) -> tuple[MemberState, Keys]:
    """Fresh secrets for one round: scalar s and seed b, 32 bytes each. Never use a state for another round."""
    state = MemberState(context, me, draw_scalar(rand), draw_scalar(rand))
    return state, publish(state.scalar, state.seed)


def deal(
    state: MemberState, roster: Roster, share_keys: Mapping[Address, bytes], rand: Random
) -> tuple[MemberState, Bundle]:
    """Share both secrets among the roster, sealed to each holder's HPKE public key."""
    _refuse_closed(state)
    roster.place(state.me)
    if state.roster not in (None, roster):
        raise Refused("dealt to another roster already", clause="roster", seen=roster, needed=state.roster)
    secrets = (state.scalar, state.seed)
    bundle = deal_bundle(state.context, state.me, secrets, share_keys, roster=roster, rand=rand)
    return replace(state, roster=roster), bundle


def accept(
    state: MemberState, dealer: Address, raw: bytes, key: ShareKey, *, among: Roster | None = None
) -> MemberState:
    """Open the shares in another member's bundle. Untrusted names a dealer whose bundle is not what it must be.

    A member goes on without such a dealer's shares: there are threshold others, or the round is void and says why.
    That `raw` is what the ledger says the dealer posted is for the caller to check. Until a share of that dealer has
    left, other shares take the place of earlier ones (a reorg may bring another bundle); then they are Refused.
    `among` is the dealer's roster where it is not the member's own, as in a graph.
    """
    _refuse_closed(state)
    _roster(state).place(dealer)
    bundle = Bundle.parse(raw, state.context, dealer=dealer, roster=among or _roster(state))
    held = Held(dealer, *bundle.open(state.me, key))
    if dealer in (*state.opened_scalars, *state.opened_seeds) and held not in state.held:
        raise Refused("a share of this dealer has left already", clause="held", seen="another bundle",
                      needed=f"the first one of 0x{dealer.hex()}")  # fmt: skip
    others = [other for other in state.held if other.dealer != dealer]
    return replace(state, held=tuple(sorted((*others, held), key=lambda one: one.dealer)))


def contribute(state: MemberState, keys: Mapping[Address, Keys], lanes: Lanes) -> tuple[MemberState, Lanes]:
    """y = x + G(b) + sum over v of sign(u, v) G(k_uv), in place: `lanes` is masked afterwards.

    `keys` are those of all who posted in time, U1, this member's own among them. Called again after a restart it makes
    the identical vector, or is Refused: two vectors under one mask would show their difference. Refused, too, unless
    `lanes` are of a ring: a keystream read as floats hides nothing.
    """
    _refuse_closed(state)
    _refuse_no_lanes(lanes)
    if keys.get(state.me) != publish(state.scalar, state.seed):
        raise Untrusted("the ledger shows other keys for this member than it drew", clause="own keys")
    if not keys.keys() <= set(_roster(state).members):
        raise Refused("keys of strangers", clause="roster", seen=_hex(keys), needed="members of the roster")
    _roster(state).refuse_fewer(keys)
    if state.survivors and not state.contribution:
        raise Refused("the survivors are final without this member", clause="late", seen="now", needed="before U3")
    masks = [Mask(state.seed, 1), *_pair_masks(state, keys)]
    contribution = _sha256(b"".join(add_keystreams(lanes, masks, digest=_sha256)))
    if state.contribution not in (b"", contribution):
        lanes.fill(0)  # masked in place: left as it is, a caller that goes on would hold the second vector of the mask
        raise Refused("another vector under the same masks: draw fresh keys", clause="contribution",
                      seen=contribution.hex(), needed=state.contribution.hex())  # fmt: skip
    return replace(state, among=keys_digest(keys), contribution=contribution), lanes


def reveal(state: MemberState, round: Round) -> tuple[MemberState, Reveal]:
    """The answer to final survivors: own seed if among them, shares of the scalar of each dropped member.

    A second call with the same survivors gives the same answer; with any others it is Refused for ever.
    """
    _refuse_closed(state)
    _refuse_other_round(state, round)
    survives = state.me in round.survivors
    if survives and not state.contribution:
        raise Untrusted("a contribution of this member is counted that it never made", clause="survivors")
    dropped = {other for other in round.dropped if other != state.me}
    shares = tuple(Share(one.dealer, one.scalar_share) for one in state.held if one.dealer in dropped)
    after = replace(
        state, among=keys_digest(round.keys), survivors=round.survivors,
        opened_scalars=tuple(share.dealer for share in shares),
        opened_seeds=tuple(sorted({*state.opened_seeds, *([state.me] if survives else [])})),
    )  # fmt: skip
    return _never_both(after), Reveal(state.me, state.seed if survives else b"", scalar_shares=shares)


def reveal_silent(state: MemberState, silent: Iterable[Address]) -> tuple[MemberState, Reveal]:
    """Shares of the seed of survivors that did not reveal it; a dropped member may help too."""
    _refuse_closed(state)
    asked = set(silent) - {state.me}
    if not asked <= set(state.survivors):
        raise Refused("a seed is given for survivors only, after `reveal`", clause="survivors",
                      seen=_hex(asked), needed="members of the answered U3")  # fmt: skip
    shares = tuple(Share(one.dealer, one.seed_share) for one in state.held if one.dealer in asked)
    opened = {*state.opened_seeds, *(share.dealer for share in shares)}
    after = replace(state, opened_seeds=tuple(sorted(opened)))
    return _never_both(after), Reveal(state.me, seed_shares=shares)


def close(state: MemberState) -> MemberState:
    """The state without its secrets: it answers nothing more, and still says what it answered."""
    return replace(state, scalar=b"", seed=b"", held=())


def _pair_masks(state: MemberState, keys: Mapping[Address, Keys]) -> list[Mask]:
    masks = []
    for other in sorted(keys.keys() - {state.me}):
        point = keys[other].point
        key = pair_key(state.context, mine=state.me, scalar=state.scalar, other=other, point=point)
        masks.append(Mask(key, sign(state.me, other)))
    return masks


def _roster(state: MemberState) -> Roster:
    if state.roster is None:
        raise Refused("no shares dealt yet", clause="order", seen="contribute or accept", needed="deal first")
    return state.roster


def _refuse_no_lanes(lanes: Lanes) -> None:
    whole = lanes.ndim == 1 and lanes.size > 0 and lanes.flags.c_contiguous and lanes.flags.writeable
    if lanes.dtype not in (ring(32), ring(64)) or not whole:
        raise Refused("no vector of a ring that could be masked in place", clause="lanes",
                      seen=f"{lanes.shape} {lanes.dtype}", needed="a writeable row of <u4 or <u8")  # fmt: skip


def _refuse_closed(state: MemberState) -> None:
    if not state.scalar:
        raise Refused(
            "the round is closed, its secrets are gone", clause="closed", seen="closed", needed="an open round"
        )


def _refuse_other_round(state: MemberState, round: Round) -> None:
    if (round.context, round.roster) != (state.context, state.roster):
        raise Refused("another round", clause="context", seen=round.context, needed=state.context)
    if state.among not in (b"", keys_digest(round.keys)):
        raise Refused("other keys than this member contributed among: made-up peers would know its masks",
                      clause="among", seen=keys_digest(round.keys).hex(), needed=state.among.hex())  # fmt: skip
    if state.survivors not in ((), round.survivors):
        raise Refused("answered for other survivors already", clause="survivors", seen=_hex(round.survivors),
                      needed=_hex(state.survivors))  # fmt: skip


def _never_both(state: MemberState) -> MemberState:
    both = set(state.opened_scalars) & set(state.opened_seeds)
    if both:
        raise Refused("both secrets of one member", clause="both", seen=_hex(both), needed="one")
    return state


def _sha256(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def _hex(addresses: Iterable[Address]) -> list[str]:
    return [f"0x{one.hex()}" for one in sorted(addresses)]
