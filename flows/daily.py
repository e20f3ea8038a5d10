"""The daily flow: build, judge, publish, show.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from expectations import gate
from expectations.verdict import Verdict
from omniledger import modelling, publish, report, revisions, site
from omniledger.database import Dsn, session, target
from omniledger.errors import DatabaseError, GateRefused, OmniledgerError
from omniledger.merging.carrying import is_pending
from omniledger.modelling import Built
from omniledger.pricing import loading
from omniledger.pricing.loading import Loaded
from omniledger.publish import Published
from omniledger.runs import Run, recorded
from omniledger.screen import step
from omniledger.settings import Settings, get_settings

P = ParamSpec("P")
R = TypeVar("R")


def may_pass(task: Any, run: Any, state: Any) -> bool:
    """Whether trying again can help: the database was away; a refusal stays one."""
    try:
        state.result()
    except DatabaseError:
        return True
    except Exception:
        return False
    return False


def retried(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that is tried again when the database was away."""
    return task(name=name, retries=2, retry_delay_seconds=[1, 5], retry_condition_fn=may_pass)


@retried("check the schema")
def check_schema(dsn: Dsn, settings: Settings) -> bool:
    """Look at the schema without changing it, for a deploy is a deploy; tell it the settings.

    Returns:
        Whether the merge of the old audit table was put off, and is still to come.
    """
    with session(dsn) as connection:
        revisions.require_head(connection)
        settings.store(connection)
        return is_pending(connection, settings)


@retried("map users")
def map_users(dsn: Dsn) -> int:
    """Find the gateway's user of people who are new in the chat log."""
    with session(dsn) as connection:
        row = connection.execute("select ledger.map_users()").fetchone()
    return int(row[0]) if row else 0


@retried("load the prices")
def load_prices(dsn: Dsn) -> Loaded | None:
    """Take over the price list that is installed, where it isn't yet."""
    with session(dsn) as connection:
        return loading.load_if_new(connection)


@retried("note the limits")
def note_limits(dsn: Dsn) -> None:
    """Look which tables say what users may spend, and note what changed."""
    with session(dsn) as connection:
        connection.execute("select ledger.refresh_limits()")
        connection.execute("select ledger.note_limits()")


@task(name="build the models")
def build_models(dsn: Dsn, settings: Settings, run: Run) -> Built:
    """What was refused is not built upon: whatever spoiled it may have spoiled any day."""
    return modelling.build(dsn, settings, anew=run.follows_refusal)


@task(name="judge the figures")
def judge(dsn: Dsn, settings: Settings, run: Run) -> Verdict:
    return gate.judge(dsn, run.run_id, settings.site_dir, settings.home, run.began)


@retried("publish the figures")
def publish_figures(dsn: Dsn, run: Run) -> Published:
    with session(dsn, autocommit=True) as connection:
        return publish.publish(connection, run.run_id)


@task(name="write the docs")
def write_docs(dsn: Dsn, settings: Settings) -> Path:
    return modelling.write_docs(dsn, settings)


@task(name="build the site")
def build_site(dsn: Dsn, settings: Settings, dbt_docs: Path | None = None) -> Path:
    with session(dsn) as connection:
        return site.build(
            connection,
            settings.site_dir,
            dbt_docs=dbt_docs,
            show_emails=settings.show_emails,
        )


# Without parameters: Prefect keeps a flow's parameters, and one of them would be a password.
@flow(name="omniledger daily")
def daily() -> Published:
    """Walk the way of the data once, on the database of the settings.

    Raises:
        NotReadyError: the database isn't upgraded, or another run is at work.
        StepFailed: dbt failed.
        GateRefused: the gate refused the figures; those published before stand.
    """
    dsn, settings = target(), get_settings()
    with step("schema at its head") as told:
        if check_schema(dsn, settings):
            told(
                "the old audit table is not merged yet (`omniledger merge run`), so the figures "
                "are of what is in the ledger"
            )
    try:
        with recorded(dsn) as run:
            published = walk(dsn, settings, run)
            run.end("published")
    except (OmniledgerError, KeyboardInterrupt):
        # The page has to say that the run failed; that it can't is no news then.
        with suppress(OmniledgerError):
            build_site(dsn, settings)
        raise
    with step("site built"):
        build_site(dsn, settings, modelling.docs_page(settings))
    leave_artifacts(dsn, settings)
    return published


def walk(dsn: Dsn, settings: Settings, run: Run) -> Published:
    """The steps that lead to published figures."""
    map_users(dsn)
    note_limits(dsn)
    if (loaded := load_prices(dsn)) is not None:
        with step("price list loaded") as told:
            told(f"{loaded.source}, {len(loaded.new)} new, {len(loaded.changed)} changed")
            for sentence in loaded.kept:
                told(sentence)
    with step("models built and tested") as told:
        built = build_models(dsn, settings, run)
        told(f"{built.models} models, {built.tests} tests")
    with step("figures judged") as told:
        verdict = judge(dsn, settings, run)
        told(f"{len(verdict.results)} expectations")
    if not verdict.passed:
        raise GateRefused(verdict.reason())
    with step("figures published") as told:
        published = publish_figures(dsn, run)
        told(f"{published.rows} rows of days that changed")
    with step("model docs written"):
        write_docs(dsn, settings)
    return published


def leave_artifacts(dsn: Dsn, settings: Settings) -> None:
    """Show what came out where people look at the run in Prefect."""
    with session(dsn) as connection:
        totals = report.totals(report.collect(connection))
    create_table_artifact(
        key="figures", table=[{"figure": name, "value": value} for name, value in totals.items()]
    )
    create_markdown_artifact(
        key="pages",
        markdown=f"The report is `{settings.site_dir / 'index.html'}`; "
        "`omniledger site serve` serves it with the model docs and the Data Docs.",
    )
