#!/bin/sh
# Makes the virtual environment: setup.sh FOLDER STAMP PACKAGE...
# Third-party packages come from requirements.lock and are checked by hash. Our packages are installed in editable mode.
set -eu
venv=$1 stamp=$2
shift 2
packages=$*
log=$venv-setup.log

fail() {
    echo "make setup: $*" >&2
    exit 1
}
# Shows a tool's output only if it fails, and progress in the meantime.
quietly() {
    "$@" >"$log" 2>&1 &
    tool=$!
    trap 'kill "$tool" 2>/dev/null; exit 130' INT TERM
    if [ -t 1 ]; then
        while kill -0 "$tool" 2>/dev/null; do
            printf '\r  %s MB' "$(du -sm "$venv" 2>/dev/null | cut -f1)"
            sleep 1
        done
        printf '\r\033[K'
    fi
    wait "$tool" || { tail -n 25 "$log" >&2; fail "that failed (full log: $log). Run the same command again"; }
    trap - INT TERM
}

# An interrupted run leaves this mark; then the environment is made from scratch.
mark=$venv/.half-made
[ ! -e "$mark" ] || rm -rf "$venv"

good='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
if ! { [ -x "$venv/bin/python" ] && "$venv/bin/python" -c "$good" && "$venv/bin/python" -m pip --version; } >/dev/null 2>&1; then
    python=
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$good" >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "Python 3.11 or newer (with its venv module) was not found.
Install it, or say where it is: make PYTHON=/path/to/python3.11 ..."
    echo "making $venv with $("$python" --version)"
    rm -rf "$venv"
    quietly "$python" -m venv "$venv"
fi
rm -f "$stamp"
: >"$mark"

# The set-up's own tools. pip is fast if they are already installed.
quietly "$venv/bin/python" -m pip install --quiet --require-hashes -r deploy/setup-requirements.lock
uv="$venv/bin/uv"

echo "installing $(grep -c '^[a-zA-Z0-9].*==' requirements.lock) packages"
quietly "$uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes -r requirements.lock
set -- $(printf ' -e %s' "$@")
quietly "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation "$@"
if ! "$venv/bin/makegood" --help >"$log" 2>&1; then
    # A package is installed but damaged, so only a new environment helps.
    [ -z "${MAKEGOOD_SETUP_AGAIN:-}" ] || { tail -n 5 "$log" >&2; fail "the installed command does not run (full log: $log)"; }
    echo "the environment is damaged, making a new one"
    MAKEGOOD_SETUP_AGAIN=1 exec sh "$0" "$venv" "$stamp" $packages
fi
rm -f "$log" "$mark"
: >"$stamp"
