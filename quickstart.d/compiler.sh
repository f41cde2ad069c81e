# Makes sure there is a C compiler: SQLite and the allocator are built from source, and it links. Sourced by
# ../quickstart and ../check.

ensure_cc() {
    command -v cc >/dev/null 2>&1 && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "building needs a C compiler, and there is no cc; run: sudo apt-get install gcc libc6-dev" >&2
        return 1
    fi
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null
}
