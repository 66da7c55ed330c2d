"""What the documents say, as a program reads it: their code blocks, the commands in them, their links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = (
    *READMES,
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
)


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def section(text: str, number: int) -> str:
    """The text under the page's second-level heading of that number, from 0: the same place in every language."""
    return re.split(r"^## .*$", text, flags=re.MULTILINE)[number + 1]


def lines(block: str) -> list[str]:
    """A shell block's commands without comments, continued lines joined."""
    joined = block.replace("\\\n", " ")
    return [
        " ".join(shlex.split(line, comments=True)) for line in joined.splitlines() if shlex.split(line, comments=True)
    ]


def commands(text: str) -> list[list[str]]:
    """Every `hanse ...` of the shell blocks and of the text, as words."""
    shell = "\n".join(blocks(text, "sh")).replace("\\\n", " ").replace("$(", "\n").replace(")", "\n")
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    spoken = re.findall(r"`(hanse [^`]+)`", rest)
    written = [line.strip() for line in shell.splitlines() if line.strip().startswith("hanse ")]
    return [_words(line) for line in (*written, *spoken)]


def _words(line: str) -> list[str]:
    """Up to what belongs to the shell: pipes, redirections, the background."""
    words = shlex.split(line, comments=True)
    end = next((i for i, word in enumerate(words) if word in {"|", "||", "&", "2>"}), len(words))
    return words[1:end]


def links(text: str) -> list[str]:
    """Targets of links and pictures, code left out."""
    bare = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", bare)


def anchors(text: str) -> set[str]:
    """The page's headings as GitHub names them."""
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
