# shellcheck shell=bash
# shellcheck disable=SC2034 # most names are for the scripts that source this file
# Shared by the scripts of this folder: source it, do not run it.

# The least librdkafka that has what the engine needs (admin ListConsumerGroupOffsets with
# require_stable, fetch.queue.backoff.ms and the fixes of transactions after 2.0).
rdkafka_version_min=2.8.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/rimbalzo

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die TEXT [WHAT-TO-DO]: the reason, what to do about it, exit 1.
die() {
    say "error: $1"
    if [ $# -gt 1 ]; then
        say "what to do: $2"
    fi
    exit 1
}

os_name() {
    local name
    # shellcheck disable=SC1091 # a file of the system
    name=$(. /etc/os-release 2>/dev/null && printf '%s%s' "${ID:-unknown}" "${VERSION_ID:-}") || name=unknown
    printf '%s' "$name"
}

# Where setup puts its own librdkafka. The name of the system is a part of it, because a home
# directory may be shared by systems whose libraries differ.
rdkafka_prefix() { printf '%s/librdkafka-%s-%s' "$cache" "$(os_name)" "$(uname -m)"; }

rdkafka_in_system() { pkg-config --atleast-version="$rdkafka_version_min" rdkafka 2>/dev/null; }

rdkafka_in_cache() {
    local prefix
    prefix=$(rdkafka_prefix)
    [ -e "$prefix/complete" ] && [ -e "$prefix/share/doc/librdkafka/LICENSES.txt" ] &&
        PKG_CONFIG_PATH="$prefix/lib/pkgconfig" pkg-config --atleast-version="$rdkafka_version_min" rdkafka
}

# Makes pkg-config find librdkafka, be it the system's or the cached one.
use_rdkafka() {
    if rdkafka_in_system; then
        return 0
    fi
    if ! rdkafka_in_cache; then
        die "librdkafka >= $rdkafka_version_min is missing" "run scripts/setup first"
    fi
    PKG_CONFIG_PATH="$(rdkafka_prefix)/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    export PKG_CONFIG_PATH
}

need() {
    local command=$1 option=$2
    command -v "$command" >/dev/null 2>&1 || die "$command is missing" "run scripts/setup $option"
}
