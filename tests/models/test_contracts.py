"""The contracts of the logs dialog: what the models state is what the functions return."""

from typing import Any

import pytest

from tests.conftest import ask
from tests.models.conftest import Marts, Prepared

_OF_MODEL = """
    select attname::text, format_type(atttypid, atttypmod)
    from pg_attribute
    where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
    order by attnum
"""
_OF_FUNCTION = """
    select c.name, format_type(c.type, null)
    from pg_proc as p
    cross join lateral unnest(p.proargnames, p.proallargtypes, p.proargmodes)
        with ordinality as c (name, type, mode, place)
    where p.oid = to_regproc(%s) and c.mode = 't'
    order by c.place
"""


@pytest.mark.parametrize(
    ("model", "function"),
    [("contract_audit_log", "mcp_server_audit"), ("contract_health_log", "mcp_server_logs")],
)
def test_functions_return_what_the_models_state(
    prepared: Prepared, marts: Marts, model: str, function: str
) -> None:
    assert prepared.dbt.manifest is not None
    node: Any = prepared.dbt.manifest.nodes[f"model.omniledger.{model}"]
    assert node.config.contract.enforced
    built = ask(marts.dsn, _OF_MODEL, f"analytics_build.{model}")
    assert ask(marts.dsn, _OF_FUNCTION, f"ledger.{function}") == built
    assert [(c.name, c.data_type) for c in node.columns.values()] == [
        (name, kind.replace("timestamp with time zone", "timestamptz")) for name, kind in built
    ]


def test_functions_and_models_show_the_same_rows(marts: Marts) -> None:
    ask(
        marts.dsn,
        "insert into omni2.mcp_servers (id, name) values (1, 'files');"
        "insert into auth_service.users (id, email) values (1, 'ada@example.com');"
        "insert into omni2.audit_logs (user_id, timestamp, question, mcp_target, tool_called,"
        " tools_used, success, duration_ms, tool_params, mcps_accessed) values"
        " (1, '2026-03-01', '?', 'files', 'read', null, true, 5, '{}', null),"
        " (2, '2026-03-02', '?', 'files', null, null, false, null, null, '{files}'),"
        " (null, '2026-03-03', '?', null, null, '{read,write}', null, -1, '{}', '{other,files}'),"
        " (null, null, 'no time', 'files', null, null, null, -1, '{}', '{files}');"
        "insert into omni2.mcp_health_log (mcp_server_id, timestamp, status, meta_data) values"
        " (1, '2026-03-01', 'healthy', '{}'), (1, '2026-03-02', 'odd', null)",
    )
    for model, function in (
        ("contract_audit_log order by created_at desc", "mcp_server_audit"),
        ("contract_health_log order by timestamp desc", "mcp_server_logs"),
    ):
        shown = ask(marts.dsn, f"select * from ledger.{function}(1)")
        assert shown == ask(marts.dsn, f"select * from analytics_build.{model}") != []
