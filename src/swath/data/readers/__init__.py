"""Readers of published layouts: one module a layout, named by its id, with a function `read_<id>(root)`."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

from swath.data.scenes import Collection
from swath.errors import UnknownNameError

#: Layout in which the data of a system were published, where it is not named as the system is.
_LAYOUT_OF = {
    "effunetpp": "mass_buildings",
    "deeptrinet": "gid15",
    "cloudtracks_instances": "cloudtracks",
    "roofnet_zero_shot": "roofnet",
}


def layout_names() -> list[str]:
    """Ids of all layouts that can be read, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "layout")


def read_layout(name: str, root: str | Path) -> Collection:
    """Open a folder in a published layout.

    Args:
        name: Id of the layout, or of a system or form (`id:form`) that was published on it; hyphens and colons count
            as underscores.
        root: The folder.

    Raises:
        UnknownNameError: If there is no such layout.
        ReadError: If the layout is not there, or a file is missing or damaged.
        DataError: If images, labels and lists do not fit together.
    """
    stem = name.replace("-", "_").replace(":", "_")
    stem = _LAYOUT_OF.get(stem, stem)
    if stem not in layout_names():
        close = difflib.get_close_matches(stem, layout_names(), n=1)
        raise UnknownNameError(
            f"There is no published layout of '{name}'",
            expected=", ".join(layout_names()),
            fix=f"Did you mean '{close[0]}'" if close else "Describe the data in a YAML",
        )
    read: Callable[[str | Path], object] = getattr(
        importlib.import_module(f"swath.data.readers.{stem}"), f"read_{stem}"
    )
    return cast(Collection, read(root))
