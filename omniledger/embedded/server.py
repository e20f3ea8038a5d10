"""Who uses the server, and therefore when it starts and stops.

Every claim is a file lock, so that no death of a process, however sudden, leaves a wrong one:

* `lock`: exclusive and short; whoever starts the server, stops it or looks at it holds it.
* `leases`: shared by all who use the server. Asked for exclusively, and only under `lock`, to see
  whether anybody is left.
* `alive`: shared by the same; the guard waits for it exclusively. It is a file of its own so that
  a guard that just got it never looks like a user.
* `guard`: held by the guard, the small process that outlives killed users and stops the server.

The file `kept` names the one start of the server that goes on without users until it is told to
stop.
"""

from __future__ import annotations

import atexit
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omniledger.embedded import cluster, locks
from omniledger.embedded.cluster import Cluster, Postmaster
from omniledger.embedded.programs import Programs, detach
from omniledger.errors import LocalError, OmniledgerError
from omniledger.ports import LOOPBACK
from omniledger.screen import say

_TICK = 0.005
_LOCK_SECONDS = 2 * cluster.START_SECONDS + cluster.STOP_SECONDS
"""As long as one decision may take: waiting for leftovers, a start, and a stop if it fails."""

_GUARD = """
import sys
sys.path.append(sys.argv[1])
from omniledger.embedded import server
server.guard(sys.argv[2], int(sys.argv[3]))
"""


