#!/usr/bin/env bash
# Puts the broker of the tests under target/kafka/lib: once with Maven, later runs end at once.
#
# Needs Java 17 and Maven; where one is missing and apt-get is there, it installs it (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."

pom=tests/kafka/pom.xml
lib=target/kafka/lib
stamp=target/kafka/pom.xml

missing=()
command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
# The jars lie there in the versions that the POM names as it is now: then nothing has to be fetched.
fetched=false
cmp -s "$pom" "$stamp" && fetched=true
$fetched || command -v mvn >/dev/null || missing+=(maven)
if ((${#missing[@]})); then
    if ! command -v apt-get >/dev/null; then
        echo "tests/kafka/fetch.sh needs Java 17 and Maven; missing: ${missing[*]}" >&2
        exit 1
    fi
    echo "installing: ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
$fetched && exit 0

echo "fetching the jars that $pom names"
rm -rf "$lib"
mkdir -p "$lib"
mvn --batch-mode --quiet --no-transfer-progress --file "$pom" \
    dependency:copy-dependencies -DoutputDirectory="$PWD/$lib" -DincludeScope=runtime
cp "$pom" "$stamp"
