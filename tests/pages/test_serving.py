"""The site's server hands out the files of its folder and nothing else."""

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omniledger import site
from omniledger.errors import LocalError
from omniledger.report.rendering import placeholder
from tests.pages.conftest import serving

SERVE = """
import sys
from pathlib import Path
from omniledger.site import serve
serve(Path(sys.argv[1]), port=0)
"""


@pytest.fixture(scope="module")
def site_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    (root / "secret.txt").write_text("outside")
    folder = root / "site"
    for name in ("models", "data_docs", "empty"):
        (folder / name).mkdir(parents=True)
    (folder / "index.html").write_text(placeholder("Report", "figures", home="#"))
    (folder / "models" / "index.html").write_text("<p>models")
    (folder / "data_docs" / "index.html").write_text("<p>data docs")
    (folder / ".draft").write_text("half a page")
    (folder / "leak").symlink_to(root / "secret.txt")
    (folder / "empty" / "notes.txt").write_text("a file")
    return folder


@pytest.fixture(scope="module")
def server(site_dir: Path) -> Iterator[site.SiteServer]:
    with serving(site_dir) as server:
        yield server


def ask(
    server: site.SiteServer, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    headers = {} if host is None else {"Host": host}
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


def test_a_page_of_ours_gets_the_strict_policy(server: site.SiteServer) -> None:
    status, headers, body = ask(server, "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert b"figures" in body


@pytest.mark.parametrize(
    ("path", "script"), [("/models/", "script-src 'self' 'unsafe-inline'"), ("/data_docs/", "")]
)
def test_pages_of_others_may_load_nothing_from_elsewhere(
    server: site.SiteServer, path: str, script: str
) -> None:
    policy = ask(server, path)[1]["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert script in policy
    assert ("script-src" in policy) == bool(script)
    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/models/..%2f..%2fsecret.txt",
        "/models/%2e%2e/%2e%2e/secret.txt",
        "/..%5csecret.txt",
        "//etc/passwd",
        "/%00",
        "/leak",
        "/.draft",
        "/" + "a" * 5000,
        "/nothing.html",
        "/index.html/more",
    ],
)
def test_no_path_leads_out_of_the_folder(server: site.SiteServer, path: str) -> None:
    status, headers, body = ask(server, path)
    assert status == 404
    assert b"outside" not in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")


def test_folders_are_not_listed(server: site.SiteServer) -> None:
    status, _, body = ask(server, "/empty/")
    assert status == 404
    assert b"notes" not in body
    assert ask(server, "/empty/notes.txt")[2] == b"a file"


def test_a_folder_with_a_page_leads_to_it(server: site.SiteServer) -> None:
    status, headers, _ = ask(server, "/models?x=1")
    assert (status, headers["Location"]) == (301, "/models/")
    assert ask(server, "//models")[1]["Location"] == "/models/"
    assert ask(server, "//192.0.2.1/models")[0] == 404


def test_head_is_get_without_the_page(server: site.SiteServer) -> None:
    status, headers, body = ask(server, "/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == len(ask(server, "/")[2])


def test_nothing_can_be_sent(server: site.SiteServer) -> None:
    status, headers, body = ask(server, "/", "POST")
    assert status == 501
    assert headers["Content-Type"].startswith("text/plain")
    assert b"<" not in body


@pytest.mark.parametrize("host", ["figures.example.org", "figures.example.org:8000", ""])
def test_a_foreign_name_for_this_machine_gets_nothing(server: site.SiteServer, host: str) -> None:
    assert ask(server, "/", host=host)[0] == 421


@pytest.mark.parametrize(("path", "host"), [("/", "["), ("/", "[::1"), ("http://[/", "localhost")])
def test_an_address_that_is_none_is_answered_too(
    server: site.SiteServer, path: str, host: str
) -> None:
    status, headers, _ = ask(server, path, host=host)
    assert status == 400
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_welcome(server: site.SiteServer, host: str) -> None:
    assert ask(server, "/", host=host)[0] == 200


def test_a_busy_port_is_one_sentence(site_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"Port {port} is taken; give another with `--port`"):
            site.open_server(site_dir, port=port)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("127.0.0.1", 70_000, "70000 is no port"),
        ("192.0.2.1", 0, "192.0.2.1 is no address of this machine"),
        ("no host", 0, "no host is no address of this machine"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_sentence(
    site_dir: Path, host: str, port: int, sentence: str
) -> None:
    with pytest.raises(LocalError, match=sentence):
        site.open_server(site_dir, host, port)


def test_a_site_that_is_not_built_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="`omniledger site build` makes it"):
        site.serve(tmp_path)


def test_ctrl_c_ends_it_cleanly(site_dir: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(site_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("The site is at http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=10)
    assert (process.returncode, complaints) == (0, "")
