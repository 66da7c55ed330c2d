"""forge's fuzzing and invariants (tests/forge), run by the everyday tests with few runs."""

import os
import platform
import subprocess

import pytest
from conftest import npm
from local_chain import ROOT


@pytest.mark.outside
def test_fuzzing_and_invariants_hold():
    system = {"Linux": "linux", "Darwin": "darwin"}[platform.system()]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    npm(f"@foundry-rs/forge-{system}-{machine}")
    forge = ROOT / "node_modules" / "@foundry-rs" / f"forge-{system}-{machine}" / "bin" / "forge"
    environment = os.environ | {"FOUNDRY_CONFIG": str(ROOT / "tests" / "forge" / "foundry.toml")}
    done = subprocess.run([forge, "test"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "0 failed" in done.stdout
