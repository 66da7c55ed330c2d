"""Compile `contracts/` with py-solc-x into `node/chain/contracts/*.json`; `--check` only compares.

npm's solc is used where it is installed (`scripts/setup --dev`), else py-solc-x downloads the same version.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "node" / "chain" / "contracts"
CONTRACTS = ("Consortium", "Members", "Datasets", "Grants", "Trainings")
SOLC = "0.8.30"
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 200},
    "evmVersion": "shanghai",
    # without the hash of sources and comments, equal code is equal bytes wherever and by whatever it is built
    "metadata": {"bytecodeHash": "none"},
}
REMAPPINGS = ["@openzeppelin/=node_modules/@openzeppelin/"]
SELECTION = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"]


def compile_sources(sources: dict[str, str]) -> dict[str, Any]:
    """Standard-JSON `contracts` output for `sources` (path -> text); imports resolve in the tree and node_modules."""
    solcx = _solcx()
    job = {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in sources.items()},
        "settings": SETTINGS | {"remappings": REMAPPINGS, "outputSelection": {"*": {"*": SELECTION}}},
    }
    try:
        done = solcx.compile_standard(job, solc_version=SOLC, base_path=str(ROOT))
    except solcx.exceptions.SolcError as error:  # its text holds the whole output: show the compiler's words only
        errors = json.loads(error.stdout_data)["errors"]
        raise SystemExit("\n".join(e["formattedMessage"] for e in errors if e["severity"] == "error")) from None
    contracts: dict[str, Any] = done["contracts"]
    return contracts


def artifacts() -> dict[str, str]:
    """The JSON text of each artifact, by contract name."""
    paths = [f"contracts/{name}.sol" for name in CONTRACTS]
    built = compile_sources({path: (ROOT / path).read_text() for path in paths})
    return {name: _artifact(built[path][name]) for name, path in zip(CONTRACTS, paths, strict=True)}


def _artifact(built: dict[str, Any]) -> str:
    runtime = built["evm"]["deployedBytecode"]
    places = [place for found in runtime["immutableReferences"].values() for place in found]
    record = {
        "abi": built["abi"],
        "bytecode": "0x" + built["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + runtime["object"],
        "immutableReferences": sorted([p["start"], p["length"]] for p in places),
        "solc": {"version": SOLC} | SETTINGS,
    }
    return json.dumps(record, separators=(",", ":"), sort_keys=True) + "\n"


def _solcx() -> Any:
    npm = ROOT / "node_modules" / "solc"
    if npm.is_dir():
        home = ROOT / ".cache" / "solcx"
        home.mkdir(parents=True, exist_ok=True)
        link = home / f"solc-v{SOLC}"
        if not link.is_symlink():
            link.symlink_to(ROOT / "scripts" / "solc-npm.js")
        os.environ["SOLCX_BINARY_PATH"] = str(home)
    import solcx  # reads SOLCX_BINARY_PATH when imported

    solcx.install_solc(SOLC)
    return solcx


def main(arguments: list[str]) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    fresh = artifacts()
    if arguments == ["--check"]:
        stale = [name for name, text in fresh.items() if (OUT / f"{name}.json").read_text() != text]
        if stale:
            raise SystemExit(f"stale artifacts: {', '.join(stale)}; run scripts/abi")
        return
    for name, text in fresh.items():
        (OUT / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
