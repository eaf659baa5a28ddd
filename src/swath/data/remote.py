"""Files by URL, read in ranges through GDAL's virtual file systems: time-outs, and retries with growing pauses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

import rasterio

from swath.errors import ReadError

#: What GDAL is told for remote files, where the environment does not say otherwise.
_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no search for files beside it
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_RETRY_CODES": "429,500,502,503,504",
    "GDAL_HTTP_MULTIRANGE": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
}
_SCHEMES = ("http", "https", "s3", "gs", "az")
#: Attempts at a transfer that broke off, which GDAL itself does not repeat, and seconds before the second one.
_ATTEMPTS, _PAUSE = 3, 0.5

T = TypeVar("T")


class Url(str):
    """The address of a file, with the few properties of a path that names of scenes are made from."""

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(urlsplit(self).path)

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The file's name without suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The suffix, with its dot."""
        return self._path.suffix

    def as_posix(self) -> str:
        """The address."""
        return str(self)


def is_remote(name: str) -> bool:
    """Whether a name is a URL of a kind that is read over a network.

    Raises:
        ReadError: If it is a URL of another kind.
    """
    scheme, separator, _ = name.partition("://")
    if not separator or scheme == "file":
        return False
    if scheme.casefold() not in _SCHEMES:
        raise ReadError(
            f"{name} is a URL of a kind that is not read",
            got=f"{scheme}://",
            expected=", ".join(f"{known}://" for known in _SCHEMES),
        )
    return True


@contextmanager
def remote_options(name: str) -> Iterator[None]:
    """Within, GDAL has the options for remote files, if `name` is one."""
    if not is_remote(name):
        yield
        return
    with rasterio.Env(**{key: value for key, value in _OPTIONS.items() if key not in os.environ}):
        yield


def with_retries(name: str, attempt: Callable[[], T], broken: type[BaseException]) -> T:
    """What `attempt` returns; a remote file gets further attempts after growing pauses where it raises `broken`."""
    for number in range(_ATTEMPTS - 1 if is_remote(name) else 0):
        try:
            return attempt()
        except broken:
            time.sleep(_PAUSE * 2**number)
    return attempt()
