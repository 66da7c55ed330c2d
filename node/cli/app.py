"""All nouns of the command line under one name."""

from __future__ import annotations

import typer

from node.cli import (
    audit,
    chain,
    collect,
    dataset,
    demo,
    grant,
    mapping,
    member,
    node,
    overlap,
    request,
    scenario,
    store,
    token,
    training,
)

EXIT_CODES = """Exit codes
  0 done            3 not found   6 unavailable, try again        130 interrupted
  1 unexpected      4 refused     7 verification failed
  2 usage           5 conflict    8 not final in time, run again

Data goes to stdout: a table, tab-separated lines in a pipe, one document with --json.
Everything else goes to stderr. NO_COLOR is honoured."""

app = typer.Typer(
    name="hanse",
    help="The node an industry alliance runs to share data under contract, learn together, and be audited by anyone.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for noun in (
    node, chain, member, collect, dataset, request, grant, mapping, overlap, training, audit, scenario, token, store,
):  # fmt: skip
    app.add_typer(noun.app)
demo.register(app)
