#!/usr/bin/env bash
# Makes target/clients-venv with what the clients not ours need; ends at once when it is there. Prints its Python.
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted=tests/clients/requirements.txt
venv=target/clients-venv
stamp=$venv/requirements.txt
if ! cmp -s "$wanted" "$stamp"; then
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        echo "tests/clients/venv.sh needs Python 3 with venv (Debian: python3-venv)" >&2
        exit 1
    fi
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted" >&2
    cp "$wanted" "$stamp"
fi
echo "$PWD/$venv/bin/python"
