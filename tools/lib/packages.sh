# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Which Debian packages are needed for what, and how a preset is built. Source it after common.sh.
#
#   build_preset NAME [TARGET…]  configures and builds one preset of CMakePresets.json

# shellcheck disable=SC2034 # the scripts that source this use them
BUILD_PACKAGES=(build-essential cmake ninja-build pkg-config libgrpc-dev libprotobuf-c-dev
    protobuf-c-compiler protobuf-compiler libssl-dev libsodium-dev libjansson-dev libfyaml-dev
    libmicrohttpd-dev libsystemd-dev)
# shellcheck disable=SC2034
DEMO_PACKAGES=(python3 openssl util-linux hostname ca-certificates)
# shellcheck disable=SC2034
TEST_PACKAGES=(clang clang-format libclang-rt-14-dev llvm libcmocka-dev valgrind cppcheck shellcheck
    strace jq python3-pytest python3-pytest-timeout python3-pytest-xdist python3-grpcio
    python3-protobuf python3-hpack python3-yaml python3-nacl python3-cryptography systemd iproute2)

build_preset() {
    local preset=$1
    shift
    progress_run "building ($preset)" build_quietly "$preset" "$@" || die "could not build $preset"
}

build_quietly() {
    local root preset=$1
    shift
    root=$(cd -- "$COMMON_LIB/../.." && pwd)
    cd -- "$root"
    cmake --preset "$preset" && cmake --build --preset "$preset" ${1+--target "$@"}
}
