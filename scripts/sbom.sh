#!/bin/sh
# Writes a software bill of materials (CycloneDX, JSON): cloak and all that is installed with it, here and now.
# Usage: sh scripts/sbom.sh [FILE] [EXTRA,EXTRA...], by default sbom.cdx.json with no extra.
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make_venv "$work/cloak"
make_venv "$work/tools"
"$work/cloak/bin/python" -m pip install --quiet --disable-pip-version-check ".${2:+[$2]}"
# What writes the list is not on it.
"$work/tools/bin/python" -m pip install --quiet --disable-pip-version-check "cyclonedx-bom==7.5.0"
"$work/tools/bin/cyclonedx-py" environment --pyproject pyproject.toml --output-reproducible --short-PURLs --validate \
    --output-format JSON --output-file "${1:-sbom.cdx.json}" "$work/cloak/bin/python"
echo "Written: ${1:-sbom.cdx.json}"
