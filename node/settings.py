"""A node's home folder and its settings file, `hanse.toml`.

    settings = Settings.load(home)          # NotFound where `hanse node init` has not been run
    settings.save()

Nothing secret is in it: keys are under `keys/`, sealed; the passphrase is never stored.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from node.errors import Misuse, NotFound, Retry

FILE = "hanse.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """`listen`: host:port of the node's HTTP server. `endpoints`: the base URLs that its card shows to others.
    `peers`: gateways to ask before any card is known. `store`: `embedded` or the URL of a Kubo RPC. `depth`: blocks
    until a block counts as final where the chain has no tag for it. `poll`: seconds between looks at the chain."""

    home: Path
    name: str
    rpc: str = "http://127.0.0.1:8545"
    consortium: str = ""
    listen: str = "127.0.0.1:8400"
    endpoints: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    store: str = "embedded"
    database: str = ""
    profile: str = "production"
    depth: int = 0
    poll: float = 1.0

    @classmethod
    def load(cls, home: Path) -> Settings:
        """Raises NotFound without a settings file, Misuse for one that cannot be read or has unknown names."""
        path = home / FILE
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as exc:
            raise NotFound(
                "there is no node in this folder", clause="home", seen=home, hint="run `hanse node init` first"
            ) from exc
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise Misuse(f"the settings cannot be read: {exc}", clause="settings", seen=path) from exc
        return cls(home=home, **_checked(table, path))

    def save(self) -> None:
        """Write the file whole or not at all."""
        lines = [f"{name} = {_toml(value)}" for name, value in asdict(self).items() if name != "home"]
        write(self.home / FILE, ("\n".join(lines) + "\n").encode())

    @property
    def development(self) -> bool:
        """Whether loopback endpoints are allowed."""
        return self.profile == "development"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home / 'node.sqlite'}"


def write(path: Path, data: bytes) -> None:
    """A file of the home, whole or not at all. Raises Retry where the disk fails."""
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(data)
        os.replace(draft, path)
    except OSError as exc:
        raise Retry(f"the file cannot be written: {exc.strerror}", clause="disk", seen=path) from exc


def _checked(table: dict[str, Any], path: Path) -> dict[str, Any]:
    known = {f.name for f in fields(Settings)} - {"home"}
    unknown = sorted(set(table) - known)
    if unknown:
        raise Misuse("unknown settings", clause="settings", seen=", ".join(unknown), needed=", ".join(sorted(known)))
    if "name" not in table:
        raise Misuse("the node has no name", clause="settings", seen=path, needed='name = "..."')
    for field in fields(Settings):
        if field.name in table and not _fits(field.name, table[field.name]):
            raise Misuse("a setting of the wrong kind", clause="settings", seen=f"{field.name} = {table[field.name]!r}",
                         needed=str(field.type))  # fmt: skip
    if table.get("profile", "production") not in ("production", "development"):
        raise Misuse("unknown profile", clause="profile", seen=table["profile"], needed="production or development")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def _fits(name: str, value: Any) -> bool:
    """Whether a value is of its setting's kind, as the default shows it."""
    if name in ("endpoints", "peers"):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if name in ("depth", "poll"):
        number = isinstance(value, int if name == "depth" else (int, float)) and not isinstance(value, bool)
        return number and 0 <= value < 1e6
    return isinstance(value, str)


def _toml(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):  # TOML's basic strings are JSON's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)
