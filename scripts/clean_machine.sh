#!/bin/sh
# cloak as a stranger gets it: from a copy without .git, build or cache, the README's first command; then wheels for every
# supported Python that this machine has, each in a new environment, whose outputs must be the same to the byte,
# whatever the Python and however many workers.
set -eu
cd "$(dirname "$0")/.."
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
unset PYTHONPATH VIRTUAL_ENV

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/copy" "$work/elsewhere"
if [ -e .git ]; then
    git archive --format=tar HEAD | tar -xf - -C "$work/copy"
else
    tar -cf - --exclude='./.venv*' --exclude=./build --exclude=./dist . | tar -xf - -C "$work/copy"
fi

echo "== The README's first command, in a copy"
(cd "$work/copy" && sh scripts/demo.sh "$work/public")
"$work/copy/.venv/bin/cloak" verify --quiet "$work/public"
rm -rf "$work/copy/.venv" "$work/copy/build" "$work/copy"/*.egg-info

# python_of 3.12: the path of such a Python, if the machine has one.
python_of() {
    for candidate in "python$1" "$HOME/.pyenv/versions/$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$1'.split('.'))))" 2>/dev/null
        then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# publish VERSION NAME OPTIONS...: the samples, and the digests of what came out
publish() {
    version=$1 name=$2
    shift 2
    code=0
    (cd "$work/elsewhere" && "$work/$version/bin/cloak" run "$work/copy/samples" --out "$work/out/$name" --noise-key clean \
        --quiet "$@") || code=$?
    [ "$code" = 0 ] || [ "$code" = 4 ] || exit "$code"
    (cd "$work/out/$name" && find . -type f | sort | xargs sha256sum) > "$work/$name.sha256"
    rm -rf "$work/out"
}

first="" last=""
: > "$work/libraries"
for version in 3.11 3.12 3.13 3.14; do
    if ! python=$(python_of "$version"); then
        echo "== Python $version is not on this machine: left out"
        continue
    fi
    echo "== Python $version: a wheel in a new environment"
    "$python" -m venv "$work/$version"
    "$work/$version/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheels-$version" "$work/copy"
    rm -rf "$work/copy/build" "$work/copy"/*.egg-info
    # The same libraries for all: another imagecodecs, say, compresses the same pixels of a PNG into other bytes.
    "$work/$version/bin/python" -m pip install --quiet --constraint "$work/libraries" "$work/wheels-$version"/*.whl
    (cd "$work/elsewhere" && "$work/$version/bin/cloak" --version)
    publish "$version" "$version" --jobs 2
    if [ -z "$first" ]; then
        first=$version
        "$work/$version/bin/python" -m pip freeze --exclude cloak-images > "$work/libraries"
        publish "$version" "$version-again" --jobs 1
        cmp "$work/$first.sha256" "$work/$version-again.sha256" || { echo "another number of workers: other bytes" >&2; exit 1; }
    fi
    if ! diff "$work/$first.sha256" "$work/$version.sha256" >&2; then
        echo "Python $version gives other bytes than Python $first" >&2
        exit 1
    fi
    echo "   $(wc -l < "$work/$version.sha256") published files, the same bytes as by Python $first"
    rm -rf "${work:?}/$version"
    last=$version
done
[ -n "$first" ] || { echo "no supported Python was found" >&2; exit 1; }

# Newer Pythons get newer libraries than the oldest, for which development is locked: one of them broke AVIF.
echo "== Python $last, with the newest libraries that it gets: the tests of formats and metadata"
"$(python_of "$last")" -m venv "$work/$last"
"$work/$last/bin/python" -m pip install --quiet "$work/wheels-$last"/*.whl \
    pytest pytest-xdist hypothesis cryptography simplejpeg tifffile
rm -rf "$work/copy/cloak" "$work/copy/cli"  # the installed ones are tested
(cd "$work/copy" && "$work/$last/bin/python" -P -m pytest -q -n 2 -p no:cacheprovider -m "not slow" tests/photo tests/metadata)
