"""Serve the built site to this machine: the files of one folder, with headers that keep them in.

Written for loopback. A page of ours may load nothing but its own style and script; dbt's page and
Data Docs get what they can't do without, and no host but this one.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import mimetypes
import re
import socket
import socketserver
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import click

from omniledger.errors import LocalError
from omniledger.report.rendering import content_policy

_CLOSED = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

NOTHING_POLICY = f"default-src 'none'; {_CLOSED}"

DBT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    f"connect-src 'self'; {_CLOSED}"
)
"""dbt's page is one file whose scripts compile its templates."""

DATA_DOCS_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {_CLOSED}"
"""Data Docs style their elements one by one; they have no script."""

_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

_log = logging.getLogger(__name__)


class SiteServer(ThreadingHTTPServer):
    """A server of one site folder."""

    daemon_threads = True

    def __init__(self, site_dir: Path, host: str, port: int) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.root = site_dir.resolve()
        super().__init__((host, port), _Handler)
        self.is_loopback = _is_loopback(str(self.server_address[0]))

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def server_bind(self) -> None:
        """Bind without asking a name server, as HTTPServer does, what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away in the middle is no news."""
        _log.debug("A request from %s broke off.", client_address, exc_info=True)


def open_server(site_dir: Path, host: str = "127.0.0.1", port: int = 8000) -> SiteServer:
    """Bind the server of a site; port 0 takes a free one.

    Raises:
        LocalError: there is no site yet, or the address can't be had.
    """
    if not (site_dir / "index.html").is_file():
        raise LocalError(f"There is no site in {site_dir} yet; `omniledger site build` makes it.")
    try:
        return SiteServer(site_dir, host, port)
    except (OSError, OverflowError) as error:
        raise _cannot_listen(error, host, port) from None


def announce(url: str) -> None:
    """Tell the person at the terminal where the site is."""
    click.echo(f"The site is at {url} until Ctrl-C.")


def serve(
    site_dir: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    on_ready: Callable[[str], None] = announce,
) -> None:
    """Serve the site until Ctrl-C; `on_ready` is told its address once it listens.

    Raises:
        LocalError: there is no site yet, or the address can't be had.
    """
    with open_server(site_dir, host, port) as server:
        try:
            on_ready(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _cannot_listen(error: OSError | OverflowError, host: str, port: int) -> LocalError:
    if isinstance(error, OverflowError):
        return LocalError(f"{port} is no port; give one from 0 to 65535 with `--port`.")
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return LocalError(f"{host} is no address of this machine; leave out `--host`.")
    if error.errno == errno.EADDRINUSE:
        return LocalError(f"Port {port} is taken; give another with `--port`, or 0 for a free one.")
    if error.errno == errno.EACCES:
        return LocalError(f"Port {port} is not for you; give one above 1023 with `--port`.")
    return LocalError(f"Can't listen on {host}:{port} ({error.strerror}); try another `--port`.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files below one folder; lists nothing and leads nowhere else."""

    server: SiteServer
    server_version = "omniledger"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"
    policy = NOTHING_POLICY

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.policy = NOTHING_POLICY
        try:
            is_for_us, path = self._asks_for_us(), unquote(urlsplit(self.path).path)
        except ValueError:
            # An address with half a bracket.
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if not is_for_us:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        parts = [part for part in path.split("/") if part]
        file = self._file(parts)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif file.name == "index.html" and parts[-1:] != ["index.html"] and path[-1:] != "/":
            self._redirect("/" + "".join(f"{quote(part)}/" for part in parts))
        else:
            self._send(file, parts)

    def _asks_for_us(self) -> bool:
        """Whether the page was asked for by a name of this machine.

        A page elsewhere whose name was made to lead here would otherwise read the figures.
        """
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        return not self.server.is_loopback or _is_loopback(host)

    def _file(self, parts: list[str]) -> Path | None:
        if any(part.startswith(".") or {"\0", "\\"} & set(part) for part in parts):
            return None
        file = self.server.root.joinpath(*parts)
        try:
            file = (file / "index.html" if file.is_dir() else file).resolve()
            return file if file.is_relative_to(self.server.root) and file.is_file() else None
        except OSError:
            return None

    def _redirect(self, location: str) -> None:
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, file: Path, parts: list[str]) -> None:
        try:
            content = file.read_bytes()
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        text = "; charset=utf-8" if kind.startswith("text/") else ""
        self.policy = _policy(parts, kind, content)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}{text}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def end_headers(self) -> None:
        """Every answer, errors too, says what its page may do."""
        self.send_header("Content-Security-Policy", self.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the inherited name
        _log.debug(format, *args)


def _policy(parts: list[str], kind: str, content: bytes) -> str:
    """What a file may do, by the part of the site that it is in."""
    if parts[:1] == ["models"]:
        return DBT_POLICY
    if parts[:1] == ["data_docs"]:
        return DATA_DOCS_POLICY
    if kind != "text/html":
        return NOTHING_POLICY
    # Both stand in the head, before any word of a stranger.
    head = content.partition(b"</head>")[0]
    style, script = _STYLE.search(head), _SCRIPT.search(head)
    own = content_policy(style[1].decode() if style else "", script[1].decode() if script else "")
    return f"{own}; frame-ancestors 'none'"
