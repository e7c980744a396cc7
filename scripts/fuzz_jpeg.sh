#!/bin/sh
# Fuzzes the native JPEG modules, built with AddressSanitizer in a copy of the checkout: the build in use stays as it is.
#
#     sh scripts/fuzz_jpeg.sh [--minutes 30]
#
# Arguments go to `python -m fuzz jpeg-engine`; findings are left in build/fuzz-asan. PYTHON names the Python with cloak's dependencies (else .venv's, else python3). Needs gcc.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || python=python3
runtime=$(gcc -print-file-name=libasan.so)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
for part in cloak cli fuzz tests samples pipelines setup.py pyproject.toml README.md LICENSE NOTICE; do
    cp -R "$root/$part" "$copy"
done
find "$copy" \( -name '*.so' -o -path '*/photo/*.c' \) -delete
(
    cd "$copy"
    CLOAK_REQUIRE_NATIVE=1 CFLAGS="-fsanitize=address -g -O1" "$python" setup.py -q build_ext --inplace --force
)
# numpy and OpenCV keep memory until the end of the process: leaks are not looked for.
export LD_PRELOAD="$runtime" ASAN_OPTIONS=detect_leaks=0 PYTHONPATH="$copy" PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
cd "$copy"
# An editable installation must not win over the copy.
"$python" -c "import sys; from cloak.photo import _splice; sys.exit(not _splice.__file__.startswith('$copy'))"
"$python" -m fuzz jpeg-engine --blind --work "$root/build/fuzz-asan" "$@"
