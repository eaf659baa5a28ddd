"""Named worlds to begin with; each is what a world file could say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Settings by name.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "village": {"seed": 11, "width": 3000, "height": 3000, "coast": 0.0, "towns": 12, "relief": 90, "forest": 0.25},
    "coast": {"seed": 3, "width": 5000, "height": 5000, "coast": 0.35, "towns": 16},
    "city": {"seed": 7, "width": 4000, "height": 4000, "coast": 0.0, "towns": 60, "relief": 50, "forest": 0.08},
    "farmland": {"seed": 5, "width": 6000, "height": 6000, "coast": 0.0, "towns": 4, "relief": 60, "forest": 0.1},
    "forest": {"seed": 9, "width": 6000, "height": 6000, "coast": 0.0, "towns": 3, "relief": 260, "forest": 0.75},
}
