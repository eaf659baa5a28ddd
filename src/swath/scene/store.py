"""What a run has finished so far: chunks of rows beside the first output, each whole or absent.

Any process may add a chunk, in any order and more than once: chunks of one plan do not depend on who computes them.
That is how a killed run goes on and how several machines share one scene.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from swath.errors import WriteError
from swath.files import write_bytes, write_text

if TYPE_CHECKING:
    from swath.scene.outputs import RasterOutput
    from swath.scene.stream import Rows

#: Rows of a chunk.
CHUNK = 256
#: Parts that may wait to be encoded and written.
_PENDING = 3

_log = logging.getLogger(__name__)


class Store:
    """Finished rows of all outputs, encoded and compressed, in the folder `.OUTPUT.partial`.

    Args:
        outputs: What is kept.
        shape: `(height, width)` of the scene.
        fingerprint: Of the plan; chunks of another one are of no use.
    """

    def __init__(self, outputs: Sequence[RasterOutput], shape: tuple[int, int], fingerprint: str) -> None:
        first = outputs[0].path
        self._outputs, self._shape, self._fingerprint = outputs, shape, fingerprint
        self.folder = first.with_name(f".{first.name}.partial")

    def begin(self) -> None:
        """Make the folder; chunks that another plan left there are removed, which the log says.

        Raises:
            WriteError: If the folder cannot be written.
        """
        known = self.folder / "plan.json"
        try:
            found = json.loads(known.read_text("utf-8")).get("fingerprint")
        except (OSError, ValueError, AttributeError):
            found = None
        if found == self._fingerprint:
            return
        if self.folder.exists():
            _log.warning("%s is of another scene, model or plan: the run begins anew", self.folder)
            self.remove()
        write_text(known, json.dumps({"fingerprint": self._fingerprint}))

    def missing(self) -> list[range]:
        """Rows that are not there yet, in ranges that begin and end with a chunk."""
        ranges: list[range] = []
        for row in range(0, self._shape[0], CHUNK):
            if self._path(row).is_file():
                continue
            stop = min(row + CHUNK, self._shape[0])
            if ranges and ranges[-1].stop == row:
                ranges[-1] = range(ranges[-1].start, stop)
            else:
                ranges.append(range(row, stop))
        return ranges

    def fill(self, rows: Iterable[Rows]) -> None:
        """Keep rows, from top to bottom, from the beginning of a chunk to the end of one.

        They are encoded and written in a thread, while the next ones are made.

        Raises:
            WriteError: If a chunk cannot be written.
        """
        chunk, pending = _Chunk(self._outputs), deque[Future[None]]()
        with ThreadPoolExecutor(1, "swath-write") as writer:
            for part in rows:
                pending.append(writer.submit(self._keep, chunk, part))
                if len(pending) > _PENDING:
                    pending.popleft().result()
            for write in pending:
                write.result()

    def _keep(self, chunk: _Chunk, rows: Rows) -> None:
        """Add rows to a chunk; write it where it is full, and begin the next."""
        chunk.skipped += [f"{s.scene} {s.window}: {s.reason}" for s in rows.skipped]
        for start in range(rows.row // CHUNK * CHUNK, rows.stop, CHUNK):
            stop = min(start + CHUNK, self._shape[0])
            chunk.add(rows.between(start, stop))
            if rows.stop >= stop:
                write_bytes(self._path(start), chunk.packed())
                chunk.clear()

    def read(self, number: int) -> Iterator[np.ndarray]:
        """Stored numbers `[bands, rows, width]` of output `number`, chunk by chunk from the top."""
        output = self._outputs[number]
        for row in range(0, self._shape[0], CHUNK):
            with open(self._path(row), "rb") as file:
                sizes = json.loads(file.readline())["sizes"]
                file.seek(sum(sizes[:number]), 1)
                plain = imagecodecs.zstd_decode(file.read(sizes[number]))
            height = min(CHUNK, self._shape[0] - row)
            yield np.frombuffer(plain, output.dtype).reshape(len(output.band_names), height, self._shape[1])

    def summary(self) -> tuple[bool, list[str]]:
        """Whether any pixel is valid, and what was skipped."""
        heads: list[dict[str, Any]] = []
        for row in range(0, self._shape[0], CHUNK):
            with open(self._path(row), "rb") as file:
                heads.append(json.loads(file.readline()))
        skipped = dict.fromkeys(text for head in heads for text in head["skipped"])
        return any(head["valid"] for head in heads), list(skipped)

    def remove(self) -> None:
        """Remove the folder.

        Raises:
            WriteError: If it cannot be removed.
        """
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
        except OSError as error:
            raise WriteError(f"Cannot remove {self.folder}", got=error.strerror) from error

    def _path(self, row: int) -> Path:
        return self.folder / f"{row:08d}.rows"


class _Chunk:
    """One chunk while it grows: a line of JSON about it, then each output's bytes."""

    def __init__(self, outputs: Sequence[RasterOutput]) -> None:
        self._outputs = outputs
        self.clear()

    def clear(self) -> None:
        self._stored: list[list[np.ndarray]] = [[] for _ in self._outputs]
        self._valid = False
        self.skipped: list[str] = []

    def add(self, rows: Rows) -> None:
        for stored, output in zip(self._stored, self._outputs, strict=True):
            stored.append(output.stored(rows.scores, rows.valid))
        self._valid |= bool(rows.valid.any())

    def packed(self) -> bytes:
        packed = [imagecodecs.zstd_encode(np.concatenate(stored, 1).tobytes(), level=1) for stored in self._stored]
        head = {"valid": self._valid, "skipped": self.skipped, "sizes": [len(p) for p in packed]}
        return b"".join([json.dumps(head).encode(), b"\n", *packed])
