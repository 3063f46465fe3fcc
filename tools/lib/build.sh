# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What tools/demo and tools/test do before they begin. Source it after common.sh.
#
#   need_packages_for PURPOSE…   installs what packages.txt lists for these purposes
#   build_preset NAME [TARGET…]  configures and builds one preset of CMakePresets.json

ROOT=$(cd -- "$COMMON_LIB/../.." && pwd)

need_packages_for() {
    local purpose packages=()
    for purpose in "$@"; do
        mapfile -t -O "${#packages[@]}" packages < <(
            sed -n "s/^$purpose: //p" "$COMMON_LIB/packages.txt" | tr ' ' '\n')
    done
    need_packages "${packages[@]}"
}

build_preset() {
    local preset=$1
    shift
    (
        cd -- "$ROOT" || exit 1
        progress_run "configuring $preset" cmake --preset "$preset" &&
            progress_run "building $preset" cmake --build --preset "$preset" ${1+--target "$@"}
    ) || die "could not build $preset"
}
