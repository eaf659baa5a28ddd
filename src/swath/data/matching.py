"""File patterns: globs in which named fields tell scenes apart, such as `masks/{tile}/{id}.png`.

`{name}` stands for text without a slash, the same wherever the name stands again; `*`, `?` and `**` are as in a shell.
A pattern is relative to a root folder unless it is absolute. A URL is the name of one file. What desktop programs leave
beside rasters (`.aux.xml`, `.ovr`) is passed over.
"""

from __future__ import annotations

import difflib
import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swath.data.remote import Url, is_remote
from swath.errors import ConfigError, DataError, ReadError, some

_BESIDE = (".aux.xml", ".ovr")

_TOKEN = re.compile(r"\{(?P<field>[A-Za-z_]\w*)\}|(?P<deep>\*\*/)|(?P<any>\*)|(?P<one>\?)")


@dataclass(frozen=True)
class Match:
    """A file that a pattern found.

    Attributes:
        path: The file.
        id: The named fields, joined by slashes; without these what the wildcards stand for; else the file's stem.
        fields: Text of each named field.
    """

    path: Path | Url
    id: str
    fields: Mapping[str, str]


def fields_of(pattern: str) -> list[str]:
    """Names of the fields of a pattern, in order."""
    return list(dict.fromkeys(found["field"] for found in _TOKEN.finditer(pattern) if found["field"]))


def is_single(pattern: str) -> bool:
    """Whether a pattern is the name of one file."""
    return not _TOKEN.search(pattern)


def match_files(root: Path, *patterns: str) -> list[Match]:
    """All files of some patterns, those of one pattern sorted by path.

    Raises:
        ReadError: If a pattern finds none; it names the folder that was searched.
        DataError: If two files have the same id.
    """
    found = [match for pattern in patterns for match in _match(root, pattern)]
    by_id: dict[str, Path | Url] = {}
    for match in found:
        if match.id in by_id:
            raise DataError(
                f"Two files of {' and '.join(patterns)} have the same id '{match.id}'",
                got=f"{by_id[match.id]} and {match.path}",
                fix="Add fields such as `{folder}` to the pattern",
            )
        by_id[match.id] = match.path
    return found


def _match(root: Path, pattern: str) -> list[Match]:
    if is_remote(pattern):
        return [Match(Url(pattern), Url(pattern).stem, {})]
    expression = _expression((root / pattern).as_posix())
    found = []
    for path in sorted(glob.iglob(_shell((root / pattern).as_posix()), recursive=True)):
        match = expression.fullmatch(Path(path).as_posix())
        if match and Path(path).is_file() and not path.endswith(_BESIDE):
            fields = {name: text for name, text in match.groupdict().items() if not name.startswith("_w")}
            wild = [text.strip("/") for name, text in match.groupdict().items() if name.startswith("_w")]
            found.append(Match(Path(path), "/".join(fields.values() or wild) or Path(path).stem, fields))
    if not found:
        folder = _folder(root, pattern)
        raise ReadError(
            f"No file matches {pattern}",
            got=f"{folder} {'has no such file' if folder.is_dir() else 'does not exist'}",
            fix=_nearest(folder),
        )
    return found


class Companions:
    """The files of a pattern that belong to scenes known from another pattern.

    Args:
        root: Folder that the patterns are relative to.
        *patterns: One file for all scenes; patterns with fields of the scenes; or such whose wildcards or names give
            the ids of the scenes.

    Raises:
        ReadError: If nothing matches.
        DataError: If two files have the same id.
    """

    def __init__(self, root: Path, *patterns: str) -> None:
        self.pattern = ", ".join(patterns[:3])
        self._fields = fields_of(patterns[0])
        self._shared: Path | Url | None = None
        if len(patterns) == 1 and is_single(patterns[0]):
            self._shared = Url(patterns[0]) if is_remote(patterns[0]) else root / patterns[0]
        matches = match_files(root, *patterns)
        self._by_fields = {tuple(match.fields.values()): match.path for match in matches}
        self._by_id = {match.id: match.path for match in matches}

    def of(self, scene: Match) -> Path | Url | None:
        """The file of a scene; None where there is none.

        Raises:
            ConfigError: If the pattern has a field that the scenes do not have.
        """
        if self._shared is not None:
            return self._shared
        if not self._fields or (self._fields == ["id"] and "id" not in scene.fields):
            return self._by_id.get(scene.id)
        return self._by_fields.get(_key(self._fields, scene, self.pattern))

    @property
    def paths(self) -> set[Path | Url]:
        """All files."""
        return set(self._by_id.values())


