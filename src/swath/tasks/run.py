"""Runs: a folder that holds all that was learned and all that is needed to learn it again.

| file | what it holds |
| --- | --- |
| `task.json` | the system, its options, bands, classes, normalisation, recipe |
| `weights.safetensors` | the selected weights, without those that are frozen |
| `config.yaml` | what `swath fit` was asked; `swath fit config.yaml` does the same again |
| `metrics.csv` | one row an epoch |
| `data.json` | what was learned from: origin, warps, split |
| `leaks.json` | what the leak check found before training |
| `scores-<part>.json` | what `swath score` found |
| `last.ckpt` | the state after the last whole epoch, to go on after a kill |
| `versions.json` | Swath and the libraries that matter |
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from swath.errors import RunError
from swath.files import write_text

_LIBRARIES = ("swath", "numpy", "torch", "lightning", "timm", "segmentation-models-pytorch", "kornia", "rasterio")


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @property
    def description(self) -> dict[str, Any]:
        """What `task.json` says.

        Raises:
            RunError: If the folder holds no run or the file is damaged.
        """
        path = self.folder / "task.json"
        if not path.is_file():
            raise RunError(f"{self.folder} is no run", expected="a folder that `swath fit` wrote, with task.json in it")
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged", got=error) from error

    def write_description(self, description: Mapping[str, Any]) -> None:
        """Write `task.json` and `versions.json`."""
        write_text(self.folder / "task.json", json.dumps(description, indent=1))
        versions = {"python": platform.python_version()}
        for library in _LIBRARIES:
            try:
                versions[library] = metadata.version(library)
            except metadata.PackageNotFoundError:
                continue
        write_text(self.folder / "versions.json", json.dumps(versions, indent=1))
