#!/bin/sh
# Tests cloak against real systems: WordPress with MariaDB and PHP, @tus/server with its client, darktable on a virtual
# screen, pre-commit, a network disk. Installs them first (Debian's packages, npm, PyPI), which takes root or sudo without a
# password. Usage: sh scripts/test_hooks.sh [PYTEST-ARGUMENTS]
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh

packages="wordpress php-cli php-mysql php-gd php-curl php-xml php-mbstring mariadb-server darktable xvfb lua5.1 git sshfs
openssh-sftp-server"
command -v node >/dev/null 2>&1 || packages="$packages nodejs"
command -v npm >/dev/null 2>&1 || packages="$packages npm"
missing=""
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ] && ! root_do true; then
    echo "SKIPPED: the hooks were not tested. It takes root to install what they hang in:$missing" >&2
    exit 0
fi
# shellcheck disable=SC2086
[ -z "$missing" ] || debian_install $missing
npm ci --no-audit --no-fund --silent --prefix tests/hooks/tus
# Debian 12 has Node 18; @tus/server and our hooks want 20.19.
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then
    node="node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')"
    npm install --no-audit --no-fund --silent --no-save --prefix tests/hooks/tus "$node@22"
    PATH="$PWD/tests/hooks/tus/node_modules/$node/bin:$PATH"
fi

make_venv .venv-test
python=.venv-test/bin/python
# Nothing to do after scripts/test.sh.
if ! "$python" -P -c "import cloak, fastapi, pre_commit" 2>/dev/null; then
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
fi

# From here on a test that misses its system fails, instead of being skipped.
if [ $# = 0 ]; then set -- tests/hooks; fi
CLOAK_HOOKS=1 "$python" -m pytest -m hooks -n 2 --dist loadfile "$@"
