"""schemathesis against the running service: what it answers is what its OpenAPI description says."""

import subprocess
import sys
from pathlib import Path

from tests.service.conftest import TOKEN


def test_the_service_keeps_to_its_description(running, tmp_path):
    command = [
        Path(sys.executable).with_name("schemathesis"), "--config-file", Path(__file__).with_name("schemathesis.toml"),
        "run", f"{running.url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
        "--max-examples", "15", "--seed", "1", "--generation-database", "none", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
