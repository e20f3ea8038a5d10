"""Each direct dependency is told of, and no other."""

import re
import tomllib

from omniledger.settings import PROJECT_DIR


def names(table: str) -> list[str]:
    return re.findall(r"^\| ([a-z][a-z0-9-]*) \|", table, re.MULTILINE)


def test_the_page_names_exactly_the_direct_dependencies() -> None:
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())
    page = (PROJECT_DIR / "docs" / "dependencies.md").read_text()
    at_run_time, _, to_develop = page.partition("## To develop")
    for told, stated in (
        (at_run_time, project["project"]["dependencies"]),
        (to_develop, project["dependency-groups"]["dev"]),
    ):
        direct = [re.split(r"[\[<>=!~;]", one)[0].strip() for one in stated]
        assert [name for name in names(told) if name != "package"] == sorted(direct)
