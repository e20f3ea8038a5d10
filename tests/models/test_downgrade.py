"""A way back that is open after runs too, and a way forth after it."""

from omniledger import revisions
from tests.conftest import ask
from tests.models.conftest import Marts, request_at


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
