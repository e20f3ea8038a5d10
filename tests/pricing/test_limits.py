"""What a user may spend today: every table that says it, every odd limit, and the printed query."""

from __future__ import annotations

from decimal import Decimal

import pytest

from omniledger import revisions
from omniledger.database import Dsn, connect
from omniledger.errors import SettingsError
from omniledger.settings import Settings
from tests.conftest import Server, ask, version

# The query of the investigation, part B2, as it is printed there.
PRINTED = """
        SELECT
            COALESCE(SUM(llm_tokens_used), 0) as tokens_used,
            COALESCE(SUM(cost_usd), 0) as cost_used
        FROM omni2.audit_logs
        WHERE user_id = %(user_id)s
        AND timestamp >= CURRENT_DATE
        AND success = true
"""

TEAMS = """
create table auth_service.teams (id integer, team_cost_limit numeric(10, 2));
create table auth_service.team_members (team_id integer, user_id integer);
"""

OVERRIDES = "create table auth_service.user_overrides (user_id integer, custom_cost_limit numeric)"


@pytest.fixture
def dsn(server: Server) -> Dsn:
    dsn = server.state("empty:upgraded")
    ask(
        dsn,
        "insert into auth_service.roles (id, name, cost_limit_daily)"
        " values (1, 'user', 20), (2, 'unset', null), (3, 'none', 0), (4, 'below', -5);"
        "insert into auth_service.users (id, email, role_id)"
        " values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4), (5, 'e', null)",
    )
    return dsn


def used(dsn: Dsn, user: object, at: str = "now()", **values: object) -> None:
    row = {"user_id": user, "question": "?", "success": True, **values}
    places = ", ".join(["%s"] * len(row))
    ask(
        dsn,
        f"insert into omni2.audit_logs ({', '.join(row)}, timestamp) values ({places}, {at})",
        *row.values(),
    )


def check(dsn: Dsn, *arguments: object) -> dict[str, object]:
    places = ", ".join(["%s"] * len(arguments))
    with connect(dsn) as connection:
        cursor = connection.execute(
            f"select * from ledger.check_usage_limit({places})".encode(), arguments
        )
        names = [column.name for column in cursor.description or ()]
        [row] = cursor.fetchall()
        return dict(zip(names, row, strict=True))


def limits(dsn: Dsn) -> dict[int, tuple[object, str]]:
    rows = ask(dsn, "select user_id, cost_limit, basis from ledger.effective_limits()")
    for user, limit, _ in rows:
        assert check(dsn, user)["cost_limit"] == limit
    return {user: (limit, basis) for user, limit, basis in rows}


def test_the_answer_has_what_the_gateway_reads_and_the_unpriced_tokens(dsn: Dsn) -> None:
    used(dsn, 1, llm_tokens_used=100, cost_usd="1.25")
    assert check(dsn, 1) == {
        "allowed": True,
        "tokens_used": 100,
        "cost_used": Decimal("1.25"),
        "cost_limit": Decimal(20),
        "remaining": Decimal("18.75"),
        "exceeded": False,
        "tokens_unpriced": 0,
    }


def test_the_query_of_the_investigation_runs_as_printed_and_is_right(each_server: Server) -> None:
    dsn = each_server.state("investigation:upgraded")
    used(dsn, 2, llm_tokens_used=100, cost_usd="1.25")
    used(dsn, 2, tokens_input=1000, tokens_output=100)
    used(dsn, 2, llm_tokens_used=9, cost_usd="9", success=False)
    used(dsn, 3, llm_tokens_used=7, cost_usd="7")
    with connect(dsn) as connection:
        printed = connection.execute(PRINTED.encode(), {"user_id": 2}).fetchall()
    assert printed == [(1200, Decimal("1.2512"))]
    answer = check(dsn, 2)
    assert (answer["tokens_used"], answer["cost_used"]) == printed[0]


