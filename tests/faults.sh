#!/usr/bin/env bash
# Breaks creditgate on purpose and prints one table: fault, promise, seen. Fails when a promise was not kept.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
tests/faults.sh                every story, the random ones for two minutes each: about 30 minutes
tests/faults.sh --long         the random ones for ten minutes each, and the stories that only this runs
tests/faults.sh --only NAME    the stories whose name contains NAME; may be given several times
tests/faults.sh --list         their names

Needs Linux, root (small disks, control groups), Rust, and Java and Python for Kafka; installs small tools that are not
there with apt-get. Ends only what it started. CREDITGATE_SEED repeats what happened at random; every story prints its
seed. The table and what each story said stay in target/faults/.
END
}

# name | quick or long | profile | test binary | test (empty: all ignored ones of the binary)
#
# A story prints one line `FAULT|fault|promise|seen` once it has held, and fails otherwise.
stories() {
    cat <<'END'
process-killed   | quick | debug   | faults  | processes::one_process_is_killed_at_random_moments
process-stopped  | quick | debug   | faults  | processes::a_stop_ends_in_time_under_load_and_with_open_streams
roles-killed     | quick | debug   | faults  | kafka::every_role_is_killed_at_random_moments
gates-rolling    | quick | debug   | faults  | kafka::two_gates_are_replaced_one_by_one_without_a_failed_check
leader-paused    | quick | debug   | faults  | kafka::a_leader_that_was_paused_finds_itself_replaced
disk-full-tmpfs  | quick | debug   | faults  | disk::a_full_tmpfs_is_told_and_passes
disk-full-ext4   | quick | debug   | faults  | disk::a_full_ext4_is_told_and_passes
disk-sealed      | quick | debug   | faults  | disk::a_directory_without_new_files_is_told_and_passes
disk-read-only   | quick | debug   | faults  | disk::a_disk_that_turns_read_only_is_told_and_nothing_is_lost
file-handles     | quick | debug   | faults  | limits::without_file_handles_it_serves_whom_it_has_and_says_so
memory           | quick | debug   | faults  | limits::without_memory_it_is_killed_and_nothing_is_lost
clock            | quick | debug   | faults  | clock::a_clock_set_forward_and_back_never_turns_time_around
overload         | quick | release | faults  | overload::ten_times_the_capacity_is_shed_early
slow-readers     | quick | release | faults  | overload::readers_who_do_not_read_hold_up_nobody
huge-batches     | quick | release | faults  | overload::huge_batches_are_bounded
idle-connections | quick | release | faults  | overload::thousands_of_idle_connections_are_nothing
brokers          | quick | debug   | brokers |
END
}

# Longest time of one story, so that one that hangs does not hold up the others.
longest=1500

long=false
only=()
while (($#)); do
    case $1 in
        --long) long=true longest=5400 ;;
        --only) only+=("${2:?--only needs a name: see --list}") && shift ;;
        --list) stories | cut -d'|' -f1 && exit ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

trim() { # trim TEXT
    local text=${1#"${1%%[![:space:]]*}"}
    printf '%s' "${text%"${text##*[![:space:]]}"}"
}

wanted() { # wanted NAME KIND BINARY
    [[ $2 == long ]] && ! $long && return 1
    # Stories of brokers stand in a file of their own.
    [[ -e tests/tests/$3.rs || -e tests/tests/$3/main.rs ]] || return 1
    ((${#only[@]})) || return 0
    local part
    for part in "${only[@]}"; do
        [[ $1 == *"$part"* ]] && return 0
    done
    return 1
}

chosen=()
profiles=" "
binaries=" "
while IFS='|' read -r name kind profile binary test; do
    name=$(trim "$name") kind=$(trim "$kind") profile=$(trim "$profile") binary=$(trim "$binary")
    wanted "$name" "$kind" "$binary" || continue
    chosen+=("$name|$profile|$binary|$(trim "$test")")
    [[ $profiles == *" $profile "* ]] || profiles+="$profile "
    [[ $binaries == *" $binary "* ]] || binaries+="$binary "
done < <(stories)
if ((${#chosen[@]} == 0)); then
    echo "no story has such a name; --list shows them" >&2
    exit 2
fi

if ((EUID != 0)); then
    echo "tests/faults.sh mounts small disks and sets limits: run it as root" >&2
    exit 1
fi
missing=()
command -v faketime >/dev/null || missing+=(faketime)
command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
command -v findmnt >/dev/null || missing+=(mount util-linux)
command -v kcat >/dev/null || missing+=(kcat)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
if ((${#missing[@]})); then
    echo "installing: ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"
fi

export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
export CREDITGATE_FAULTS_LONG=0
$long && CREDITGATE_FAULTS_LONG=1
into=target/faults
mkdir -p "$into"
started=$SECONDS

build() { # build PROFILE: the service and the stories
    local flags=() binary
    [[ $1 == release ]] && flags=(--release)
    cargo build "${flags[@]}" -p creditgate
    for binary in $binaries; do
        cargo test "${flags[@]}" -p creditgate-tests --test "$binary" --no-run
    done
}
for profile in $profiles; do
    printf '== build (%s)\n' "$profile"
    build "$profile"
done
printf 'built in %d s\n' $((SECONDS - started))

rows=()
failed=()
number=0
for story in "${chosen[@]}"; do
    IFS='|' read -r name profile binary test <<<"$story"
    number=$((number + 1))
    log=$into/$name.log
    printf '\n== %d of %d: %s (what it says: %s)\n' "$number" "${#chosen[@]}" "$name" "$log"
    args=(-p creditgate-tests --test "$binary")
    [[ $profile == release ]] && args+=(--release)
    args+=(--)
    [[ -n $test ]] && args+=(--exact "$test")
    began=$SECONDS
    code=0
    # The binary that was just built; a story does not build it again.
    CREDITGATE_BIN=${CREDITGATE_BIN:-$PWD/target/$profile/creditgate} timeout --kill-after=30 "$longest" \
        cargo test --quiet "${args[@]}" --ignored --nocapture --test-threads=1 >"$log" 2>&1 || code=$?
    took=$((SECONDS - began))
    before=${#rows[@]}
    while IFS='|' read -r _ fault promise seen; do
        rows+=("| $fault | $promise | $seen |")
    done < <(grep -a -o 'FAULT|.*' "$log" || true)
    if ((code == 0 && ${#rows[@]} > before)); then
        printf 'held, %d s\n' "$took"
    else
        if ((code == 124 || code == 137)); then
            why="did not end within $longest s"
        elif ((code == 0)); then
            why="ended well and told nothing"
        else
            why=$(grep -a -A1 -m1 'panicked at' "$log" | tail -1 || true)
        fi
        failed+=("$name")
        rows+=("| **$name** | **not kept** | ${why//|//} (see $log) |")
        printf 'FAILED, %d s: %s\n' "$took" "$why"
        tail -25 "$log"
    fi
done

{
    echo "| fault | promise | seen |"
    echo "| --- | --- | --- |"
    printf '%s\n' "${rows[@]}"
} >"$into/table.md"
printf '\n'
cat "$into/table.md"
printf '\n%d stories, %d failed, %d s; %s\n' "${#chosen[@]}" "${#failed[@]}" $((SECONDS - started)) \
    "$(uname -srm), $(nproc) processors"
((${#failed[@]} == 0))
