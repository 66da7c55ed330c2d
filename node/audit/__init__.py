"""Audit: judge an alliance's whole history from public bytes alone.

An endpoint of the chain, the Consortium's address and gateways are enough; nothing of one's own is read, no key is
needed, nobody is asked to be believed. What does not hold is `untrusted`, with what was seen, what was needed and whose
it is; what could not be looked at is `unchecked`, with the reason; and the audit goes on with all that does not depend
on it.

    report = audit(chain, consortium, scratch_store, gateways=["https://alice.example"])
    print(render(report)); sys.exit(report.exit_code)

 1  chain        chain id and genesis block are those pinned, and the audited block is on it at the end as at the start
 2  contracts    at each directory entry is code, with the hash entered, equal to the published artifact; the contracts
                 its constructor was told (immutables) are the directory's
 3  events       each contract's running hash, folded over all its events, is its head() at the audited block, and both
                 head and code are what that block's state root holds (eth_getProof, where the endpoint offers it)
 4  rules        all events in the chain's order fold through `ledger.apply`
 5  decisions    each admission, change of state, rotation, pause and directory change after the founding carries valid
                 EIP-712 consents of enough members that were active at that moment, of the epoch, in time
 6  cards        the block of each member's card is served, hashes to the digest on chain, and is a card
 7  versions     envelope record and offer of each version are served, about this version, and offer the uses on chain
 8  sealed files every block is served and hashes to its CID; size and FLOE header are as recorded
 9  requests     the record is served, its terms hash to the id, the consumer signed them
10  grants       the terms hash to the id, owner and consumer signed them (EIP-1271 wallets asked at that block), the
                 readable agreement says the same, and the offer agreed on is the version's
11  wrapped keys the record is served, names this grant, file and recipient, and the owner signed it
12  receipts     the list is served, its receipts are the tree's leaves, signed, for grants of the signer
13  plans        plan and training keys are served; ring and seats are those on chain; a mapping is fixed by digest
14  contributions  every masked vector is served, as long as the plan says; its tree has the root and leaves posted
15  reveals      every seed hashes to the digest posted before the round
16  sums         contributions less all masks, made again bit for bit, are the sum posted
17  transcripts  each rolls over terms, all keys and vectors posted, and the earlier sums
18  models       plan and sums lead to the model made final; it is served
19  budgets      epsilon spent on a version is within its budget, and what the contract counts
20  readability  no calldata and no log holds a member's name or a run of readable text

Not judged: the chain's own consensus and timestamps (name a block hash you know: `block`), what is inside sealed files,
manifests and mappings (private by design), whether contributions are truthful, and whether a plan's noise is worth its
epsilon.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from node.audit import history
from node.audit.blobs import Blobs
from node.audit.catalog import check_catalog
from node.audit.consents import check_consents
from node.audit.readable import check_readable
from node.audit.report import NAMES, About, Check, Finding, Report, Sheet, render
from node.audit.rounds import check_trainings
from node.chain.client import Chain
from node.model import Address, Block, Directory
from node.store import Store

__all__ = ["Check", "Finding", "Report", "audit", "render"]

SECONDS = 3600.0
_STEPS = 6

Progress = Callable[[str, int, int | None], None]


def audit(
    chain: Chain,
    consortium: Directory | Address,
    store: Store,
    *,
    gateways: Sequence[str],
    block: int | None = None,
    sample: int | None = None,
    seconds: float = SECONDS,
    allow_loopback: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make all checks as of `block` (the newest final one), fetching into `store`: an empty one, where it is to show
    that gateways serve everything.

    A Directory pins chain id and genesis, an address pins nothing. `sample`: how many sealed files to fetch, None for
    all. `seconds`: for all fetching. Raises Retry where the chain does not answer, NotFound where it has no such block;
    all else is in the report.
    """
    began, started = time.monotonic(), int(time.time())
    at = chain.block(chain.final() if block is None else block)
    sheet = Sheet()
    blobs = Blobs(store, gateways, until=began + seconds, allow_loopback=allow_loopback)
    _make_checks(sheet, chain, consortium, blobs, at=at, sample=sample, tell=progress or _silent)
    address = consortium.consortium if isinstance(consortium, Directory) else consortium
    about = About(chain.chain_id, chain.genesis, address, at, started, round(time.monotonic() - began, 3))
    return sheet.report(about)


def _make_checks(
    sheet: Sheet, chain: Chain, consortium: Directory | Address, blobs: Blobs, *, at: Block, sample: int | None,
    tell: Progress,
) -> None:  # fmt: skip
    with sheet.check(1, f"chain {chain.chain_id}") as judged:
        history.check_chain(chain, consortium)
    if judged.failed:
        return _leave(sheet, 2, "this is another chain")
    directory = history.directory_at(sheet, chain, consortium, at)
    if directory is None:
        return _leave(sheet, 3, "there is no alliance to audit")
    tell("events", 0, _STEPS)
    told = history.read(sheet, chain, directory, at)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("decisions", lambda: check_consents(sheet, told)),
        ("catalog", lambda: check_catalog(sheet, told, blobs, sample=sample)),
        ("trainings", lambda: check_trainings(sheet, told, blobs)),
        ("readability", lambda: check_readable(sheet, told, blobs)),
        ("block", lambda: history.check_still(sheet, told)),
    ]
    for done, (name, step) in enumerate(steps, start=1):
        tell(name, done, _STEPS)
        step()
    tell("done", _STEPS, _STEPS)


def _leave(sheet: Sheet, first: int, because: str) -> None:
    """Nothing from check `first` on can be made."""
    for number in range(first, len(NAMES) + 1):
        sheet.leave(number, "everything", because, clause=f"check {first - 1}")


def _silent(label: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""
