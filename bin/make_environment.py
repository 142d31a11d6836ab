"""Makes or completes the checkout's .venv for the given lists of locked packages (requirements*.txt).

Called by bin/environment.sh with any Python 3.11 to 3.13; standard library only. Two at once wait for each other. An
environment that was interrupted, moved or lost its Python is made anew. Writes nothing outside the checkout and the
temp folder: caches are used where PIP_CACHE_DIR or UV_CACHE_DIR name one.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Compiled at once after an install, since several processes import these at the same moment in the first start.
COMPILED = (
    *("django", "rest_framework", "drf_spectacular", "unfold", "axes", "csp", "corsheaders", "django_otp", "environ"),
    *("celery", "kombu", "billiard", "vine", "redis", "psycopg", "whitenoise", "granian", "structlog", "requests"),
    *("urllib3", "sqlparse", "asgiref", "psutil", "click", "cryptography", "jsonschema", "referencing", "yaml"),
    *("pydantic", "pydantic_ai", "pydantic_graph", "openai", "anthropic", "google", "httpx2", "httpcore2", "anyio"),
)


HOW_TO_COMPLETE = "Install what is missing (apt install python3-venv python3-pip), or uv, and start again."


def say(text: str) -> None:
    sys.stderr.write(f"setup    | {text}\n")
    sys.stderr.flush()


def checksum(path: Path) -> str:
    """As bin/environment.sh computes it: POSIX cksum of the file's bytes."""
    with path.open("rb") as file:
        return subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True).stdout.strip()


def stamp(name: str) -> Path:
    return VENV / f"made-from-{name}"


def wanted(name: str) -> str:
    return f"{ROOT}\n{checksum(ROOT / name)}"


def is_made(name: str) -> bool:
    try:
        return stamp(name).read_text(encoding="utf-8").strip() == wanted(name)
    except (OSError, UnicodeError):
        return False


def works() -> bool:
    """The environment has a Python that runs, of a version we know, made in this very folder."""
    try:
        check = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
        return subprocess.run([PYTHON, "-I", "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def is_ours() -> bool:
    """Made for this folder, and at least one list of packages was finished."""
    made = [path.read_text(encoding="utf-8", errors="replace").split("\n")[0] for path in VENV.glob("made-from-*")]
    return bool(made) and set(made) == {str(ROOT)}


def create() -> None:
    """An environment without pip: making one with it takes seconds, and uv or the system's pip can fill it."""
    shutil.rmtree(VENV, ignore_errors=True)
    made = run(sys.executable, "-I", "-m", "venv", "--without-pip", str(VENV))
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        say((made.stdout + made.stderr).strip()[-800:])
        raise SystemExit(f"No environment can be made with {sys.executable}. {HOW_TO_COMPLETE}")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)


def find_uv() -> str | None:
    return shutil.which("uv")


def install(name: str) -> None:
    uv = find_uv()
    began = time.monotonic()
    say(f"installing {name} with {'uv' if uv else 'pip'}" + ("" if uv else " (about a minute the first time)"))
    if not (uv and install_with_uv(uv, name)) and not install_with_pip(name):
        raise SystemExit(f"The packages of {name} could not be installed; what pip said stands above.")
    say(f"installed {name} in {time.monotonic() - began:.0f} s")


def install_with_uv(uv: str, name: str) -> bool:
    environ = dict(os.environ)
    own_cache = VENV / ".uv-cache"  # beside its target, so that files are linked, not copied; goes afterwards
    if not (environ.get("UV_CACHE_DIR") or environ.get("UV_NO_CACHE")):
        environ["UV_CACHE_DIR"] = str(own_cache)
    words = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), "--no-deps", "--require-hashes", "-r", name]
    done = subprocess.run(words, cwd=ROOT, env=environ, check=False).returncode == 0
    shutil.rmtree(own_cache, ignore_errors=True)
    if not done:
        say("uv could not; trying pip")
    return done


def find_pip() -> list[str]:
    """The environment's own pip, else the system's when it can install elsewhere (22.3), else a new one."""
    own, system = [str(PYTHON), "-m", "pip"], [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    for pip in (own, system):
        if run(*pip, "--version").returncode == 0:
            return pip
    if run(str(PYTHON), "-I", "-m", "ensurepip").returncode == 0:
        return own
    raise SystemExit(f"There is neither uv nor pip for {sys.executable}. {HOW_TO_COMPLETE}")


def install_with_pip(name: str) -> bool:
    environ = dict(os.environ)
    # Our .venv is the place, whatever the user's pip prefers elsewhere.
    for unwanted in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"):
        environ.pop(unwanted, None)
    environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    words = [*find_pip(), "install", "--quiet", "--no-input", "--no-compile", "--progress-bar", "off"]
    if not environ.get("PIP_CACHE_DIR"):
        words.append("--no-cache-dir")
    words += ["--no-deps", "--require-hashes", "-r", name]  # the lists are whole
    return subprocess.run(words, cwd=ROOT, env=environ, check=False).returncode == 0


def compile_hot() -> None:
    site = next((VENV / "lib").glob("python3*/site-packages"))
    folders = [str(site / name) for name in COMPILED if (site / name).is_dir()]
    subprocess.run([PYTHON, "-I", "-m", "compileall", "-q", "-j", "0", *folders], capture_output=True, check=False)


def main(names: list[str]) -> None:
    lock = os.open(ROOT / ".venv.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another command is making the environment; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not VENV.exists() or not works() or not is_ours():
        say(f"making the environment in {VENV} with Python {platform.python_version()}")
        create()
    for name in names:
        if not is_made(name):
            stamp(name).unlink(missing_ok=True)
            install(name)
            if name == "requirements.txt":
                compile_hot()
            stamp(name).write_text(wanted(name), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:
        raise SystemExit(f"The environment could not be made in {VENV}: {error}") from None
