# shellcheck shell=sh
# Sourced by demo.sh and test.sh: finds a Python, makes a virtual environment, and says what to install if it cannot.

root_do() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo "$@"
    else return 1
    fi
}

debian_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    export DEBIAN_FRONTEND=noninteractive
    root_do apt-get update -qq || true  # an old list may do
    root_do apt-get install -y -qq --no-install-recommends "$@" && return 0
    # A package that this release does not have must not keep the others away: Ubuntu has chromium as a snap only.
    failed=0
    for package; do
        root_do apt-get install -y -qq --no-install-recommends "$package" || failed=1
    done
    return $failed
}

good_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' >/dev/null 2>&1
}

find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
        if good_python "$candidate"; then PYTHON=$candidate; return 0; fi
    done
    if debian_install python3 python3-venv && good_python python3; then PYTHON=python3; return 0; fi
    echo "cloak needs Python 3.11 or newer. On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv" >&2
    exit 2
}

# make_venv FOLDER: a virtual environment there, with pip in it.
make_venv() {
    find_python
    if [ -x "$1/bin/python" ] && good_python "$1/bin/python" && "$1/bin/python" -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    rm -rf "$1"
    if "$PYTHON" -m venv "$1" >/dev/null 2>&1; then return 0; fi
    rm -rf "$1"
    # Debian ships venv's pip apart from Python.
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if debian_install "python$version-venv" || debian_install python3-venv; then
        "$PYTHON" -m venv "$1" && return 0
    fi
    if "$PYTHON" -m virtualenv "$1" >/dev/null 2>&1; then return 0; fi
    echo "Python's venv is missing. Install it, then run this again: apt-get install python$version-venv" >&2
    exit 2
}
