# Sourced by the commands beside it: goes to the checkout's root and sets PYTHON to a Python that has what the command needs.
# Needs: $needs, the lists of packages (requirements*.txt). POSIX sh; nothing here depends on locale or HOME.

unset CDPATH
# A locale that this machine lacks makes programs complain or read UTF-8 wrong.
export PYTHONUTF8=1
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV
export DJANGO_SETTINGS_MODULE=bridge_project.settings
BRIDGE_CALLED_FROM=$PWD
export BRIDGE_CALLED_FROM
if [ -n "${BRIDGE_HOME:-}" ]; then
    case $BRIDGE_HOME in
        /*) ;;
        *) BRIDGE_HOME=$PWD/$BRIDGE_HOME ;;
    esac
    export BRIDGE_HOME
fi
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"

usable='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

find_python() {
    for name in ${BRIDGE_PYTHON:+"$BRIDGE_PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if command -v "$name" >/dev/null 2>&1 && "$name" -I -c "$usable" >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    echo "Trading Bridge needs Python 3.11, 3.12 or 3.13, and there is none here (looked for python3 and python3.11 to" \
        "python3.13 in PATH). Install one, for example: apt install python3 python3-venv, or brew install python@3.13." >&2
    exit 1
}

# A finished environment says of which folder and lists of packages it was made, so that the second start only compares.
PYTHON=$root/.venv/bin/python
for list in $needs; do
    stamp=$root/.venv/made-from-$list
    want=$root'
'$(cksum <"$list")
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || ! "$PYTHON" -I -c '' >/dev/null 2>&1; then
        python=$(find_python) || exit 1
        # shellcheck disable=SC2086
        "$python" -I bin/make_environment.py $needs >&2 || exit 1
        break
    fi
done
