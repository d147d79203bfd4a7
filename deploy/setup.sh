#!/bin/sh
# Makes the environment: setup.sh FOLDER STAMP PACKAGE...
# Every third-party package comes from requirements.lock with its hash; ours are installed as they stand, editable.
set -eu
venv=$1 stamp=$2
shift 2
packages=$*
log=$venv-setup.log

fail() {
    echo "make setup: $*" >&2
    exit 1
}
# What a tool prints is shown only if it fails; meanwhile a person sees that it goes on.
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
    wait "$tool" || { tail -n 25 "$log" >&2; fail "that failed (all of it: $log); run the same command again"; }
    trap - INT TERM
}

# An environment that an interrupted run left half-made has its mark, and is made anew.
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
    [ -n "$python" ] || fail "Python 3.11 or newer (with its venv module) is needed and was not found;
install it, or name it: make PYTHON=/path/to/python3.11 ..."
    echo "making $venv with $("$python" --version)"
    rm -rf "$venv"
    quietly "$python" -m venv "$venv"
fi
rm -f "$stamp"
: >"$mark"

# The tools of the set-up itself: pip answers at once when they are there.
quietly "$venv/bin/python" -m pip install --quiet --require-hashes -r deploy/setup-requirements.lock
uv="$venv/bin/uv"

echo "installing $(grep -c '^[a-zA-Z0-9].*==' requirements.lock) packages"
quietly "$uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes -r requirements.lock
set -- $(printf ' -e %s' "$@")
quietly "$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation "$@"
if ! "$venv/bin/makegood" --help >"$log" 2>&1; then
    # A package that is damaged but on the list of installed ones: only a fresh environment helps.
    [ -z "${MAKEGOOD_SETUP_AGAIN:-}" ] || { tail -n 5 "$log" >&2; fail "the installed command does not run (all of it: $log)"; }
    echo "the environment is damaged: making it anew"
    MAKEGOOD_SETUP_AGAIN=1 exec sh "$0" "$venv" "$stamp" $packages
fi
rm -f "$log" "$mark"
: >"$stamp"