def test_a_limit_comes_from_whatever_says_one(dsn: Dsn) -> None:
    assert limits(dsn) == {
        1: (20, "role"),
        2: (10, "default"),
        3: (0, "role"),
        4: (0, "role"),
        5: (10, "default"),
    }
    ask(dsn, "update ledger.settings set value = '3.50' where name = 'default_cost_limit'")
    assert limits(dsn)[5] == (Decimal("3.50"), "default")
    assert check(dsn, 4711)["cost_limit"] == Decimal("3.50")


def test_a_user_in_two_teams_has_the_lower_limit_and_an_override_stands_before_all(
    dsn: Dsn,
) -> None:
    ask(dsn, TEAMS)
    ask(dsn, "insert into auth_service.teams values (1, 15), (2, 12), (3, null)")
    ask(dsn, "insert into auth_service.team_members values (1, 1), (2, 1), (3, 1), (3, 2), (1, 5)")
    ask(dsn, "select ledger.refresh_limits()")
    assert limits(dsn)[1] == (12, "team")
    assert limits(dsn)[2] == (10, "default")
    assert limits(dsn)[5] == (15, "team")
    ask(dsn, f"{OVERRIDES}; insert into auth_service.user_overrides values (1, 100), (5, null)")
    ask(dsn, "select ledger.refresh_limits()")
    assert limits(dsn)[1] == (100, "override")
    assert limits(dsn)[5] == (15, "team")


def test_of_a_role_and_a_team_that_say_the_same_the_role_is_named(dsn: Dsn) -> None:
    ask(dsn, TEAMS)
    ask(dsn, "insert into auth_service.teams values (1, 20), (2, 'NaN'), (3, 25), (4, -1)")
    ask(dsn, "insert into auth_service.team_members values (1, 1), (2, 2), (3, 5), (4, 4)")
    ask(dsn, "select ledger.refresh_limits()")
    assert limits(dsn) == {
        1: (20, "role"),
        2: (10, "default"),
        3: (0, "role"),
        4: (0, "role"),
        5: (25, "team"),
    }


def test_tables_that_come_and_go_never_break_the_check(dsn: Dsn) -> None:
    ask(dsn, f"{TEAMS} {OVERRIDES}; select ledger.refresh_limits()")
    assert check(dsn, 1)["cost_limit"] == 20
    ask(dsn, "drop table auth_service.teams, auth_service.user_overrides")
    assert check(dsn, 1)["cost_limit"] == 20
    ask(dsn, "drop table auth_service.roles cascade")
    assert check(dsn, 1)["cost_limit"] == 10
    ask(dsn, "drop table auth_service.users cascade")
    assert check(dsn, 1)["cost_limit"] == 10
    ask(dsn, "select ledger.refresh_limits()")
    assert check(dsn, 1)["cost_limit"] == 10
    assert ask(dsn, "select * from ledger.effective_limits()") == []


def test_ids_and_limits_may_be_kept_as_texts(dsn: Dsn) -> None:
    ask(dsn, f"{TEAMS} {OVERRIDES}")
    ask(dsn, "insert into auth_service.teams values (1, 15); select ledger.refresh_limits()")
    ask(dsn, "insert into auth_service.team_members values (1, 1), (1, 5)")
    ask(dsn, "insert into auth_service.user_overrides values (2, 7.5)")
    before = limits(dsn)
    assert before == {
        1: (15, "team"),
        2: (Decimal("7.5"), "override"),
        3: (0, "role"),
        4: (0, "role"),
        5: (15, "team"),
    }
    for change in (
        "auth_service.user_overrides alter user_id type varchar(20)",
        "auth_service.user_overrides alter custom_cost_limit type text",
        "auth_service.team_members alter user_id type text, alter team_id type text",
        "auth_service.teams alter team_cost_limit type text",
    ):
        ask(dsn, f"alter table {change}")
        # No run has looked since.
        assert {user: check(dsn, user)["cost_limit"] for user in before} == {
            user: limit for user, (limit, _) in before.items()
        }
        assert limits(dsn) == before
    ask(dsn, "select ledger.refresh_limits(), ledger.note_limits()")
    say = "alter table auth_service.user_overrides alter custom_cost_limit type text using '{}'"
    for no_limit in ("", " none ", "1e3", "-", ".", "9" * 140_000):
        ask(dsn, say.format(no_limit))
        assert check(dsn, 2)["cost_limit"] == 10
        assert limits(dsn)[2] == (10, "default")
    for text in (".5", "+5", " 0.50 ", "7."):
        ask(dsn, say.format(text))
        assert limits(dsn)[2] == (Decimal(text), "override")
        assert check(dsn, 2)["cost_limit"] == Decimal(text)


