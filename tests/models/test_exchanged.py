"""What changes places between two rows is stopped, though the sums of their day stay the same."""

from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from expectations import gate
from tests.conftest import ask
from tests.models.conftest import FOCUS, HOURS, SERVERS, USAGE, Marts, Prepared

D1, D2, D3, D4, D5 = (f"2026-03-0{day}" for day in range(1, 6))

# Each day two users ask three models of two servers, in each way in which a cost is known.
_FILL = (
    """
    insert into ledger.model_prices (
        model, valid_from, input, output, cached_read, cache_write_5m, source
    ) values
    ('sonnet', '-infinity', 3, 15, 0.3, null, 'test'),
    ('sonnet', '2026-03-02 12:30+00', 2, 10, 0.2, null, 'test')
    """,
    "insert into ledger.model_names values ('sonnet', 'sonnet', 'test')",
    "insert into ledger.model_history (model, valid_from) values ('sonnet', '2026-03-04 11:00+00')",
    """
    insert into omni2.audit_logs (
        timestamp, question, success, was_blocked, user_id, llm_model, mcps_accessed,
        tokens_input, tokens_output, tokens_cached, llm_tokens_used, cost_usd
    )
    select
        day + hour * interval '1 hour', '?', hour <> 13, hour = 14, person, model,
        case when hour % 2 = person % 2 then array['files'] else array['files', 'search'] end,
        tokens_input * size, tokens_output * size, tokens_cached * size, total * size, cost
    from generate_series(timestamptz '2026-03-01 00:00+00', '2026-03-05', '1 day') as day
    cross join (values (1, 3), (2, 8)) as persons (person, size)
    cross join (
        values
        (10, 'claude-3-5-haiku', 100, 10, null, null, null),
        (11, 'Claude-3-5-haiku-20241022', null, null, null, 70, null),
        (12, 'sonnet', 90, 9, 7, null, null),
        (13, 'sonnet', 80, 8, 0, null, null),
        (14, null, 30, 3, null, 33, 0.01),
        (15, 'sonnet', 5, null, 1, 55, null),
        (16, 'of no price', 20, 2, null, null, null),
        (17, 'claude-3-5-haiku', -1, 2, null, null, null)
    ) as asked (hour, model, tokens_input, tokens_output, tokens_cached, total, cost)
    """,
    "insert into omni2.mcp_servers (id, name) values (1, 'files'), (2, 'search')",
    """
    insert into omni2.mcp_health_log (mcp_server_id, timestamp, status)
    select
        server, at,
        case extract(hour from at) when 10 then 'disabled' when 11 then 'timeout' else 'healthy' end
    from (values (1), (2)) as servers (server)
    cross join generate_series(
        timestamptz '2026-03-01 00:00+00', '2026-03-05 23:55+00', '5 minutes'
    ) as at
    where extract(hour from at) not between 13 and 14
    """,
)


class Exchange(NamedTuple):
    """What changes places, and the rule and the day that tell it."""

    what: str
    change: str
    rule: str
    day: str


_OF_USER = "Each day, user, model and source has the figures that the ledger has"
_OF_SERVER = "Each day, server and model has its share of what the ledger has"
_OF_HOUR = "Each hour has the states that the timeline gives it"


def _between(mart: str, one: str, other: str, *figures: str) -> str:
    """Two rows, each of them of a condition, that have each other's figures."""
    return (
        f"update analytics_build.{mart} as here set"
        f" {', '.join(f'{name} = there.{name}' for name in figures)}"
        f" from (select * from analytics_build.{mart}) as there"
        f" where (({_of('here', one)}) and ({_of('there', other)}))"
        f" or (({_of('here', other)}) and ({_of('there', one)}))"
    )


def _of(row: str, condition: str) -> str:
    return condition.replace("@", f"{row}.")


def _usage(day: str, user: int, model: str) -> str:
    return f"@usage_date = '{day}' and @user_id = {user} and @llm_model = '{model}'"


def _server(day: str, server: str, model: str) -> str:
    return f"@usage_date = '{day}' and @mcp_server = '{server}' and @llm_model = '{model}'"


def _hour(day: str, hour: int) -> str:
    return f"@mcp_server_id = 1 and @hour_at = '{day} {hour}:00+00'"


