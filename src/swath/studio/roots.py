"""The folders that Studio serves, and the only way from a client's words to a path.

A client names a file as `ROOT/part/part`, where `ROOT` is the name of a served folder. Whatever leaves that folder,
through `..`, an absolute path or a symbolic link, does not exist for Studio.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from swath.errors import InputError, ReadError

#: Folder of Studio's own files in the first root.
OWN = "studio"


class Roots:
    """Served folders by name.

    Args:
        folders: Existing folders; two of one name get a number.

    Raises:
        ReadError: If a folder does not exist.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders: dict[str, Path] = {}
        for folder in folders:
            if not folder.is_dir():
                raise ReadError(f"{folder} is no folder", expected="a folder to serve")
            folder = folder.resolve()
            name, number = folder.name or "root", 2
            while name in self._folders:
                name, number = f"{folder.name}-{number}", number + 1
            self._folders[name] = folder
        if not self._folders:
            raise InputError("There is no folder to serve", expected="at least one")

    @property
    def names(self) -> list[str]:
        """Names, in the order given."""
        return list(self._folders)

    @property
    def own(self) -> Path:
        """Folder of Studio's own files: jobs, labels, products."""
        return next(iter(self._folders.values())) / OWN

    def path(self, name: str) -> Path:
        """The existing file or folder that a client calls `name`.

        Raises:
            ReadError: If there is none below a root.
        """
        found = self._resolved(name)
        if found is None or not os.path.exists(found):  # of names that are too long, Path would raise
            raise ReadError(f"There is no '{name}' in the served folders")
        return found

    def new(self, name: str, suffixes: Sequence[str]) -> Path:
        """Where a client may write `name`: below a root, with one of `suffixes` ("" for a folder).

        Raises:
            InputError: If it lies elsewhere, is hidden or has another suffix.
        """
        found = self._resolved(name)
        hidden = any(part.startswith(".") for part in name.split("/"))
        if found is None or found in self._folders.values() or hidden or found.suffix.casefold() not in suffixes:
            wanted = " or ".join(suffix or "no suffix" for suffix in suffixes)
            raise InputError(
                "Nothing can be written there",
                got=name,
                expected=f"a path in the served folders with {wanted}",
            )
        return found

    def holds(self, path: Path) -> bool:
        """Whether a path lies in a root."""
        return any(path == folder or folder in path.parents for folder in self._folders.values())

    def name(self, path: Path) -> str:
        """What clients call a path below a root.

        Raises:
            ReadError: If it lies elsewhere.
        """
        for root, folder in self._folders.items():
            if path == folder or folder in path.parents:
                return "/".join((root, *path.relative_to(folder).parts))
        raise ReadError(f"{path.name} is not in the served folders")

    def _resolved(self, name: str) -> Path | None:
        root, *parts = name.split("/")
        if root not in self._folders or any(p in ("", ".", "..") or "\\" in p or "\0" in p for p in parts):
            return None
        try:
            found = self._folders[root].joinpath(*parts).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, or a loop of links
            return None
        return found if found == self._folders[root] or self._folders[root] in found.parents else None