def test_a_user_beyond_all_numbers_of_persons_fails_no_check(dsn: Dsn) -> None:
    before = limits(dsn)
    ask(
        dsn,
        "alter table auth_service.users alter id type bigint;"
        "insert into auth_service.users (id, email) values (3000000000, 'far@example.com')",
    )
    ask(dsn, "select ledger.refresh_limits(), ledger.note_limits()")
    assert limits(dsn) == before
    assert check(dsn, 3_000_000_000)["cost_limit"] == 10


@pytest.mark.parametrize(
    ("limit", "shown", "exceeded"),
    [
        (None, 20, False),
        ("0", 0, True),
        ("-3", 0, True),
        ("NaN", 20, False),
        ("1", 1, True),
        ("1.000001", Decimal("1.000001"), False),
        (1.5, Decimal("1.5"), False),
    ],
)
def test_any_limit_can_be_given(
    dsn: Dsn, limit: str | float | None, shown: object, exceeded: bool
) -> None:
    used(dsn, 1, cost_usd="1")
    given = limit if isinstance(limit, float) else limit and Decimal(limit)
    answer = check(dsn, 1, given)
    assert (answer["cost_limit"], answer["exceeded"]) == (shown, exceeded)
    assert answer["allowed"] is not exceeded


def test_a_user_who_is_nobody_has_used_nothing(dsn: Dsn) -> None:
    used(dsn, None, cost_usd="5")
    for nobody in (None, -1, 2**62):
        assert check(dsn, nobody)["cost_used"] == 0


def test_tokens_without_a_cost_count_at_the_default_models_price_of_input(dsn: Dsn) -> None:
    used(dsn, 1, llm_tokens_used=1_000_000)
    used(dsn, 1, llm_tokens_used=500, cost_usd="0.10")
    answer = check(dsn, 1)
    assert answer["tokens_unpriced"] == 1_000_000
    assert answer["cost_used"] == Decimal("0.90")
    ask(dsn, "update ledger.settings set value = 'show' where name = 'unpriced_tokens'")
    answer = check(dsn, 1)
    assert (answer["tokens_unpriced"], answer["cost_used"]) == (1_000_000, Decimal("0.10"))


def test_impossible_figures_are_left_out(dsn: Dsn) -> None:
    for cost in ("NaN", "-1", "2", *(["Infinity"] if version(dsn) >= 14 else [])):
        used(dsn, 1, cost_usd=cost)
    used(dsn, 1, llm_tokens_used=-7)
    answer = check(dsn, 1)
    assert (answer["cost_used"], answer["tokens_used"]) == (2, 0)


@pytest.mark.parametrize(
    ("zone", "now", "spent"),
    [
        ("UTC", "2026-03-02 00:30+00", "1"),
        ("Europe/Berlin", "2026-03-02 00:30+00", "3"),
        ("America/New_York", "2026-03-02 00:30+00", "7"),
        # Clocks go back from 1:00 to 0:00: the day has two midnights, and 25 hours.
        ("America/Havana", "2026-11-01 06:30+00", "40"),
    ],
)
def test_the_day_is_that_of_the_reporting_time_zone(
    dsn: Dsn, zone: str, now: str, spent: str
) -> None:
    ask(dsn, "insert into ledger.settings values ('as_of', %s)", now)
    ask(dsn, "update ledger.settings set value = %s where name = 'reporting_timezone'", zone)
    for at, cost in (
        ("2026-03-01 20:00+00", 4),
        ("2026-03-01 23:00+00", 2),
        ("2026-03-02 00:00+00", 1),
        ("2026-11-01 03:59:59+00", 10),
        ("2026-11-01 04:00+00", 20),
        ("2026-11-02 04:59:59+00", 20),
        ("2026-11-02 05:00+00", 80),
    ):
        used(dsn, 1, f"'{at}'", cost_usd=cost)
    assert check(dsn, 1)["cost_used"] == Decimal(spent)


