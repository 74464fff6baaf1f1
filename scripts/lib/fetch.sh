# shellcheck shell=bash
# What scripts that fetch something share.

# fetch MINUTES COMMAND…: one that fails or hangs is tried three times in all.
fetch() {
    local minutes=$1 try
    shift
    for try in 1 2 3; do
        timeout --kill-after=10 "${minutes}m" "$@" && return
        echo "try $try of 3 failed or took longer than $minutes minutes: $*" >&2
    done
    return 1
}
