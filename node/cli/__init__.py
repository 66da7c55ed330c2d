"""The command line: `hanse NOUN VERB`. It decides nothing; every command runs one story and shows its record.

    main()                                   # the console script
    code = run(["dataset", "list", "--json"])

Nothing heavy is imported before a command needs it: `hanse --help` answers in well under 0.6 s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "run"]


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code and raises nothing but with `--debug`."""
    from typer.exceptions import TyperException

    from node.cli.app import app
    from node.cli.frame import fail, misused, unexpected
    from node.errors import HanseError

    json = "--json" in arguments
    try:
        return int(app(list(arguments), prog_name="hanse", standalone_mode=False) or 0)
    except HanseError as error:
        return fail(error, json=json)
    except TyperException as error:
        return misused(error, json=json)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone: nobody is left to be told
        return 0
    except Exception as error:  # the last line of defence: one line for people, the trace on request
        if "--debug" in arguments:
            raise
        return unexpected(error, json=json)
