#!/bin/sh
# Installs cloak into .venv and runs it on samples/ into public/. Needs Python 3.11 or newer; no compiler.
# Usage: sh scripts/demo.sh [OUTPUT-FOLDER]
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh
make_venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check .
code=0
.venv/bin/cloak run samples --out "${1:-public}" || code=$?
# 4 says that a person should look at some photos: with a landscape among the samples, that is right.
[ "$code" = 0 ] || [ "$code" = 4 ] || exit "$code"
echo "Published into ${1:-public}/. Check it again: .venv/bin/cloak verify ${1:-public}"
