#!/usr/bin/env bash
# Puts the OpenID provider of the tests under target/oidc: once with npm, later runs end at once.
#
# Needs Node 20 and npm; where they are missing and apt-get is there, it installs them (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."

package=tests/oidc/package.json
place=target/oidc

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "tests/oidc/fetch.sh needs Node 20 and npm" >&2
        exit 1
    fi
    echo "installing: nodejs npm"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm
fi
if (($(node -p 'process.versions.node.split(".")[0]') < 20)); then
    echo "tests/oidc/fetch.sh needs Node 20 or later; here is $(node --version)" >&2
    exit 1
fi

# The provider lies there in the version that the package names as it is now, whole.
cmp -s "$package" "$place/fetched.json" && exit 0

echo "fetching what $package names"
rm -rf "$place"
mkdir -p "$place"
cp "$package" "$place/package.json"
(cd "$place" && npm install --no-package-lock --no-audit --no-fund --loglevel=error)
cp "$package" "$place/fetched.json"
