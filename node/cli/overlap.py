"""`hanse overlap`: which records two members share, without showing the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from node.cli.frame import Run, noun, verb
from node.cli.words import DatasetArg, Id, dataset_id

app = noun("overlap", "Find which records you share with another member, without showing the others.")

NumberArg = Annotated[str, Argument(metavar="OVERLAP", help="The request's id.")]
MemberArg = Annotated[str, Argument(metavar="ACCOUNT", help="The member who asks.")]
OwnArg = Annotated[Id, Argument(metavar="OWN", parser=dataset_id, help="Your own dataset with the keys.")]
_ID = "0x52ab0c6b1f5b8e0f3a7d94c2e61b7a8890d3f4c5a6b7e8d9f0a1b2c3d4e5f607"
_MEMBER = "0x8BcD5e92D62A3fCb3b95c6F4Ae11c4a6BcB38d11"


@verb(app, "ask", example="hanse overlap ask 0x52ab0c6b 0x1f77aa01 --column customer")
def ask(
    run: Run,
    dataset: DatasetArg,
    own: OwnArg,
    column: Annotated[str, Option(help="The column of your dataset with the keys.")],
    reveal: Annotated[bool, Option("--reveal", help="Ask which keys are common, not only how many.")] = False,
) -> Any:
    """Prepare a request about another member's dataset. Its owner sees it when it looks, and answers if it wants to."""
    from node import overlap

    return run.story(overlap.ask, dataset, own, column=column, reveal=reveal)


@verb(app, "waiting", example=f"hanse overlap waiting {_MEMBER}")
def waiting(run: Run, member: MemberArg) -> Any:
    """What another member asks of you. Nothing is answered by itself."""
    from node import overlap
    from node.chain.abi import checksummed

    return run.story(overlap.waiting, checksummed(member))


@verb(app, "approve", example=f"hanse overlap approve {_MEMBER} {_ID} --column client_no")
def approve(
    run: Run,
    member: MemberArg,
    overlap: NumberArg,
    column: Annotated[str, Option(help="The column of your dataset with the keys.")],
) -> Any:
    """Answer a request: the asker learns how many keys are common, or which, if that is what it asks."""
    from node import overlap as story
    from node.chain.abi import checksummed
    from node.model import Digest

    return run.story(story.approve, checksummed(member), Digest(overlap), column=column)


@verb(app, "result", example=f"hanse overlap result {_ID} --rows shared.csv")
def result(
    run: Run,
    overlap: NumberArg,
    rows: Annotated[Path | None, Option(metavar="FILE", help="Put your own rows of the common keys there.")] = None,
    keep: Annotated[list[str], Option(help="May be repeated: only these of your columns.")] = [],
) -> Any:
    """Fetch the answer and see what is common."""
    from node import overlap as story
    from node.model import Digest

    return run.story(story.result, Digest(overlap), rows=rows, keep=keep)
