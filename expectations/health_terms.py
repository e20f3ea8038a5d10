"""With what a day of health begins: its server's state, and how often that is to be checked."""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation

from expectations.rules import no_rows
from expectations.scope import Scope
from omniledger.settings import get_settings

# No more can be told of it here; and of an outage the day says when it begins.
_ODD_BEGINNING = """
select
    health_key, health_date, mcp_server_id, state_at_start,
    up_seconds, down_seconds, unknown_seconds, disabled_seconds, outage_list -> 0 as first_outage
from batch
where
    coalesce(
        case state_at_start
            when 'up' then up_seconds
            when 'down' then down_seconds
            when 'unknown' then unknown_seconds
            when 'disabled' then disabled_seconds
        end,
        0
    ) = 0
    or (
        (state_at_start = 'down')
        is distinct from
        coalesce(
            (outage_list -> 0 ->> 'start_epoch')::numeric = extract(epoch from {starts_at}), false
        )
        and {is_kept}
    )
"""

# What checks teach is built before this mart, and so are the servers.
_OTHER_INTERVAL = """
select
    health_key, health_date, mcp_server_id,
    days.stated_interval_seconds, servers.stated_interval_seconds as stated,
    days.check_interval_source, days.check_interval_seconds,
    expected.interval_seconds as expected_interval_seconds
from batch as days
inner join analytics_build.dim_mcp_servers as servers using (mcp_server_id)
left join analytics_build.int_health_learnt as learnt using (health_date, mcp_server_id)
cross join lateral (
    values (
        coalesce(
            servers.stated_interval_seconds, learnt.learnt_interval_seconds, {default_interval}
        ),
        case
            when servers.stated_interval_seconds is not null then 'stated'
            when learnt.learnt_interval_seconds is not null then 'learnt'
            else 'setting'
        end
    )
) as expected (interval_seconds, source)
where
    (days.stated_interval_seconds, days.check_interval_seconds, days.check_interval_source)
    is distinct from
    (servers.stated_interval_seconds, expected.interval_seconds, expected.source)
    and {is_kept}
"""


def begun_as_told(scope: Scope) -> list[Expectation]:
    """That a day begins as its outages say, and that checks are expected as the models learn it."""
    is_kept = scope.is_kept("health_date")
    return [
        no_rows(
            "A day begins in a state that it has, and down with an outage",
            _ODD_BEGINNING.format(starts_at=scope.starts_at("health_date"), is_kept=is_kept),
        ),
        no_rows(
            "Checks are expected as often as is stated, else learnt, else set",
            _OTHER_INTERVAL.format(
                default_interval=get_settings().health_check_interval_seconds, is_kept=is_kept
            ),
        ),
    ]
