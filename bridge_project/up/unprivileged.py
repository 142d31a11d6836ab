"""How PostgreSQL, which refuses to run as root, is started by root without a new system user."""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bridge_project.up.processes import StartRefused


@dataclass(frozen=True)
class Launch:
    """The words before the command, and the user it really runs as (None: ourselves)."""

    prefix: tuple[str, ...] = ()
    user: int | None = None


@functools.cache
def package_folder(name: str) -> Path:
    """Where a package lies, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise StartRefused(f"The package {name} is not installed; remove the folder .venv and start again.")
    return Path(spec.submodule_search_locations[0])


@functools.cache
def choose_launch() -> Launch:
    """Ourselves when we are an ordinary user; else a user namespace; where that is refused, the user nobody.

    In the namespace our id only looks like nobody's, so files keep their owner and root-only folders stay open.
    """
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return Launch()
    nobody = _nobody()
    prefix = ("unshare", "--user", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    try:
        probe = subprocess.run([*prefix, "true"], capture_output=True, timeout=10, check=False)
        if probe.returncode == 0:
            return Launch(prefix=prefix)
    except (OSError, subprocess.TimeoutExpired):
        pass
    # A user without a name is only refused by initdb; without namespaces there is no better way than to try.
    return Launch(user=nobody.pw_uid) if os.geteuid() == 0 else Launch()


def public_programs(source: Path, target: Path) -> Path:
    """A copy of PostgreSQL's programs that another user may run, for installations in folders closed to it.

    ``source`` is the package's folder; its libraries lie beside it and keep their place. Returns the programs' folder.
    """
    if not target.exists():
        made = target.with_name(f"{target.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        for name in ("bin", "lib", "share"):
            shutil.copytree(source / "pginstall" / name, made / source.name / "pginstall" / name, symlinks=True)
        libraries = source.with_name(f"{source.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, made / libraries.name)
        for folder, _, files in os.walk(made):
            os.chmod(folder, 0o755)  # noqa: S103 (programs, for everybody; the folder around them is private)
            for file in files:
                path = Path(folder) / file
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        made.rename(target)
    return target / source.name / "pginstall" / "bin"


def give_to(folder: Path, user: int) -> None:
    """Make the user owner of everything in the folder, when it is not yet."""
    if folder.stat().st_uid == user:
        return
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(path) / name, user, -1, follow_symlinks=False)
    os.chown(folder, user, -1)


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise StartRefused("PostgreSQL does not run as root, and this system knows no other user. Set DATABASE_URL.")
    return others[0]
