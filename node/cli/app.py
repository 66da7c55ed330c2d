"""All nouns of the command line under one name."""

from __future__ import annotations

import typer

from node.cli import dataset, grant, member, node, request, store, token

EXIT_CODES = """Exit codes: 0 done, 1 unexpected, 2 usage, 3 not found, 4 refused, 5 conflict, 6 unavailable (try again),
7 verification failed, 8 not final in time (run again), 130 interrupted.

Data goes to stdout (a table, tab-separated lines in a pipe, one document with --json), everything else to stderr."""

app = typer.Typer(
    name="hanse",
    help="The node an industry alliance runs to share data under contract, learn together, and be audited by anyone.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for noun in (node, member, dataset, request, grant, token, store):
    app.add_typer(noun.app)