def paired(matches: Sequence[Match], files: Companions, what: str, root: Path) -> dict[str, Path | Url]:
    """The file of another kind of each scene, by the scene's id.

    Args:
        matches: The scenes.
        files: The files of the other kind.
        what: What these are, for the message.
        root: The folder, for the message.

    Raises:
        DataError: If a scene has none, or such a file has no scene.
    """
    found = {match.id: path for match in matches if (path := files.of(match)) is not None}
    if alone := [match.id for match in matches if match.id not in found]:
        raise DataError(f"{root} holds images without {what}", got=some(alone), expected=files.pattern)
    if over := sorted(str(path) for path in files.paths - set(found.values())):
        raise DataError(f"{root} holds files of {what} without image", got=some(over))
    return found


class DatedFiles:
    """The files of a pattern of which many, one a date, belong to each scene.

    Args:
        root: Folder that the patterns are relative to.
        *patterns: Patterns with fields of the scenes, beside wildcards for the date; without fields, all files belong
            to every scene.

    Raises:
        ReadError: If nothing matches.
    """

    def __init__(self, root: Path, *patterns: str) -> None:
        self.pattern = ", ".join(patterns[:3])
        self._fields = fields_of(patterns[0])
        self._files: dict[tuple[str, ...], list[Path | Url]] = {}
        self.scenes: dict[tuple[str, ...], Match] = {}
        for match in (match for pattern in patterns for match in _match(root, pattern)):
            key = tuple(match.fields.values())
            self._files.setdefault(key, []).append(match.path)
            self.scenes.setdefault(key, Match(match.path, "/".join(key) or "series", match.fields))

    def of(self, scene: Match) -> list[Path | Url]:
        """The files of a scene; empty where there are none.

        Raises:
            ConfigError: If the pattern has a field that the scenes do not have.
        """
        if self._fields == ["id"] and "id" not in scene.fields:
            return self._files.get((scene.id,), [])
        return self._files.get(_key(self._fields, scene, self.pattern), [])


def _key(fields: Sequence[str], scene: Match, pattern: str) -> tuple[str, ...]:
    """What a scene has for the fields of a pattern."""
    if unknown := [name for name in fields if name not in scene.fields]:
        raise ConfigError(
            f"The pattern {pattern} has a field that the images do not have",
            got=", ".join(unknown),
            expected=", ".join(scene.fields) or "id",
        )
    return tuple(scene.fields[name] for name in fields)


def _expression(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression with a group for each field and wildcard."""
    text, end, seen = "", 0, set()
    for number, token in enumerate(_TOKEN.finditer(pattern)):
        text += re.escape(pattern[end : token.start()])
        end, name = token.end(), token["field"]
        if name and name in seen:
            text += f"(?P={name})"
        elif name:
            seen.add(name)
            text += f"(?P<{name}>[^/]+)"
        else:
            text += f"(?P<_w{number}>{'(?:[^/]+/)*' if token['deep'] else '[^/]*' if token['any'] else '[^/]'})"
    return re.compile(text + re.escape(pattern[end:]))


def _shell(pattern: str) -> str:
    """The pattern as a shell glob; square brackets are taken as they are."""
    text, end = "", 0
    for token in _TOKEN.finditer(pattern):
        text += glob.escape(pattern[end : token.start()]) + (token[0] if not token["field"] else "*")
        end = token.end()
    return text + glob.escape(pattern[end:])


def _folder(root: Path, pattern: str) -> Path:
    """The folder in which the first wildcard or field is looked for."""
    first = _TOKEN.search(pattern)
    fixed = pattern[: first.start()] if first else pattern
    return root / fixed.rpartition("/")[0]


def _nearest(folder: Path) -> str | None:
    """Advice: a neighbour of a missing folder with almost its name, or a few files of a folder that is there."""
    if folder.is_dir():
        files = sorted(path.name for path in folder.iterdir())[:4]
        return f"It holds {', '.join(files)}" if files else "It is empty"
    if folder.parent.is_dir():
        close = difflib.get_close_matches(folder.name, [p.name for p in folder.parent.iterdir()], n=1)
        return f"Did you mean {folder.parent / close[0]}?"[:-1] if close else None
    return None
