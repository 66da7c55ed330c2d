"""What a training came to, as one page for people: in their language, readable on a phone, without a script.

    html = page(facts, language="zh-CN")

Not here: where the facts come from (`report`). Every text from outside is escaped, whatever it says; the page allows
itself nothing but its own style sheet, by its hash. (Jinja2, or we would write a template language that escapes.)
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from node.errors import Misuse
from node.paper import charts
from node.paper.facts import Facts
from node.paper.says import Says
from node.paper.scenario import Tells
from node.paper.words import LANGUAGES

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["LANGUAGES", "Facts", "page"]


def page(facts: Facts, *, language: str = "en") -> str:
    """The whole HTML document. Raises Misuse for a language there are no words for."""
    if language not in LANGUAGES:
        raise Misuse("no words in that language", clause="language", seen=language, needed=sorted(LANGUAGES))
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    template = _environment().get_template("report.html")
    words = LANGUAGES[language]
    return template.render(
        facts=facts, says=Says(facts, words), tells=Tells(facts.scenario, words) if facts.scenario else None,
        language=language, style=style, policy=policy, charts=charts,
    )  # fmt: skip


@cache
def _style() -> str:
    return files("node.paper").joinpath("templates", "report.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("node.paper"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
