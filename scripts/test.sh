#!/bin/sh
# Installs everything that the tests need (Debian packages too, where it may) and passes them:
# format, lint, types, direction of imports, and the whole test suite but for the hooks into other systems, which
# scripts/test_hooks.sh tests. Usage: sh scripts/test.sh [PYTEST-ARGUMENTS]
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh

# exiftool and libjpeg's programs are the independent readers; mediapipe's OpenCV wants libGL and glib; gcc builds the
# JPEG engine (without it the slower fallback is tested); Chromium opens the review page; docker-compose reads deploy/compose.yml.
packages="libimage-exiftool-perl libjpeg-turbo-progs strace libgl1 libglib2.0-0 libegl1 libgles2 gcc libc6-dev python3-dev
chromium git docker-compose iproute2"
missing=""
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    debian_install $missing || echo "Could not install:$missing. Tests that need them are skipped or will say so." >&2
fi

make_venv .venv-test
python=.venv-test/bin/python
"$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .

# PyTorch is hundreds of megabytes, and on some platforms gigabytes: here only where everything is to be tested. Without
# it the tests of perturb are skipped.
if [ "${CI:-}" = true ]; then
    "$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0
fi

.venv-test/bin/ruff format --check .
.venv-test/bin/ruff check .
.venv-test/bin/mypy
.venv-test/bin/lint-imports
# More workers than the two cores of a small machine: many tests wait, for Ray, a timeout or another process.
"$python" -m pytest -n 3 --dist worksteal -m "not hooks" "$@"