def test_a_time_zone_that_only_the_database_does_not_know_never_reaches_the_check(
    dsn: Dsn,
) -> None:
    named_since = Settings.model_construct(reporting_timezone="Europe/Named_Next_Year")
    with (
        connect(dsn) as connection,
        pytest.raises(SettingsError, match="the database knows no time zone 'Europe/Named_Next_Y"),
    ):
        named_since.store(connection)
    used(dsn, 1, cost_usd="1")
    assert check(dsn, 1)["cost_used"] == 1


def test_a_limit_is_noted_when_it_changes_and_from_ever_when_it_is_first_seen(dsn: Dsn) -> None:
    noted = "select user_id, valid_from::text, cost_limit from ledger.limit_history order by 1, 2"
    ask(dsn, "select ledger.note_limits()")
    assert ask(dsn, noted)[0] == (1, "-infinity", 20)
    assert ask(dsn, noted)[-1] == (None, "-infinity", 10)
    assert ask(dsn, "select ledger.note_limits()") == [(0,)]
    ask(dsn, "update auth_service.roles set cost_limit_daily = 30 where id = 1")
    assert ask(dsn, "select ledger.note_limits()") == [(1,)]
    old, new, *_ = ask(dsn, noted)
    assert old == (1, "-infinity", 20)
    assert (new[0], new[2]) == (1, 30)
    assert new[1] != "-infinity"


def test_of_several_rows_of_one_user_the_lowest_limit_is_noted_once(dsn: Dsn) -> None:
    """As a table of users has them that was restored without its key."""
    ask(
        dsn,
        "alter table auth_service.users drop constraint users_pkey cascade;"
        " insert into auth_service.users (id, email, role_id) values (1, 'a', 3), (3, 'c', 1);"
        " select ledger.note_limits()",
    )
    assert ask(dsn, "select ledger.note_limits()") == [(0,)]
    assert (limits(dsn)[1], limits(dsn)[3]) == ((0, "role"), (0, "role"))
    ask(dsn, "drop function ledger.effective_limit(bigint)")
    assert (check(dsn, 1)["cost_limit"], check(dsn, 3)["cost_limit"]) == (0, 0)


def test_the_limit_of_who_was_deleted_is_noted_as_everybodys(dsn: Dsn) -> None:
    ask(dsn, "select ledger.note_limits()")
    ask(dsn, "delete from auth_service.users where id = 1")
    assert ask(dsn, "select ledger.note_limits()") == [(1,)]
    last = (
        "select cost_limit, basis from ledger.limit_history where user_id = 1"
        " order by valid_from desc limit 1"
    )
    assert ask(dsn, last) == [(check(dsn, 1)["cost_limit"], "default")]
    with connect(dsn) as connection:
        Settings(default_cost_limit=Decimal(7)).store(connection)
    ask(dsn, "select ledger.note_limits()")
    assert ask(dsn, last) == [(check(dsn, 1)["cost_limit"], "default")] == [(7, "default")]
    ask(dsn, "insert into auth_service.users (id, email, role_id) values (1, 'a', 1)")
    ask(dsn, "select ledger.note_limits()")
    assert ask(dsn, last) == [(20, "role")]


def test_the_way_back_leaves_nothing_of_it(each_server: Server) -> None:
    dsn = each_server.state("gateway:upgraded")
    left = "select proname from pg_proc where pronamespace = 'ledger'::regnamespace order by 1"
    before = ask(dsn, left)
    revisions.downgrade(dsn, "0007")
    assert {name for (name,) in ask(dsn, left)} >= {"price_usage", "usage_cost"}
    assert "limit" not in " ".join(name for (name,) in ask(dsn, left))
    cost = "select ledger.usage_cost('claude-3-5-haiku', now(), 1000000, 0)"
    assert ask(dsn, cost) == [(Decimal("0.8"),)]
    revisions.upgrade(dsn)
    assert ask(dsn, left) == before
