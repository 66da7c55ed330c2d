"""`hanse scenario`: each a whole alliance from one command, and what learning together came to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from node.cli.demo import told
from node.cli.frame import Run, noun, verb
from node.cli.output import Outcome
from node.errors import Misuse

app = noun("scenario", "Real records by site: share, learn together, audit, and see whether it was worth it.")


@verb(app, "list", example="hanse scenario list")
def listed(run: Run) -> Any:
    """The scenarios there are, with their questions."""
    from node.demo import SCENARIOS

    return [
        {"name": one.name, "question": one.question, "members": len(one.sites), "site": one.site,
         "algorithm": one.algorithm, "source": one.source}
        for one in SCENARIOS.values()
    ]  # fmt: skip


@verb(app, "run", example="hanse scenario run finance --facts facts.json --report report.html")
def run_(
    run: Run,
    name: Annotated[str, Argument(help="One of `hanse scenario list`.")],
    keep: Annotated[bool, Option("--keep", help="Leave the chain and the nodes running, and say where.")] = False,
    folder: Annotated[Path | None, Option(help="Where the nodes' homes go; a temporary folder unless told.")] = None,
    facts: Annotated[Path | None, Option(metavar="FILE", help="Write what a report needs, one page of JSON.")] = None,
    report: Annotated[
        Path | None, Option(metavar="FILE", help="Write the first site's report with a page on all sites: .html, .pdf.")
    ] = None,
    language: Annotated[Literal["en", "zh-CN"], Option(help="The report's language.")] = "en",
) -> Any:
    """The story of `hanse demo` on the records of one domain, and federated against pooled against each alone.

    Exit code 0 only if every part of it held."""
    from node.demo import named

    page = _page(report, language) if report is not None else None
    document = told(named(name), keep=keep, folder=folder, page=page)
    if facts is not None:
        facts.write_text(json.dumps(document["facts"], indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Outcome(document, _rendered(document["facts"]), 0 if document["held"] else 7)


def _page(report: Path, language: str) -> Any:
    """Refused now, rather than when the whole story has been told."""
    from node.demo.pages import Page

    if report.suffix not in (".html", ".pdf") or not report.absolute().parent.is_dir():
        raise Misuse("the report cannot be written there", clause="report", seen=report,
                     needed="a name in .html or .pdf, in a folder that is there")  # fmt: skip
    return Page(report, language)


def _rendered(facts: dict[str, Any]) -> str:
    """The closing tables: the scores by site, and what held."""
    import io
    import sys

    from rich.console import Console
    from rich.table import Table

    found, unit = facts["comparison"], facts["decision"]["unit"]
    console = Console(record=True, file=io.StringIO(), width=min(shutil.get_terminal_size().columns, 110))
    table = Table(title=f"{facts['question']}  Score: {found['in_words']}", title_justify="left")
    for head in (facts["site"], "learnt from", "held out", "federated", "pooled", "alone"):
        table.add_column(head, justify="left" if head == facts["site"] else "right")
    for line in (*found["sites"], found["mean"], found["everybody"]):
        scores = (_score(line[kind]) for kind in ("federated", "pooled", "alone"))
        table.add_row(line["site"], f"{line['learnt']:,}", f"{line['records']:,}", *scores)
    console.print(table)
    cost, proved = found["everybody"]["cost"], facts["proved"]
    costs = ", ".join(f"{name.replace('_', ' ')} {cost[name]:,.1f}" for name in ("federated", "alone", "no_model"))
    lines = (
        *((f"{one['site']}'s sensors", _stream(one)) for one in facts["collected"]),
        ("verdict", found["verdict"]),
        (f"{unit} per 100 decisions", costs),
        ("federated = pooled", "to the last bit" if proved["federated_equals_pooled"] else "no"),
        ("one model", f"attested by {proved['attested']} of {len(facts['sites'])} {facts['site']} nodes"),
        ("audit", f"{proved['audit']['checks']} checks, {proved['audit']['untrusted']} untrusted"),
        ("one bit flipped", "found" if proved["tamper_detected"] else "NOT FOUND"),
        ("took", f"{facts['seconds']} s"),
        ("all of it held", "yes" if facts["held"] else "NO"),
    )
    closing = Table(show_header=False)
    for line in lines:
        closing.add_row(*line)
    console.print(closing)
    return console.export_text(styles=sys.stdout.isatty())


def _stream(one: dict[str, Any]) -> str:
    """How much of a site's stream there was, and where it falls shortest of what it should be."""
    name, dimension, share = min(
        ((name, dimension, share) for name, shares in one["quality"].items() for dimension, share in shares.items()),
        key=lambda found: found[2],
    )
    outside = one["left_out"]["outside"]
    return (f"{one['messages']:,} messages over MQTT, {one['rows']:,} rows; {outside} readings cannot be; "
            f"{dimension} of {name} {100 * share:.1f} %")  # fmt: skip


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
