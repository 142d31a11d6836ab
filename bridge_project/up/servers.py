"""The embedded servers together: whoever comes first starts them, whoever leaves last stops them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bridge_project.up import sockets
from bridge_project.up.postgres import FORGETFUL, EmbeddedPostgres
from bridge_project.up.processes import Busy, Lock
from bridge_project.up.valkey import EmbeddedValkey

FRESH_EVERY_S = 3600
Server = EmbeddedPostgres | EmbeddedValkey


class EmbeddedServers:
    """Database and broker of one BRIDGE_HOME, as far as they are wanted here.

    From its making until ``stop`` (or the end of our process, however that comes) we count as one of their users.
    """

    def __init__(self, home: Path, *, database: bool = True, broker: bool = True, forgetful: bool = False) -> None:
        for folder in (home, home / "run", home / "log"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "run").chmod(0o700)
        self.home = home
        self._change = Lock(home / "run" / "servers.lock")
        self._users = Lock(home / "run" / "users.lock")
        self._fresh_at = time.monotonic()
        with self._change.held():
            self._users.take(shared=True)
            self.database = EmbeddedPostgres(home, settings=FORGETFUL if forgetful else None) if database else None
            self.broker = EmbeddedValkey(home, forgetful=forgetful) if broker else None

    def all(self) -> Sequence[Server]:
        """In the order in which they are stopped."""
        return [server for server in (self.broker, self.database) if server]

    def start(self) -> None:
        """Both at once; on return both answer. Raises StartRefused, and then none is left running for us."""
        try:
            with self._change.held(), ThreadPoolExecutor(2) as pool:
                for started in [pool.submit(server.start) for server in self.all()]:
                    started.result()
        except BaseException:
            self.stop()
            raise

    def restart_missing(self) -> list[str]:
        """Start again what died, and keep the socket folders fresh; returns the names of those started."""
        missing = [server for server in self.all() if not server.pid()]
        if missing:
            with self._change.held():
                for server in missing:
                    server.start()
        if time.monotonic() - self._fresh_at > FRESH_EVERY_S:
            self._fresh_at = time.monotonic()
            for server in self.all():
                sockets.keep_fresh(server.sockets)
        return [server.name for server in missing]

    def stop(self) -> bool:
        """Stop them unless somebody else uses them; returns whether they were stopped."""
        with self._change.held():
            try:
                self._users.take(wait=False)
            except Busy:
                return False
            else:
                for server in self.all():
                    server.stop()
                for server in self.all():
                    sockets.remove(self.home, server.sockets)
                return True
            finally:
                self._users.release()
