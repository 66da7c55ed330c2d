"""A real PostgreSQL server for the tests, from Debian's binaries, on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from uuid import uuid4

MISSING = "PostgreSQL left out: no initdb and pg_ctl under /usr/lib/postgresql or on PATH"


def binaries() -> Path | None:
    found = shutil.which("pg_ctl") or next(iter(sorted(glob("/usr/lib/postgresql/*/bin/pg_ctl"), reverse=True)), None)
    return Path(found).parent if found and (Path(found).parent / "initdb").exists() else None


@contextmanager
def server() -> Iterator[str]:
    """URL of a running server's first database. PostgreSQL refuses root, so then it runs as nobody."""
    found = binaries()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="hanse-pg-"))
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    quiet = {"user": user, "check": True, "stdout": subprocess.DEVNULL, "cwd": folder, "timeout": 60}
    control = [found / "pg_ctl", "-D", folder / "cluster", "-w", "-t", "50", "-l", folder / "log"]
    try:
        subprocess.run(
            [found / "initdb", "-D", folder / "cluster", "-U", "hanse", "-A", "trust", "-N", "-E", "UTF8"], **quiet
        )
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=50"
        subprocess.run([*control, "-o", options, "start"], **quiet)
        yield f"postgresql://hanse@/postgres?host={folder}"
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh(url: str) -> str:
    """URL of a new empty database on that server."""
    import psycopg

    name = f"t{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")
