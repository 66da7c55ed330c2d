"""A page as PDF, by the Chromium of this machine, headless. The one outside thing here is that program.

print_pdf(html, Path("report.pdf"))

It gets a profile of its own that is thrown away, no network, and a deadline. PDF needs Chromium: Refused says so.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from node.errors import Refused, Retry

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 120.0
OFFLINE = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer",
)  # fmt: skip


def print_pdf(html: str, path: Path) -> None:
    """Raises Refused where there is no Chromium, Retry where it does not come to an end or writes nothing."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise Refused("a PDF needs Chromium on this machine", clause="report", seen="none found",
                      needed=NAMES[0], hint="install it, or write .html and print it from a browser")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        page, printed = Path(folder) / "page.html", Path(folder) / "page.pdf"
        page.write_text(html, encoding="utf-8")
        command = [program, *OFFLINE, *_as_root(), f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}",
                   page.as_uri()]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
            shutil.move(printed, path)
        except subprocess.TimeoutExpired as exc:
            raise Retry("Chromium does not come to an end", clause="report", seen=f"{SECONDS:g} s") from exc
        except (subprocess.CalledProcessError, OSError) as exc:
            raise Retry(f"Chromium wrote no PDF: {exc}", clause="report", seen=program) from exc


def _as_root() -> tuple[str, ...]:
    """Chromium's sandbox does not run under root, as in a container; the page has no script and no network."""
    import os

    return ("--no-sandbox",) if os.geteuid() == 0 else ()
