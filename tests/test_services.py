"""`.ci/services`, which `make test` calls to install what Python can't."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SERVICES = Path(__file__).parent.parent / ".ci" / "services"


@pytest.mark.parametrize(
    ("service", "program"), [("chromium", "chromium"), ("redis", "redis-server")]
)
def test_a_service_that_is_missing_is_missed(tmp_path: Path, service: str, program: str) -> None:
    """Where nothing can be installed, it is said in one line what is left out."""
    bash, identity = shutil.which("bash"), shutil.which("id")
    assert bash is not None
    assert identity is not None
    (tmp_path / "id").symlink_to(identity)
    said = subprocess.run(
        [bash, SERVICES, service],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith(f"no {program} here: the tests ")
    assert (said.stdout.count("\n"), said.stderr) == (1, "")
