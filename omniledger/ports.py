"""Ports of this machine's loopback."""

from __future__ import annotations

import os
import socket

LOOPBACK = "127.0.0.1"


def keep_from_proxy() -> None:
    """Let this process and its children reach loopback without the proxy of the environment.

    Python's clients ask HTTP_PROXY for it, too, and no proxy leads to this machine.
    """
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host for host in named.split(",") if host]
    if "*" not in hosts:
        hosts += [host for host in (LOOPBACK, "localhost") if host not in hosts]
    # Where both are there, the one in small letters counts.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)


def free_port(wanted: int = 0) -> int:
    """A port that nobody listens on: the wanted one, where that is free."""
    with socket.socket() as probe:
        # As servers do: connections that ended a moment ago don't keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
