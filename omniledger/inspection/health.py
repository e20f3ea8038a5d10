"""Whether anybody still checks the MCP servers."""

from __future__ import annotations

from omniledger.counting import plural
from omniledger.inspection.findings import Answer, Figure, State, first_few
from omniledger.inspection.freshness import freshness
from omniledger.inspection.looking import HEALTH, UPGRADE, Look
from omniledger.moments import in_utc

_SHOWN = 5


def running(look: Look) -> Answer:
    """Which servers are silent, by how often each is usually checked."""
    for name in (HEALTH, ("omni2", "mcp_servers")):
        if look.kind(name) is None:
            return Answer(State.DRIFT, f"{'.'.join(name)} is not there", advice=UPGRADE)
    servers = freshness(look.connection, look.now, look.settings)
    missed = [server for server in servers if server.is_missed]
    down = [server.name for server in servers if server.state == "down"]
    count = look.count(HEALTH)
    figures = (
        Figure("servers", len(servers)),
        Figure("silent", len(missed)),
        Figure("down", len(down)),
        Figure.of("events", count),
        *(Figure(f"checks of {server.name}", server.told) for server in servers),
    )
    also = f"; last seen down: {', '.join(down[:_SHOWN])}" if down else ""
    if not missed:
        last = max((server.last_at for server in servers if server.last_at), default=None)
        seen = f", the last event of {in_utc(last)}" if last else ""
        evidence = f"{plural(len(servers), 'server')}, none is silent{seen}{also}"
        return Answer(State.IN_ORDER, evidence, figures=figures)
    be = "is" if len(missed) == 1 else "are"
    of = f"{len(missed):,} of {plural(len(servers), 'server')}"
    return Answer(
        State.DRIFT,
        f"{of} {be} silent: {first_few(missed)}{also}",
        "Nobody knows whether they are up; silence is not health.",
        "Look whether the gateway's health check task runs.",
        figures,
    )
