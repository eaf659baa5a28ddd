"""Gas filters: run time as ratios to the reference's tile-wise Mag1c, in one run and one thread, and memory.

    OMP_NUM_THREADS=1 python -m benchmarks.methane

The cube is 512 x 512 pixels of 50 bands, float64, of six mixed materials with noise. `mag1c` 1.2.0 calls a function
that torch no longer has; it is given its present name. Needs the packages mag1c and onboard-methane-detection.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

SIZE, BANDS, REPEATS = 512, 50, 3
_UNIT = 1e5


def cube() -> tuple[np.ndarray, np.ndarray]:
    """Radiance `[bands, pixels]` and absorption per ppm m `[bands]`."""
    rng = np.random.default_rng(0)
    nm = np.linspace(2122.0, 2488.0, BANDS)
    absorption = -1e-5 * (0.05 + np.exp(-(((nm - 2340) / 70) ** 2)) * (1 + 0.4 * np.sin(nm / 5)))
    phase = np.linspace(0, 6, BANDS) * rng.uniform(0.5, 2, (6, 1))
    materials = rng.uniform(0.5, 4, (6, 1)) * (1 + 0.2 * np.sin(phase))
    row, col = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    column = 3000 * np.exp(-(row**2 + col**2) / (SIZE / 12) ** 2)
    seen = rng.dirichlet(np.ones(6), SIZE**2) @ materials * np.exp(column.reshape(-1, 1) * absorption)
    return np.ascontiguousarray((seen + rng.normal(0, 0.01, seen.shape)).T), absorption


def reference(pixels: np.ndarray, absorption: np.ndarray) -> np.ndarray:
    """Mag1c of the package, on the whole tile."""
    import torch

    torch.set_num_threads(1)
    torch.cholesky = lambda matrix, upper=False: torch.linalg.cholesky(matrix, upper=upper)
    from mag1c.mag1c import acrwl1mf

    spectra, used = torch.from_numpy(pixels.T)[None], torch.ones(1, pixels.shape[1], dtype=torch.bool)
    target = torch.from_numpy(absorption * _UNIT)
    return acrwl1mf(spectra, target, 30, False, False, False, 1.0, 0.0, used)[0].numpy().ravel()


def seconds(work: Callable[[], np.ndarray], repeats: int = REPEATS) -> tuple[float, np.ndarray]:
    """The least time of some runs, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - start)
    return min(times), found


def memory(work: Callable[[], np.ndarray]) -> int:
    """Bytes that numpy holds at most during `work`, beside what it held before."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    """Print the table."""
    from onboard_methane_detection.processing.pipeline import mag1c_sas as released_sas

    from swath.spectral import filters

    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("Set OMP_NUM_THREADS=1: the ratios are those of one thread")
    pixels, absorption = cube()
    image = pixels.reshape(BANDS, SIZE, SIZE)
    base, truth = seconds(lambda: reference(pixels, absorption), 2)
    single = pixels.astype(np.float32)
    columns = [np.ascontiguousarray(image[:, :, i]) for i in range(SIZE)]
    runs: dict[str, Callable[[], np.ndarray]] = {
        "mag1c": lambda: filters.mag1c(pixels, absorption),
        "mag1c, float32": lambda: filters.mag1c(single, absorption, precision="float32"),
        "mag1c, columns": lambda: np.stack([filters.mag1c(c, absorption) for c in columns], 1),
        "mag1c-sas": lambda: filters.mag1c_sas(pixels, absorption),
        "mag1c-sas, release": lambda: released_sas(image, absorption[None, None] * _UNIT),
        "cem": lambda: filters.cem(pixels, absorption),
        "matched filter": lambda: filters.matched_filter(pixels, absorption),
        "ace": lambda: filters.ace(pixels, absorption),
    }
    print(f"{SIZE} x {SIZE} x {BANDS}; reference Mag1c (mag1c 1.2.0, tile-wise): {base:.2f} s\n")
    print("| filter | s | times faster than the reference's Mag1c | memory beside the cube, cubes |")
    print("| --- | --- | --- | --- |")
    for name, work in runs.items():
        taken, _ = seconds(work)
        print(f"| {name} | {taken:.3f} | {base / taken:.1f} | {memory(work) / pixels.nbytes:.2f} |")
    for name in ("mag1c", "mag1c, float32"):
        error = np.abs(runs[name]() - truth) / truth.max()
        print(f"\n{name} against the reference, shares of its maximum: largest {error.max():.1e}, ", end="")
        print(f"root mean square {np.sqrt((error**2).mean()):.1e}")


if __name__ == "__main__":
    main()
