"""Where the shared benchmark data lies; tests that read it are skipped where it is absent."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("CLOAK_DATA") or root / ".." / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the shared data is absent (set CLOAK_DATA)")
    return folder
