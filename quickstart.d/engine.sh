# Makes sure a container engine answers. Sourced by ../quickstart and ../check.

engine_pid=""

engine_answers() {
    command -v docker >/dev/null 2>&1 && docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Starts Debian's Docker Engine if none answers; returns 1 when that is not possible here.
ensure_engine() {
    engine_answers && return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "no container engine answers; as root this would install docker.io and start it:" >&2
        echo "  sudo apt-get install docker.io && sudo dockerd" >&2
        return 1
    fi
    if ! command -v dockerd >/dev/null 2>&1; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends docker.io iptables || return 1
    fi
    engine_log="$(mktemp)"
    setsid dockerd >"$engine_log" 2>&1 </dev/null &
    engine_pid=$!
    for _ in $(seq 1 120); do
        engine_answers && return 0
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.5
    done
    echo "dockerd does not answer; its last words:" >&2
    tail -n 5 "$engine_log" >&2
    stop_engine
    return 1
}

# Stops the engine if this script started it.
stop_engine() {
    if [ -n "$engine_pid" ]; then
        kill "$engine_pid" 2>/dev/null && wait "$engine_pid" 2>/dev/null
        engine_pid=""
    fi
    return 0
}
