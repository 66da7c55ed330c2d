"""`hanse dataset`: publish, and see what others have published."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from typer import Option

from node.cli.frame import Run, noun, verb
from node.cli.words import DatasetArg, Id, Purposes, Source, Uses, dataset_id
from node.purposes import PURPOSES

app = noun("dataset", "Publish tables and files, and see what others have published.")


@verb(app, "publish", example='hanse dataset publish mill.csv --title "Mill 7, October" --purpose research --days 90')
def publish(
    run: Run,
    source: Source,
    title: Annotated[str, Option(help="What members will read; nothing of it goes on chain.", show_default=False)],
    description: Annotated[str, Option(help="More about it, for members only.")] = "",
    use: Uses = ["read", "train"],
    purpose: Purposes = list(PURPOSES),
    days: Annotated[int, Option(help="The longest period offered.", min=1, max=36_500)] = 365,
    count: Annotated[int, Option(help="The most openings offered; 0: no limit.", min=0)] = 0,
    budget: Annotated[int, Option(help="Thousandths of epsilon that trainings may spend.", min=0)] = 0,
    dataset: Annotated[
        Id | None, Option(metavar="DATASET", parser=dataset_id, help="Publish the next version of this one.")
    ] = None,
    dag_profile: Annotated[
        Literal["unixfs-v1-2025", "kubo-256k"], Option(help="How the sealed file is cut into IPFS blocks.")
    ] = "unixfs-v1-2025",
) -> Any:
    """Seal a file, store it, and commit to it on chain. Running it again goes on where it stopped."""
    from node import publish as story
    from node.policy import Offer, bits
    from node.show import uses

    bits(purpose)
    offer = Offer(uses(use), tuple(p for p in PURPOSES if p in purpose), days, count)
    return run.story(
        story.publish,
        source,
        title=title,
        description=description,
        offer=offer,
        budget=budget,
        dataset=dataset,
        profile=dag_profile,
    )


@verb(app, "list", example="hanse dataset list --mine")
def datasets(run: Run, mine: Annotated[bool, Option("--mine", help="Only this member's own.")] = False) -> Any:
    """All datasets of the alliance."""
    from node import show

    with run.node() as node:
        found = node.ledger.datasets.values()
        return [show.dataset(dataset) for dataset in found if not mine or dataset.owner == node.me]


@verb(app, "show", example="hanse dataset show 0x52ab0c6b")
def dataset(run: Run, dataset: DatasetArg) -> Any:
    """One dataset with its versions, as the chain has them."""
    from node import show

    with run.node() as node:
        return show.history(node.ledger, node.ledger.datasets[dataset.of(node.ledger)])


@verb(app, "retire", example="hanse dataset retire 0x52ab0c6b")
def retire(run: Run, dataset: DatasetArg) -> Any:
    """Offer a dataset no longer; what was granted stays as granted."""
    from node import publish

    return run.story(publish.retire, dataset)


@verb(app, "describe", example="hanse dataset describe 0x52ab0c6b --version 2")
def describe(
    run: Run,
    dataset: DatasetArg,
    version: Annotated[int | None, Option(min=1, help="Which version; the current one unless told.")] = None,
) -> Any:
    """What a version is about: title, rows, columns. From its owner's node, which tells members only."""
    with run.node(keys=True) as node:
        found = node.ledger.datasets[dataset.of(node.ledger)]
        return node.manifest(found.id, version or found.current.number)


@verb(app, "verify", example="hanse dataset verify 0x52ab0c6b")
def verify(run: Run, dataset: DatasetArg) -> Any:
    """Read and hash again every sealed block of this node's copy of the current version."""
    from node.sealed import envelope_of
    from node.store import Cid

    with run.node() as node:
        found = node.ledger.datasets[dataset.of(node.ledger)]
        envelope = envelope_of(node, found.id, found.current.number)
        stored = node.store.verify(Cid.parse(envelope.cid))
        return {"dataset": found.id, "version": envelope.version, "cid": envelope.cid, "size": stored.size,
                "blocks": stored.blocks}  # fmt: skip
