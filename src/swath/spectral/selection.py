"""Which bands a filter sees: few bands cost less, and those that differ most in absorption tell most.

Source: Herec et al. 2025, section on band selection.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from swath.errors import BandError, ConfigError

#: `variance` spreads over values of the absorption, `absorption` takes the strongest, `even` spreads over wavelengths.
Strategy = Literal["variance", "absorption", "even"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
#: nm: where methane absorbs and water lets light through, and the window that the field takes whole.
_WINDOWS = ((1570.0, 1700.0), (2000.0, 2490.0))
_FIELD = (2122.0, 2488.0)
#: nm: the band with which `variance` begins where the instrument has it.
_RED = 640.0


def select(wavelengths: np.ndarray, absorption: np.ndarray, count: int | None, strategy: Strategy) -> np.ndarray:
    """Indices of the bands that a filter sees, rising; the statistics do not depend on their order.

    Args:
        wavelengths: nm `[bands]`.
        absorption: Unit absorption `[bands]`.
        count: How many; None takes all candidates, of `even` those of 2122 to 2488 nm.
        strategy: How they are chosen.

    Raises:
        ConfigError: If there is no such strategy.
        BandError: If the instrument has fewer candidates.
    """
    if strategy not in STRATEGIES:
        raise ConfigError("There is no such strategy", got=strategy, expected=", ".join(STRATEGIES))
    windows = (_FIELD,) if strategy == "even" else _WINDOWS
    candidates = np.flatnonzero(np.any([(wavelengths >= a) & (wavelengths <= b) for a, b in windows], axis=0))
    if strategy == "variance" and wavelengths.min(initial=np.inf) <= 800:
        red = int(np.abs(wavelengths - _RED).argmin())
        candidates = np.concatenate(([red], candidates[candidates != red]))
    count = len(candidates) if count is None else count
    if not 2 <= count <= len(candidates):
        raise BandError(
            "The instrument has too few bands where methane absorbs",
            got=f"{len(candidates)} bands in " + " and ".join(f"{a:g} to {b:g} nm" for a, b in windows),
            expected=f"at least {max(count, 2)}",
            fix="Take fewer bands, or a cube that reaches the short-wave infrared",
        )
    values = absorption[candidates]
    if strategy == "even":
        chosen = np.linspace(0, len(candidates) - 1, count, dtype=int)
    elif strategy == "absorption":
        chosen = np.argsort(np.abs(values))[::-1][:count]
    else:
        first = 0 if wavelengths.min() <= 800 else int(np.abs(values).argmax())
        chosen = np.array(_farthest(values, first, count))
    return np.sort(candidates[chosen])


def nearest(wavelengths: np.ndarray, wanted: tuple[float, ...], within: float = 30.0) -> tuple[int, ...]:
    """Indices of the bands nearest to the `wanted` nm; raises `BandError` if one is farther than `within` nm."""
    found = tuple(int(np.abs(wavelengths - nm).argmin()) for nm in wanted)
    for index, nm in zip(found, wanted, strict=True):
        if abs(wavelengths[index] - nm) > within:
            raise BandError(f"The instrument has no band at {nm:g} nm", got=f"{wavelengths[index]:g} nm at the nearest")
    return found


def _farthest(values: np.ndarray, first: int, count: int) -> list[int]:
    """Greedy farthest points: each next one is the farthest from those that are taken."""
    chosen = [first]
    distance = np.abs(values - values[first])
    distance[first] = -1
    for _ in range(count - 1):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(values - values[chosen[-1]]))
        distance[chosen] = -1
    return chosen
