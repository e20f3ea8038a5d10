"""Whatever happens between the runs, the marts are what they would be if built anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from expectations import gate
from omniledger.database import Connection, connect
from tests.models.conftest import Marts

Step = Callable[[Random, Connection], None]


def _moment(random: Random) -> str:
    day = random.randrange(1, 6)
    near_midnight = random.choice(("00:00:00", "23:59:59.999999", "23:50:00", "00:10:00"))
    anywhere = f"{random.randrange(24):02}:{random.randrange(60):02}:{random.random() * 60:09.6f}"
    return f"2026-03-{day:02} {random.choice((near_midnight, anywhere))}+00"


def _figure(random: Random) -> int | None:
    return random.choice((None, 0, 1, 1000, 2_000_000_000, -1))


def _add_rows(random: Random, connection: Connection) -> None:
    endless = "Infinity" if connection.info.server_version >= 140000 else "NaN"
    for _ in range(random.randrange(1, 4)):
        connection.execute(
            "insert into omni2.audit_logs (timestamp, question, success, user_id, tool_called,"
            " mcp_target, mcps_accessed, tools_used, llm_model, tokens_input, tokens_output,"
            " tokens_cached, llm_tokens_used, cost_usd, duration_ms, was_blocked)"
            " values (%s, '?', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                _moment(random),
                random.random() < 0.8,
                random.choice((None, 1, 2)),
                random.choice((None, "read", "write")),
                random.choice((None, "files")),
                random.choice((None, [], ["c", "a", "b"], ["b", None, "b", "", "files"])),
                random.choice((None, ["read"], ["a.read", "a.seek", "b.say"])),
                random.choice((None, "a", "b", "us.anthropic.x-20260301-v1:0")),
                *(_figure(random) for _ in range(4)),
                random.choice((None, "0", "0.0000001", "-1", "NaN", endless)),
                _figure(random),
                random.random() < 0.1,
            ],
        )


def _add_events(random: Random, connection: Connection) -> None:
    for _ in range(random.randrange(1, 4)):
        connection.execute(
            "insert into omni2.mcp_health_log (timestamp, mcp_server_id, status, response_time_ms)"
            " values (%s, %s, %s, %s)",
            [
                _moment(random),
                random.choice((1, 2)),
                random.choice(("healthy", "timeout", "disabled", "odd")),
                _figure(random),
            ],
        )


_SOME = "(select id from omni2.{table} order by md5(id::text || %s) limit 2)"


def _on_some(statement: str, *values: Callable[[Random], object]) -> Step:
    def step(random: Random, connection: Connection) -> None:
        for table in ("audit_logs", "mcp_health_log"):
            query = f"{statement} where id in {_SOME}".format(table=table)
            given = [value(random) for value in values]
            connection.execute(query.encode(), [*given, str(random.random())])

    return step


def _reach(random: Random, connection: Connection) -> None:
    """Say afterwards which servers a request called."""
    query = f"update omni2.audit_logs set mcps_accessed = %s where id in {_SOME}"
    servers = random.choice((None, ["a"], ["a", "c", "c"]))
    connection.execute(query.format(table="audit_logs").encode(), [servers, str(random.random())])


def _price(random: Random, connection: Connection) -> None:
    connection.execute(
        "insert into ledger.model_prices"
        " (is_own, model, valid_from, valid_to, input, output, source)"
        " values (%s, %s, %s, %s, %s, %s, 'test')"
        " on conflict (model, is_own, valid_from) do update set input = excluded.input",
        [
            random.random() < 0.5,
            random.choice(("a", "b", "claude-3-5-haiku")),
            _moment(random),
            random.choice((None, "2026-03-04 00:00+00")),
            random.randrange(9),
            random.randrange(9),
        ],
    )


def _state(random: Random, connection: Connection) -> None:
    connection.execute(
        "insert into ledger.model_history values (%s, %s) on conflict (valid_from)"
        " do update set model = excluded.model",
        [f"2026-03-0{random.randrange(1, 6)} 00:00+00", random.choice(("a", "b"))],
    )


def _name(random: Random, connection: Connection) -> None:
    connection.execute(
        "insert into ledger.model_names values (%s, %s, 'test')"
        " on conflict (name) do update set model = excluded.model",
        [random.choice(("a", "x", "claude-3-5-haiku")), random.choice(("a", "b", "x"))],
    )


def _limit(random: Random, connection: Connection) -> None:
    connection.execute(
        "insert into ledger.limit_history values (%s, %s, %s, 'test')",
        [random.choice((None, 1, 2)), _moment(random), random.randrange(3)],
    )


def _move_clock(random: Random, connection: Connection) -> None:
    connection.execute(
        "update ledger.settings set value = %s where name = 'as_of'", [_moment(random)]
    )


STEPS: tuple[Step, ...] = (
    _add_rows,
    _add_rows,
    _add_rows,
    _add_events,
    _add_events,
    _on_some("delete from omni2.{table}"),
    _on_some("update omni2.{table} set timestamp = %s", _moment),
    _on_some("update omni2.{table} set error_message = 'touched'"),
    _reach,
    _price,
    _state,
    _name,
    _limit,
    _move_clock,
)


@pytest.mark.parametrize("seed", range(2))
def test_a_random_history_ends_as_if_built_anew_and_the_gate_lets_it_pass(
    marts: Marts, seed: int, tmp_path: Path
) -> None:
    random = Random(seed)
    with connect(marts.dsn) as setting_up:
        setting_up.execute("insert into omni2.mcp_servers (id, name) values (1, 'a'), (2, 'b')")
    slow: Connection | None = None
    for _ in range(4):
        with connect(marts.dsn) as connection:
            for _ in range(random.randrange(1, 5)):
                random.choice(STEPS)(random, connection)
        if slow is None:
            slow = connect(marts.dsn)
            random.choice((_add_rows, _add_events))(random, slow)
        elif random.random() < 0.5:
            slow.commit()
            slow.close()
            slow = None
        marts.run()
        marts.assert_as_if_built_anew()
    if slow is not None:
        slow.commit()
        slow.close()
    with connect(marts.dsn) as connection:
        # No row of it is in the future any more, which the gate would stop.
        connection.execute(
            "update ledger.settings set value = '2026-03-06 12:00+00' where name = 'as_of'"
        )
    marts.run()
    marts.assert_as_if_built_anew()
    verdict = gate.judge(marts.dsn, uuid4(), tmp_path / "site", tmp_path / "home")
    assert verdict.failures == ()
