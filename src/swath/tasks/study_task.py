"""Tasks of studies: what their verbs take is units that a YAML describes, or the scenes of places outside the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swath.causal.units import Units, read_units
from swath.data.raster import open_raster
from swath.tasks.task import Task

if TYPE_CHECKING:
    from swath.data.sources import Source


class StudyTask(Task):
    """A task that takes units."""

    def open_data(self, path: str) -> Units:
        """Units that a YAML describes; see `swath.causal.units.read_units`."""
        return read_units(path)

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Units | list[Source]:
        """Units that a YAML describes, or a scene for each frame of the images, in order."""
        if len(words) == 1 and Path(words[0]).suffix.casefold() in (".yaml", ".yml"):
            return read_units(words[0])
        return [open_raster(word, crs=crs) for word in words]
