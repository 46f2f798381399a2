"""Sixty clients at once get what is theirs, and leave nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_sixty_clients_at_once() -> None:
    """Each sees its own items only, every run balances, and memory is what it was before."""
    script = Path(__file__).with_name("load.py")
    command = [sys.executable, str(script), "--clients", "60", "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(done.stdout)
    assert found["clients"] == 60
    assert found["frames_each"][0] >= 2
    assert found["foreign_items"] == 0
    assert found["all_balanced"]
    assert not found["runs_left"]
    assert found["memory_after"] - found["memory_before"] < 10