EXCHANGES = (
    Exchange(
        "a computed cost of two servers",
        f"update analytics_build.{SERVERS} set cost_usd = cost_usd + moved,"
        " cost_recomputed_usd = cost_recomputed_usd + moved from (values ('files', 0.00001),"
        " ('search', -0.00001)) as moves (server, moved)"
        f" where mcp_server = server and usage_date = '{D1}' and llm_model = 'sonnet'",
        _OF_SERVER,
        D1,
    ),
    Exchange(
        "an estimated cost of two servers",
        f"update analytics_build.{SERVERS} set cost_usd = cost_usd + moved"
        " from (values ('files', -0.00001), ('search', 0.00001)) as moves (server, moved)"
        f" where mcp_server = server and usage_date = '{D2}' and llm_model = 'claude-3-5-haiku'",
        _OF_SERVER,
        D2,
    ),
    Exchange(
        "names of a server's models",
        _between(
            SERVERS,
            _server(D3, "files", "sonnet"),
            _server(D3, "files", "of no price"),
            "model_names",
        ),
        _OF_SERVER,
        D3,
    ),
    Exchange(
        "tokens of two models, one kind against another",
        f"update analytics_build.{USAGE} set tokens_input = tokens_input + moved,"
        " tokens_output = tokens_output - moved from (values ('sonnet', 1), ('of no price', -1))"
        f" as moves (model, moved) where llm_model = model and usage_date = '{D1}' and user_id = 1",
        _OF_USER,
        D1,
    ),
    Exchange(
        "errors of two users",
        f"update analytics_build.{USAGE} set errors = case user_id when 1 then 2 else 0 end"
        f" where usage_date = '{D2}' and llm_model = 'sonnet'",
        _OF_USER,
        D2,
    ),
    Exchange(
        "names of a user's models",
        _between(USAGE, _usage(D4, 1, "sonnet"), _usage(D4, 1, "of no price"), "model_names"),
        _OF_USER,
        D4,
    ),
    Exchange(
        "what is not known of two users' cost",
        _between(
            USAGE, _usage(D3, 1, "of no price"), _usage(D3, 2, "of no price"), "tokens_cost_unknown"
        ),
        _OF_USER,
        D3,
    ),
    Exchange(
        "models of two rows of a user, with all that names them",
        _between(
            USAGE,
            _usage(D5, 1, "claude-3-5-haiku"),
            _usage(D5, 1, "of no price"),
            "llm_model",
        ),
        "Each model is the one that its names mean",
        D5,
    ),
    Exchange(
        "names of the export's models",
        f"update analytics_build.{FOCUS} set model_names = '[\"sonnet\"]'"
        f" where usage_date = '{D3}' and x_model = 'of no price'",
        "Each model has the names that the daily usage has",
        D3,
    ),
    Exchange(
        "the export's tokens of no kind, of two users",
        _between(
            FOCUS,
            "@x_token_kind = 'unsplit' and @x_user_id = 1 and @x_model = 'sonnet'"
            f" and @usage_date = '{D2}'",
            "@x_token_kind = 'unsplit' and @x_user_id = 2 and @x_model = 'sonnet'"
            f" and @usage_date = '{D2}'",
            "x_tokens",
        ),
        "Each day's cost and tokens are what the daily usage says",
        D2,
    ),
    Exchange(
        "disabled and unknown seconds of two hours",
        _between(HOURS, _hour(D2, 10), _hour(D2, 14), "disabled_seconds", "unknown_seconds"),
        _OF_HOUR,
        D2,
    ),
    Exchange(
        "up and unknown seconds of two hours",
        _between(HOURS, _hour(D3, 9), _hour(D3, 14), "up_seconds", "unknown_seconds"),
        _OF_HOUR,
        D3,
    ),
)


def _filled(marts: Marts) -> None:
    for statement in _FILL:
        ask(marts.dsn, statement)


@pytest.fixture
def marts(prepared: Prepared) -> Marts:
    return prepared.in_state("asked in every way", _filled)


def test_rows_that_have_each_others_figures_are_stopped(marts: Marts, tmp_path: Path) -> None:
    right = gate.judge(marts.dsn, uuid4(), tmp_path / "site", tmp_path / "home")
    assert right.passed, right.reason()
    for exchange in EXCHANGES:
        ask(marts.dsn, exchange.change)

    wrong = gate.judge(marts.dsn, uuid4(), tmp_path / "site", tmp_path / "home")

    told = {
        (failure.expectation, str(row.get("usage_date", row.get("health_date"))))
        for failure in wrong.failures
        for row in failure.sample
    }
    for exchange in EXCHANGES:
        assert (exchange.rule, exchange.day) in told, exchange.what
