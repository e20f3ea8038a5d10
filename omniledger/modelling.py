"""dbt, called in this process: build the models, write their docs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniledger.database import Dsn, pinned
from omniledger.errors import LocalError, NotReadyError, PassingError, StepFailed
from omniledger.explaining import is_passing
from omniledger.runs import Part
from omniledger.settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult

# A level for the screen alone is one for the file, too.
_TELLING = ("--log-level", "none", "--log-level-file", "info", "--no-use-colors")

_FORBIDDEN = {
    "must be owner of": (
        "another login made it: what `omniledger roles sql` prints gives it to the runners, run by "
        "its owner or a superuser"
    ),
    "permission denied": (
        "make this login a member of omniledger_runner (docs/security.md); where it is one, run "
        "what `omniledger roles sql` prints as the owner of the gateway's tables"
    ),
}
"""What PostgreSQL says of rights that lack, and the way out."""

_BAD = ("error", "fail", "runtime error")


def environment(dsn: Dsn, settings: Settings) -> dict[str, str]:
    """What dbt reads of the database and the settings, in this process or another."""
    state = settings.home / "dbt"
    return {
        **dsn.environment(),
        **settings.environment(),
        "DBT_PROJECT_DIR": str(PROJECT_DIR),
        "DBT_PROFILES_DIR": str(PROJECT_DIR),
        "DBT_TARGET_PATH": str(state / "target"),
        "DBT_LOG_PATH": str(state / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        "DO_NOT_TRACK": "1",
    }


def warm_up() -> None:
    """Import dbt, which takes seconds; a flow may do it while it waits for something else."""
    import dbt.cli.main  # noqa: F401


def build(dsn: Dsn, settings: Settings, *, anew: bool = False) -> tuple[Part, ...]:
    """Build every model into `analytics_build`.

    dbt's tests are for those who change a model: they read all that is there, however little
    changed, and the gate judges the same of what was built.

    Args:
        anew: every day, whether it changed or not.

    Returns:
        Each model, with how long it took.

    Raises:
        StepFailed: a model failed; the sentence names the first.
        NotReadyError: rights lack, or another login made what was to be replaced.
        PassingError: the connection was lost, or others were at the same rows.
        LocalError: dbt can't write its own files.
    """
    refresh = ["--full-refresh"] if anew else []
    outcome = _run(dsn, settings, "run", *refresh)
    results = list(getattr(outcome.result, "results", []))
    bad = [result for result in results if str(result.status) in _BAD]
    if bad or not outcome.success:
        raise _error(bad[0] if bad else None, outcome.exception, settings)
    return tuple(_part(r) for r in results if str(r.node.resource_type) == "model")


def _part(result: Any) -> Part:
    """How long a model took, and the rows of its last statement, where that wrote a table."""
    rows = (result.adapter_response or {}).get("rows_affected", -1)
    seconds = Decimal(str(round(result.execution_time, 3)))
    return Part(str(result.node.name), seconds, rows if rows >= 0 else None)


def write_docs(dsn: Dsn, settings: Settings) -> Path:
    """Write the documentation of the models just built, one page that needs no network.

    Returns:
        The page.

    Raises:
        StepFailed: dbt could not write it.
    """
    # The manifest is the build's own, compiled a moment ago.
    outcome = _run(dsn, settings, "docs", "generate", "--static", "--no-compile")
    if not outcome.success:
        raise _error(None, outcome.exception, settings)
    return docs_page(settings)


def docs_page(settings: Settings) -> Path:
    """Where the page of `write_docs` is, if it was written."""
    return settings.home / "dbt" / "target" / "static_index.html"


def _run(dsn: Dsn, settings: Settings, *arguments: str) -> dbtRunnerResult:
    from dbt.cli.main import dbtRunner

    with _environment(environment(pinned(dsn), settings)):
        try:
            settings.make_home()
            (settings.home / "dbt").mkdir(exist_ok=True)
            outcome = dbtRunner().invoke([*arguments, *_TELLING])
        except OSError as error:
            raise _no_room(error, settings) from None

    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        # dbt catches even the person's own Ctrl-C.
        raise outcome.exception
    return outcome


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _error(
    result: Any, exception: BaseException | None, settings: Settings
) -> StepFailed | PassingError | NotReadyError | LocalError:
    """What went wrong; dbt keeps no more of it than words."""
    if isinstance(exception, OSError):
        return _no_room(exception, settings)
    words = str(result.message if result else exception)
    sentence = _sentence(result, exception, settings)
    if is_passing(words):
        return PassingError(sentence)
    for refusal, way_out in _FORBIDDEN.items():
        if refusal in words:
            return NotReadyError(f"{sentence.removesuffix('.')}; {way_out}.")
    return StepFailed(sentence)


def _no_room(error: OSError, settings: Settings) -> LocalError:
    return LocalError(
        f"dbt can't write below {settings.home}: {error.strerror}; free it or set "
        "OMNILEDGER_HOME to another folder."
    )


def _sentence(result: Any, exception: BaseException | None, settings: Settings) -> str:
    log = settings.home / "dbt" / "logs" / "dbt.log"
    if result is None:
        lines = str(exception or "dbt failed").strip().splitlines()
        return f"dbt failed: {' '.join(line.strip() for line in lines[:3])}; its log is {log}."
    # What follows is the statement, which may be longer than what was wrong with it.
    message = " ".join(str(result.message or result.status).partition("CONTEXT:")[0].split())
    kind = str(result.node.resource_type).replace("_", " ")
    return f"The {kind} {result.node.name} failed: {message[:300]}; dbt's log is {log}."
