"""Classes: the legend that turns stored label numbers into class indices, names and colours."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from swath.errors import ConfigError, DataError

#: Class index of a pixel that has no label or whose label does not count.
IGNORE = -1

Colour = tuple[int, int, int]


def distinct_colours(count: int) -> tuple[Colour, ...]:
    """`count` colours that a reader can tell apart: golden-angle hues at two levels of lightness."""
    hues = ((i * 0.61803398875 + 0.33) % 1.0 for i in range(count))
    return tuple(
        tuple(round(255 * v) for v in colorsys.hls_to_rgb(hue, (0.45, 0.65)[i % 2], 0.65))  # type: ignore[misc]
        for i, hue in enumerate(hues)
    )


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a label, in the order of a network's outputs.

    Attributes:
        names: A name for each class index 0..K-1.
        codes: The number stored in label files and in maps for each class.
        colours: RGB, 0..255, for each class.
        ignored: Codes in label files that mean "no label here".
    """

    names: tuple[str, ...]
    codes: tuple[int, ...]
    colours: tuple[Colour, ...]
    ignored: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.codes) == len(self.colours):
            raise ConfigError(
                "Classes need a name, a code and a colour each",
                got=f"{len(self.names)} names, {len(self.codes)} codes, {len(self.colours)} colours",
            )
        if len(set(self.codes)) != len(self.codes) or len(set(self.names)) != len(self.names):
            raise ConfigError("A class name or code stands twice", got=dict(zip(self.names, self.codes, strict=True)))
        if both := set(self.codes) & set(self.ignored):
            raise ConfigError("A code is both a class and ignored", got=sorted(both))

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(
        cls,
        described: Classes | int | Sequence[str] | Mapping[int, str | Mapping[str, object]],
        ignored: Iterable[int] = (),
    ) -> Classes:
        """Classes from a count, from names (codes 0..K-1), or from `{code: name}` or `{code: {name, colour}}`."""
        if isinstance(described, Classes):
            return described
        if isinstance(described, int):
            described = [f"class {i}" for i in range(described)]
        if not isinstance(described, Mapping):
            described = dict(enumerate(described))
        if not described:
            raise ConfigError("No class is named", expected="at least one class")
        names, colours = [], []
        for default, value in zip(distinct_colours(len(described)), described.values(), strict=True):
            entry = value if isinstance(value, Mapping) else {"name": value}
            names.append(str(entry["name"]))
            colours.append(_colour(entry.get("colour", entry.get("color", default))))
        return cls(tuple(names), tuple(int(code) for code in described), tuple(colours), tuple(ignored))

    def to_dict(self) -> dict[int, dict[str, object]]:
        """`{code: {name, colour}}`, as `of` reads it and YAML writes it."""
        return {
            code: {"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
            for code, name, colour in zip(self.codes, self.names, self.colours, strict=True)
        }

    def to_index(self, codes: np.ndarray, name: str = "The label") -> np.ndarray:
        """Class indices, int16, of stored `codes`; ignored codes become `IGNORE`.

        Args:
            codes: Label numbers as stored, any shape, integral values.
            name: Where they come from, for the message.

        Raises:
            DataError: If a code is neither a class nor ignored; it names and counts them.
        """
        known = np.array([*self.codes, *self.ignored])
        indices = np.array([*range(len(self.codes)), *[IGNORE] * len(self.ignored)], np.int16)
        order = np.argsort(known)
        place = np.clip(np.searchsorted(known, codes, sorter=order), 0, len(known) - 1)
        found = order[place]
        if not np.array_equal(known[found], codes):
            strange, counts = np.unique(codes[known[found] != codes], return_counts=True)
            listed = ", ".join(f"{v} ({n} pixels)" for v, n in zip(strange[:8], counts[:8], strict=True))
            raise DataError(
                f"{name} holds values outside the classes",
                got=listed,
                expected=f"classes {list(self.codes)} or ignored {list(self.ignored)}",
                fix="Add them to `classes:` or to `ignore:`",
            )
        return indices[found]

    def to_code(self, indices: np.ndarray, nodata: int) -> np.ndarray:
        """Stored codes, in the smallest unsigned type, of class `indices`; `IGNORE` becomes `nodata`."""
        table = np.array([*self.codes, nodata])
        return table[indices].astype(np.min_scalar_type(int(table.max())))


def _colour(value: object) -> Colour:
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        value = list(bytes.fromhex(value[1:]))
    if isinstance(value, list | tuple) and len(value) == 3 and all(v in range(256) for v in value):
        return int(value[0]), int(value[1]), int(value[2])
    raise ConfigError("A class colour cannot be read", got=value, expected="#rrggbb or [r, g, b] with 0..255")
