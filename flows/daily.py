"""The daily flow: build, judge, publish, show.

Import this module after `flows.environment.prepare`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from prefect import flow

from expectations import gate
from expectations.verdict import Verdict
from flows.artifacts import leave_pages, left_of
from flows.retrying import retried
from omniledger import modelling, noting, publish, report, revisions, screen, site
from omniledger.analytics.copying import Copied, copy_changes
from omniledger.analytics.link import is_attached, require_not_detached
from omniledger.counting import plural
from omniledger.database import Dsn, session, target
from omniledger.errors import GateRefused, OmniledgerError
from omniledger.history import BUILDING, JUDGING, PUBLISHING
from omniledger.marts import BUILD, is_built_later_than_now
from omniledger.merging.carrying import is_pending
from omniledger.pricing import loading
from omniledger.pricing.loading import Loaded
from omniledger.pruning.zone import require_same_days
from omniledger.publish import Published
from omniledger.roles import let_runners_own, require_no_superuser
from omniledger.running import wait_for_imports
from omniledger.runs import Part, Run, recorded
from omniledger.screen import say
from omniledger.settings import Settings, get_settings

COPYING = "source copied"
NOTING = "people and limits noted"
PRICING = "prices loaded"
DOCUMENTING = "model docs written"
SHOWING = "site built"
STEPS = (NOTING, PRICING, BUILDING, JUDGING, PUBLISHING, DOCUMENTING, SHOWING)
"""What a run does, in order, by the names under which `ledger.run_steps` times it.

On an analytics server the source is copied instead of the first two, which are done there.
"""


@retried("check the schema")
def check_schema(dsn: Dsn, settings: Settings) -> bool:
    """Look at the schema without changing it, for a deploy is a deploy.

    Returns:
        Whether the merge of the old audit table was put off, and is still to come.
    """
    with session(dsn) as connection:
        revisions.require_head(connection)
        require_no_superuser(connection)
        return is_pending(connection, settings)


@retried("tell the settings")
def tell_settings(dsn: Dsn, settings: Settings, run: Run) -> bool:
    """Tell the database the settings, once it is this run's turn: another is at work with its own.

    Returns:
        Whether the database is a copy, at an analytics server.

    Raises:
        NotReadyError: it is one whose source was detached.
        SettingsError: the time zone is another one than that of the days that stay for good.
    """
    run.require_turn()
    with session(dsn) as connection:
        require_not_detached(connection)
        require_same_days(connection, settings.reporting_timezone)
        settings.store(connection)
        return is_attached(connection)


@retried("map users")
def map_users(dsn: Dsn) -> int:
    """Find the gateway's user of people who are new in the chat log."""
    with session(dsn) as connection:
        return noting.map_users(connection)


@retried("load the prices")
def load_prices(dsn: Dsn) -> Loaded | None:
    """Take over the price list that is installed, where it isn't yet."""
    with session(dsn) as connection:
        return loading.load_if_new(connection)


@retried("note the limits")
def note_limits(dsn: Dsn) -> None:
    """Look which tables say what users may spend, and note what changed."""
    with session(dsn) as connection:
        noting.note_limits(connection)


@retried("copy the source")
def copy_source(dsn: Dsn, settings: Settings) -> Copied:
    """Take over what changed at the source of an analytics server."""
    with session(dsn) as connection:
        return copy_changes(connection, settings)


@retried("build the models")
def build_models(dsn: Dsn, settings: Settings, run: Run) -> tuple[Part, ...]:
    """What was refused is not built upon: whatever spoiled it may have spoiled any day."""
    run.require_turn()
    with session(dsn) as connection:
        anew = run.follows_refusal or is_built_later_than_now(connection)
    try:
        return modelling.build(dsn, settings, anew=anew)
    finally:
        # Also of a build that failed; where the connection was lost, the next run does it.
        with suppress(OmniledgerError), session(dsn) as connection:
            let_runners_own(connection, BUILD)


@retried("judge the figures")
def judge(dsn: Dsn, settings: Settings, run: Run) -> Verdict:
    run.require_turn()
    return gate.judge(dsn, run.run_id, settings.site_dir, settings.home, run.began)


@retried("publish the figures")
def publish_figures(dsn: Dsn, run: Run) -> Published:
    run.require_turn()
    with session(dsn, autocommit=True) as connection:
        return publish.publish(connection, run.run_id)


@retried("write the docs")
def write_docs(dsn: Dsn, settings: Settings) -> Path:
    return modelling.write_docs(dsn, settings)


@retried("build the site")
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
    with screen.step("schema at its head") as told:
        if check_schema(dsn, settings):
            told(
                "the old audit table is not merged yet (`omniledger merge run`), so the figures "
                "are of what is in the ledger"
            )
    try:
        with recorded(dsn) as run, left_of(run, len(STEPS)):
            for sentence in run.after_killed:
                say(f"  {sentence}; this one makes up for it", level="warning")
            published = walk(dsn, settings, run)
            # What fails from here on takes back nothing of what readers have.
            run.end("published")
            with run.step(DOCUMENTING):
                write_docs(dsn, settings)
            with run.step(SHOWING):
                build_site(dsn, settings, modelling.docs_page(settings))
    except (OmniledgerError, KeyboardInterrupt):
        # The page has to say that the run failed; that it can't is no news then.
        wait_for_imports()
        with suppress(OmniledgerError):
            build_site(dsn, settings)
        raise
    with session(dsn) as connection:
        leave_pages(report.totals(report.collect(connection)), settings.site_url)
    return published


def walk(dsn: Dsn, settings: Settings, run: Run) -> Published:
    """The steps that lead to published figures."""
    site.require_writable(settings.site_dir)
    if tell_settings(dsn, settings, run):
        copy(dsn, settings, run)
    else:
        note(dsn, run)
    with run.step(BUILDING) as step:
        built = build_models(dsn, settings, run)
        step.tell(f"{len(built)} models")
        step.parts = built
    with run.step(JUDGING) as step:
        verdict = judge(dsn, settings, run)
        step.tell(f"{len(verdict.results)} expectations")
    if not verdict.passed:
        raise GateRefused(verdict.reason())
    with run.step(PUBLISHING) as step:
        published = publish_figures(dsn, run)
        step.tell(f"{plural(published.rows, 'row')} of days that changed")
        step.rows = published.rows
    return published


def note(dsn: Dsn, run: Run) -> None:
    """See who is who, what they may spend, and what models cost."""
    with run.step(NOTING):
        map_users(dsn)
        note_limits(dsn)
    with run.step(PRICING) as step:
        loaded = load_prices(dsn)
        if loaded is not None:
            step.tell(f"{loaded.source}, {len(loaded.new)} new, {len(loaded.changed)} changed")
            for sentence in loaded.kept:
                step.tell(sentence)


def copy(dsn: Dsn, settings: Settings, run: Run) -> None:
    """Take over what changed at the source; the gate holds the figures to all of it."""
    with run.step(COPYING) as step:
        copied = copy_source(dsn, settings)
        for sentence in copied.sentences:
            step.tell(sentence)
        step.rows = sum(copied.rows.values())
    run.begin()