@dataclass(frozen=True)
class Endpoint:
    """Where the server answers, and to whom."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    dbname: str


@dataclass(frozen=True)
class Status:
    """How the server is: `kept` if it runs until it is stopped, `version` that of its programs."""

    running: bool
    kept: bool
    port: int | None
    pid: int | None
    version: str


@dataclass(frozen=True)
class _Lease:
    endpoint: Endpoint
    descriptors: tuple[int, int]


class EmbeddedServer:
    """The server whose data, password and log are in the folder `root`.

    `bin_dir` holds the programs of another PostgreSQL than the installed wheel's. `options` are
    server settings; they count when this object is the one that starts the server. Whom it runs as
    when we are root, and which folders are opened to that user, says `Programs`.
    """

    def __init__(
        self, root: Path, bin_dir: Path | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        self.root = root.resolve()
        self._programs = Programs(self.root / "data", bin_dir)
        self._cluster = Cluster(self.root, self._programs, options or {})
        self._kept = self.root / "kept"
        self._process_lease: _Lease | None = None
        self._threads = threading.Lock()

    @property
    def bin_dir(self) -> Path:
        """The folder of the server's programs (`psql` and the others)."""
        return self._programs.bin_dir

    @contextmanager
    def lease(self) -> Iterator[Endpoint]:
        """Have the server up inside the block; the last user's end stops it, if it isn't kept.

        Raises:
            LocalError: the folder, the programs or the data's version don't allow it.
            DatabaseError: the server doesn't start.
        """
        lease = self._acquire()
        try:
            yield lease.endpoint
        finally:
            self._release(lease)

    def lease_for_process(self) -> Endpoint:
        """Have the server up as long as this process lives; errors as `lease`."""
        with self._threads:
            if self._process_lease is None:
                self._process_lease = self._acquire()
                atexit.register(self._at_exit)
            return self._process_lease.endpoint

    def keep(self) -> Endpoint:
        """Have the server up until `stop` or the machine's end; errors as `lease`."""
        with self.lease() as endpoint:
            with self._deciding():
                self._kept.write_text(_start_of(self._cluster.postmaster()))
            return endpoint

    def stop(self) -> bool:
        """Stop the server, kept or leased or not; say whether it ran."""
        if not self.root.exists():
            return False
        with self._deciding():
            self._kept.unlink(missing_ok=True)
            return self._cluster.stop()

    def status(self) -> Status:
        """How the server is; changes nothing."""
        found, is_kept = None, False
        if self.root.exists():
            with self._deciding():
                found = None if self._cluster.is_idle() else self._cluster.postmaster()
                is_kept = self._is_kept()
        version = self._programs.version
        if found is None or found.port is None:
            return Status(False, False, None, None, version)
        return Status(True, is_kept, found.port, found.pid, version)

    def _acquire(self) -> _Lease:
        with _plain_errors(self.root):
            for folder in (self.root.parent, self.root):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._deciding():
            held = (locks.share(self.root / "leases"), locks.share(self.root / "alive"))
            try:
                # The guard comes before the server: a kill at any moment leaves nothing.
                if not self._is_kept():
                    self._set_guard()
                port = self._cluster.ensure_running()
                secret = self._cluster.password()
                return _Lease(Endpoint(LOOPBACK, port, cluster.OWNER, secret, cluster.OWNER), held)
            except BaseException:
                _let_go(held)
                self._settle()
                raise

    def _release(self, lease: _Lease) -> None:
        _let_go(lease.descriptors)
        if self.root.exists():
            with self._deciding():
                self._settle()

    def _at_exit(self) -> None:
        with self._threads:
            lease, self._process_lease = self._process_lease, None
        if lease is not None:
            try:
                self._release(lease)
            except OmniledgerError as error:
                say(str(error), level="error")

    def _settle(self) -> bool:
        """Stop a server that nobody leases and nobody keeps; say whether nobody leases it."""
        if not locks.is_free(self.root / "leases"):
            return False
        if not self._is_kept():
            self._cluster.stop()
        return True

    def _is_kept(self) -> bool:
        start = _start_of(self._cluster.postmaster())
        return bool(start) and self._kept.exists() and self._kept.read_text() == start

    def _set_guard(self) -> None:
        with locks.claim(self.root / "guard") as claim:
            if claim is not None:
                package = str(Path(__file__).resolve().parents[2])
                python = (sys.executable, "-I", "-S", "-c", _GUARD)
                argv = (*python, package, str(self.root), str(claim))
                detach(argv, output=subprocess.DEVNULL, keep=claim)

    def guard(self, claim: int) -> None:
        """Wait until nobody leases the server, stop it if it isn't kept, and end.

        `claim` is the lock `guard`. It is let go of before `lock` is, so that whoever leases next
        knows that it takes a new guard: there is always one, and never two.
        """
        while True:
            locks.wait_for_all(self.root / "alive")
            with self._deciding(math.inf):
                if self._settle():
                    os.close(claim)
                    return

    @contextmanager
    def _deciding(self, patience: float = _LOCK_SECONDS) -> Iterator[None]:
        """Hold `lock` inside the block; an error of the folder becomes one sentence."""
        deadline = time.monotonic() + patience
        with _plain_errors(self.root):
            while True:
                with locks.claim(self.root / "lock") as claim:
                    if claim is not None:
                        try:
                            yield
                        finally:
                            locks.unlock(claim)
                        return
                if time.monotonic() > deadline:
                    raise LocalError(
                        f"Another process has been starting or stopping the server in {self.root} "
                        f"for {_LOCK_SECONDS} s: end it, then run the command again."
                    )
                time.sleep(_TICK)


def guard(root: str, claim: int) -> None:
    """What the guard's process runs."""
    EmbeddedServer(Path(root)).guard(claim)


def _start_of(postmaster: Postmaster | None) -> str:
    return f"{postmaster.pid} {postmaster.since}" if postmaster is not None else ""


def _let_go(descriptors: tuple[int, int]) -> None:
    # Closed, not unlocked: a forked child that has them open goes on using the server.
    for descriptor in descriptors:
        os.close(descriptor)


@contextmanager
def _plain_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalError(
            f"The folder {root} of the embedded database can't be used ({error.strerror}: "
            f"{error.filename or root}): make it writable, free space on its disk, or choose "
            "another with OMNILEDGER_HOME."
        ) from None
