"""What every command shares: its global options, its home, its passphrase, how it shows what comes out, how it fails.

A command is a function whose first argument is a `Run` and which returns what is to be shown; it decides nothing.

    app = noun("dataset", "Publish tables and files, and see what others have published.")

    @verb(app, "retire", example="hanse dataset retire 0x52ab")
    def retire(run: Run, dataset: Dataset) -> Any:
        '''Offer a dataset no longer.'''
        from node import publish
        return run.story(publish.retire, dataset)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.exceptions import TyperException

from node.cli.words import Id
from node.errors import HanseError, Misuse

if TYPE_CHECKING:
    from node.settings import Settings
    from node.wiring import Node

HOME = "HANSE_HOME"
PASSPHRASE_FILE = "HANSE_PASSPHRASE_FILE"  # noqa: S105  (the name of a variable)
Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one command."""

    home: Path
    json: bool
    passphrase_file: Path | None
    passphrase_fd: int | None

    def settings(self) -> Settings:
        from node.settings import Settings

        return Settings.load(self.home)

    def passphrase(self, *, new: bool = False) -> bytes:
        """From the file or descriptor named, else asked for (twice for a `new` one) where somebody sits at a terminal.

        Raises Misuse."""
        from node.keyring import passphrase_from

        if self.passphrase_fd is not None:
            return passphrase_from(fd=self.passphrase_fd)
        if self.passphrase_file is None and sys.stdin.isatty():
            return _ask(twice=new)
        return passphrase_from(file=self.passphrase_file)

    @contextmanager
    def node(self, *, keys: bool = False) -> Iterator[Node]:
        """The node of this home, brought up to the head of its chain; with `keys`, opened by its passphrase."""
        from node.wiring import Node

        with Node.open(self.home, passphrase=self.passphrase() if keys else None) as node:
            yield node

    def story(self, story: Callable[..., Shown], *args: Any, **kwargs: Any) -> Shown:
        """Run a story with the open node as its first argument and ids for what was typed; shows its progress if it
        reports any."""
        from node.cli.output import progress

        with self.node(keys=True) as node, progress() as report:
            args = tuple(_whole(node, value) for value in args)
            kwargs = {name: _whole(node, value) for name, value in kwargs.items()}
            if "progress" in inspect.signature(story).parameters:
                kwargs["progress"] = report
            return story(node, *args, **kwargs)


def _whole(node: Node, value: Any) -> Any:
    return value.of(node.ledger) if isinstance(value, Id) else value


_EVERYWHERE = "Options of every command"


def _option(kind: Any, default: Any, *names: str, words: str, envvar: str | None = None) -> inspect.Parameter:
    option = typer.Option(*names, help=words, envvar=envvar, rich_help_panel=_EVERYWHERE)
    name = names[0].removeprefix("--").replace("-", "_")
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


_OPTIONS = (
    _option(Path | None, None, "--home", words="The node's folder.", envvar=HOME),
    _option(bool, False, "--json", words="Print one JSON document, in the API's shape."),
    _option(
        Path | None,
        None,
        "--passphrase-file",
        words="The passphrase is this file's first line.",
        envvar=PASSPHRASE_FILE,
    ),
    _option(int | None, None, "--passphrase-fd", words="Read the passphrase from this open descriptor."),
    _option(bool, False, "--debug", words="Show where an unexpected error comes from."),
)


def noun(name: str, about: str) -> typer.Typer:
    """A group of commands: `hanse NAME verb`."""
    return typer.Typer(name=name, help=about, no_args_is_help=True, rich_markup_mode="rich")


def verb(app: typer.Typer, name: str, *, example: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register `function(run, ...)` as a command with the options of every command; what it returns is shown."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def command(**given: Any) -> None:
            from node.cli.output import Outcome, show

            run = _run(**{option.name: given.pop(option.name) for option in _OPTIONS})
            result = function(run, **given)
            if result is not None:
                show(result, json=run.json)
            if isinstance(result, Outcome):
                raise typer.Exit(result.exit_code)

        named = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + list(_OPTIONS)
        command.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in named}
        app.command(name, help=inspect.getdoc(function), epilog=f"Example: [cyan]{example}[/cyan]")(command)
        return function

    return register


def _run(*, home: Path | None, json: bool, passphrase_file: Path | None, passphrase_fd: int | None, debug: bool) -> Run:
    return Run((home or default_home()).absolute(), json, passphrase_file, passphrase_fd)


def default_home() -> Path:
    """Where a node lives unless told otherwise."""
    from platformdirs import user_data_path

    return user_data_path("hanse", appauthor=False)


def misused(error: TyperException, *, json: bool) -> int:
    """Arguments that the command line itself cannot read."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return Misuse.exit_code  # its help has been printed
    usage = Misuse(error.format_message(), hint=_try_help(error))
    return fail(usage, json=json)


def unexpected(error: Exception, *, json: bool) -> int:
    """A defect of ours."""
    kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hint = "run it again with --debug and report what it prints"
    return fail(HanseError(f"unexpected: {kind}", hint=hint), json=json)


def fail(error: HanseError, *, json: bool) -> int:
    """Show an error: words on stderr, or with `json` the API's record on stdout. Returns the exit code."""
    from node.cli.output import print_json

    if json:
        print_json({"error": error.record()})
    else:
        record = error.record()
        lines = [f"hanse: {record['message']}"]
        lines += [f"  {name}: {record[name]}" for name in ("clause", "seen", "needed", "hint") if name in record]
        sys.stderr.write("\n".join(lines) + "\n")
    return error.exit_code


def _try_help(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path if context else 'hanse'} --help` shows how"


def _ask(*, twice: bool) -> bytes:
    from getpass import getpass

    passphrase = getpass("Passphrase: ", stream=sys.stderr)
    if twice and getpass("The same again: ", stream=sys.stderr) != passphrase:
        raise Misuse("the two passphrases differ", clause="passphrase")
    if not passphrase:
        raise Misuse("an empty passphrase protects nothing", clause="passphrase")
    return passphrase.encode()
