"""Ways back and forth that are open after runs too: the upgrade's, and the gateway's own."""

import psycopg
import pytest

from omniledger import revisions
from omniledger.settings import PROJECT_DIR
from tests.conftest import ask
from tests.models.conftest import Marts, Prepared, request_at


def test_a_downgrade_goes_past_what_runs_built_and_the_next_run_builds_it_again(
    marts: Marts,
) -> None:
    request_at(marts, "2026-02-10 10:00+00", user_id=1)
    marts.run()
    revisions.downgrade(marts.dsn, "0001")
    # Nothing notes what is written now, so what was built of the day can't be brought up to date.
    ask(
        marts.dsn,
        "insert into omni2.audit_logs (timestamp, question, success)"
        " values ('2026-02-10 11:00+00', 'meanwhile', true)",
    )
    revisions.upgrade(marts.dsn)
    marts.dbt(marts.dsn, "run")
    assert ask(marts.dsn, "select sum(requests) from analytics_build.fct_daily_usage") == [(2,)]
    marts.assert_as_if_built_anew()


def test_the_gateway_changes_a_column_as_the_docs_say_and_the_next_run_builds(
    prepared: Prepared,
) -> None:
    dsn = prepared.restore("empty").dsn
    page = (PROJECT_DIR / "docs" / "operations.md").read_text()
    section = page.partition("## What changes for the gateway's own migrations")[2]
    drop, alter = section.partition("```sql\n")[2].partition("```")[0].strip().splitlines()
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="stg_users"):
        ask(dsn, alter)
    ask(dsn, drop)
    ask(dsn, alter)
    prepared.dbt(dsn, "run")
    assert ask(dsn, "select to_regclass('analytics_build.stg_users') is not null") == [(True,)]
