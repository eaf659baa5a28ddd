"""One root error, so that a caller can catch all that Swath refuses, and a built-in beside it for everyone else.

Every message says what was got, what was expected and what to do. The command line prints it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable


def some(items: Iterable[object], most: int = 5) -> str:
    """The first of some items and how many more there are, for a message."""
    named = [str(item) for item in items]
    return ", ".join(named[:most]) + (f" and {len(named) - most} more" if len(named) > most else "")


class SwathError(Exception):
    """Root of all errors that Swath raises on purpose.

    Args:
        problem: What is wrong, as a sentence without a full stop.
        got: What was found.
        expected: What would have been right.
        fix: What the reader can do about it.
    """

    def __init__(self, problem: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
        self.problem, self.got, self.expected, self.fix = problem, got, expected, fix
        found = [f"{word} {value}" for word, value in (("got", got), ("expected", expected)) if value is not None]
        message = f"{problem}: {'; '.join(found)}." if found else f"{problem}."
        super().__init__(f"{message} {fix}." if fix else message)


class InputError(SwathError, ValueError):
    """A value that a user gave cannot be used."""


class GridError(InputError):
    """A CRS, transform, shape or window is missing or unusable."""


class BandError(InputError):
    """A band, unit, scale or wavelength is missing, doubled or not the one that is needed."""


class DataError(InputError):
    """Scenes, labels or splits do not fit together."""


class WeightsError(InputError):
    """A weights file is unsafe, damaged or belongs to another network."""


class ConfigError(InputError):
    """A configuration file or option is wrong."""


class ReadError(SwathError, OSError):
    """A file cannot be read: missing, forbidden, truncated or of another format."""


class WriteError(SwathError, OSError):
    """A file cannot be written: no space, no rights."""


class UnknownNameError(SwathError, LookupError):
    """A name is in no registry."""


class RunError(SwathError, RuntimeError):
    """A run cannot go on or cannot be used."""


class MissingExtraError(SwathError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed", fix=f"Install it with: pip install 'swath[{extra}]'")
