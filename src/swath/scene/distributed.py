"""One scene on many machines: ranges of rows as units of work on a dask cluster.

A unit writes its chunks into the store that all workers see. It may run twice, or after a worker was killed, on any
other: its chunks come out the same. Rows at the border of two units are computed by both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from swath.errors import MissingExtraError, RunError, SwathError
from swath.scene.store import CHUNK

if TYPE_CHECKING:
    from swath.scene.store import Store
    from swath.scene.stream import Rows

#: Rows of a unit: large enough that rows computed twice at its borders cost little.
_UNIT = 8 * CHUNK
#: How often a unit may lose its worker before the run ends.
_RETRIES = 3
#: How long the scheduler may take to answer.
_PATIENCE = "20s"


def compute_on(
    scheduler: str,
    make_rows: Callable[..., Iterator[Rows]],
    store: Store,
    missing: Sequence[range],
    advance: Callable[[int], None],
    *,
    unit: int = _UNIT,
) -> None:
    """Fill the missing rows of a store on the workers of a dask cluster.

    Args:
        scheduler: Address of the scheduler, for example `tcp://host:8786`.
        make_rows: Makes the rows from `first` to `stop`; it travels to the workers once.
        store: Where chunks are kept, under a path that all workers see.
        missing: Rows to compute.
        advance: Is told how many tiles are done, for a progress bar.
        unit: Rows of a unit of work, a multiple of a chunk.

    Raises:
        MissingExtraError: If `distributed` is not installed.
        RunError: If the scheduler cannot be reached, or a unit loses its worker too often.
        SwathError: What a unit raises.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise MissingExtraError("distributed", "dask") from error
    units = [range(r, min(r + unit, rows.stop)) for rows in missing for r in range(rows.start, rows.stop, unit)]
    try:
        client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise RunError(
            f"The scheduler {scheduler} cannot be reached", got=error, fix="Start one: `dask scheduler`"
        ) from error
    with client:
        shared = client.scatter(make_rows, broadcast=True, hash=False)
        futures = {
            client.submit(_compute, shared, store, rows.start, rows.stop, pure=False, retries=_RETRIES): rows
            for rows in units
        }
        try:
            for future in as_completed(futures, loop=client.loop):
                advance(future.result())
        except KilledWorker as error:
            raise RunError(
                "A unit of work lost its worker too often", got=error, fix="Give workers more memory"
            ) from error
        except SwathError:
            client.cancel(list(futures))
            raise


def _compute(make_rows: Callable[..., Iterator[Rows]], store: Store, first: int, stop: int) -> int:
    """One unit, on a worker; the number of tiles that ran."""
    tiles = 0

    def count(more: int) -> None:
        nonlocal tiles
        tiles += more

    store.fill(make_rows(first=first, stop=stop, advance=count))
    return tiles
