#!/bin/sh
# Writes requirements-dev.txt anew: every package that development needs, with hashes, for all platforms and Pythons.
# Needs uv (pip install uv).
set -eu
cd "$(dirname "$0")/.."
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --no-annotate --extra mediapipe --group dev pyproject.toml --output-file requirements-dev.txt "$@"
