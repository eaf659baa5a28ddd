"""Jobs: commands of Swath that Studio runs in worker processes, one after the other, and remembers on disk.

A job is a folder with `job.json` and `log.txt`. Its command is one that a person could type, so its errors are those
of the command line, and a job that was cut off goes on when the same command runs again.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import secrets
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from swath.errors import RunError, UnknownNameError
from swath.files import write_text
from swath.studio.progress import progress

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
#: Bytes of the end of a log that are shown.
_LOG = 64 << 10
#: Jobs that may wait.
_MOST_WAITING = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        id: Its name and that of its folder.
        words: What follows `swath` on the command line.
        title: For people.
        output: What it makes: a map, or the folder of a run.
        state: `interrupted` where the server was ended under it.
        created: When it was asked for, UTC.
        error: Why it failed, as the command line says it.
        facts: What the page needs to show it: `corners` on the map, `legend`, `shape` or `epochs`; and the products
            that were `written`.
    """

    id: str
    words: tuple[str, ...]
    title: str
    output: str
    state: State = "queued"
    created: str = ""
    error: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The command line that does the same."""
        return shlex.join(("swath", *self.words))


class Jobs:
    """All jobs of a folder, and the process of the one that runs.

    Args:
        folder: Where jobs are remembered; jobs that ran or waited there when a server ended are `interrupted`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._waiting: queue.Queue[str | None] = queue.Queue()
        self._process: tuple[str, subprocess.Popen[bytes]] | None = None
        self._cancelled: set[str] = set()
        self._jobs = {job.id: job for job in self._remembered()}
        for job in self._jobs.values():
            if job.state in ("queued", "running"):
                self._set(job.id, state="interrupted")
        self._thread: threading.Thread | None = None

    def start(self, words: Sequence[str], title: str, output: Path, id_: str, **facts: Any) -> Job:
        """Queue a command.

        Raises:
            RunError: If too many wait, or a job that is not over writes to the same output.
        """
        with self._lock:
            alive = [job for job in self._jobs.values() if job.state in ("queued", "running")]
            if len(alive) >= _MOST_WAITING or any(job.output == str(output) for job in alive):
                raise RunError(
                    "This job cannot be queued",
                    got=f"{len(alive)} jobs that wait or run; one may write to {output.name}",
                )
            now = datetime.now(UTC).isoformat(timespec="seconds")
            job = Job(id_, tuple(words), title, str(output), created=now, facts=facts)
            self._jobs[job.id] = job
            self._write(job)
        self._enqueue(job.id)
        return job

    def new_folder(self) -> tuple[str, Path]:
        """Id and folder of a job to come; the folder is made."""
        id_ = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        folder = self.folder / id_
        folder.mkdir(parents=True)
        return id_, folder

    def all(self) -> list[Job]:
        """All jobs, the newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.id, reverse=True)

    def get(self, id_: str) -> Job:
        """One job.

        Raises:
            UnknownNameError: If there is none of this id.
        """
        with self._lock:
            if id_ not in self._jobs:
                raise UnknownNameError(f"There is no job '{id_[:40]}'")
            return self._jobs[id_]

    def shown(self, job: Job) -> dict[str, Any]:
        """A job as plain values, with its command line and how far it is."""
        done, total = progress(job.words[0], Path(job.output), job.facts)
        if job.state == "done":
            done = total
        return {**asdict(job), "words": list(job.words), "command": job.command, "done": done, "total": total}

    def cancel(self, id_: str) -> Job:
        """End a job; what it finished so far stays."""
        job = self.get(id_)
        with self._lock:
            if job.state in ("queued", "running"):
                self._cancelled.add(id_)
                if self._process and self._process[0] == id_:
                    _end(self._process[1])
                else:
                    self._set(id_, state="cancelled")
        return self.get(id_)

    def resume(self, id_: str) -> Job:
        """Queue a job again that failed, was cancelled or interrupted; it goes on where it stopped.

        Raises:
            RunError: If it is not over, or done.
        """
        job = self.get(id_)
        with self._lock:
            if job.state not in ("failed", "cancelled", "interrupted"):
                raise RunError("This job cannot go on", got=f"it is {job.state}", expected="one that was cut off")
            self._cancelled.discard(id_)
            self._set(id_, state="queued", error=None)
        self._enqueue(id_)
        return self.get(id_)

    def log(self, id_: str) -> str:
        """The end of what a job printed."""
        self.get(id_)
        path = self.folder / id_ / "log.txt"
        if not path.is_file():
            return ""
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG))
            return file.read().decode("utf-8", "replace")

    def close(self) -> None:
        """End the job that runs, and take no more."""
        with self._lock:
            process = self._process
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._waiting.put(None)
        if process:
            _end(process[1])
        thread.join(30)

    def _enqueue(self, id_: str) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="swath-jobs", daemon=True)
                self._thread.start()
        self._waiting.put(id_)

    def _work(self) -> None:
        while (id_ := self._waiting.get()) is not None and self._thread is not None:
            try:
                self._run(id_)
            except OSError as error:
                with self._lock:
                    self._set(id_, state="failed", error=f"The job could not be started: {error}")

    def _run(self, id_: str) -> None:
        with self._lock:
            job = self._jobs[id_]
            if job.state != "queued":
                return
            with open(self.folder / id_ / "log.txt", "ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "swath.studio.worker", *job.words],
                    stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder / id_,
                )  # fmt: skip
            self._process = (id_, process)
            self._set(id_, state="running")
        status = process.wait()
        if process.stdin:
            process.stdin.close()
        with self._lock:
            self._process = None
            if status == 0:
                self._set(id_, state="done", facts={**job.facts, "written": _written(self.folder / id_ / "log.txt")})
            elif id_ in self._cancelled:
                self._set(id_, state="cancelled")
            elif self._thread is None:
                self._set(id_, state="interrupted")
            else:
                self._set(id_, state="failed", error=_told(self.folder / id_ / "log.txt", status))

    def _set(self, id_: str, **changes: Any) -> None:
        self._jobs[id_] = replace(self._jobs[id_], **changes)
        self._write(self._jobs[id_])

    def _write(self, job: Job) -> None:
        write_text(self.folder / job.id / "job.json", json.dumps(asdict(job), indent=1))

    def _remembered(self) -> list[Job]:
        jobs = []
        for path in sorted(self.folder.glob("*/job.json")):
            try:
                found = json.loads(path.read_text("utf-8"))
                job = Job(**{**found, "words": tuple(found["words"])})
            except (OSError, ValueError, TypeError, KeyError) as error:
                _log.warning("%s is damaged and left out: %s", path, error)
                continue
            if _ID.fullmatch(job.id) and job.id == path.parent.name:
                jobs.append(job)
        return jobs


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the input of a worker, which it takes as the end."""
    if process.stdin and not process.stdin.closed:
        process.stdin.close()


def _written(log: Path) -> list[str]:
    """The files that a command names in the last lines that it printed: its products."""
    lines = log.read_text("utf-8", "replace").splitlines()[-50:]
    named = takewhile(lambda line: os.path.isabs(line) and os.path.isfile(line), reversed(lines))
    return list(named)[::-1]


def _told(log: Path, status: int) -> str:
    """The error that the command line printed, from the end of a log."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith("swath: "):
            return " ".join(lines[number:])[7:][:2000]
    return (lines[-1] if lines else f"The process ended with status {status}")[:2000]
