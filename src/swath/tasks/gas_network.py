"""Plumes by a network that sees red, green, blue and the enhancement that a filter finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import rasterio
from torch import Tensor, nn

from swath.data.config import load_data
from swath.data.readers.methane_onboard import CLASSES
from swath.data.scenes import Collection, Scene
from swath.errors import ConfigError
from swath.spectral.mapping import UNITS, Mapper
from swath.spectral.plumes import FEWEST_PIXELS, large_enough
from swath.spectral.product import FACTORS, HIGHEST, PRODUCT, GasProduct
from swath.spectral.trained_linknet import TrainedLinkNet
from swath.tasks.gas_mapping import PRODUCTS, Product, cube_of, keep_table, open_gas_cube, with_kept_table
from swath.tasks.gas_products import write_products
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.segment import Segmentation

if TYPE_CHECKING:
    from swath.data.cubes import Cube

#: Sides of what networks take are multiples of this.
_STRIDE = 32


class GasNetwork(Segmentation):
    """Segmentation of plumes in the product of a filter.

    Args:
        net: `[B, 4, H, W]`, divided by the factors and cut at 2, to logits of no plume and plume `[B, 2, H, W]`.
        mapper: The filter.
        factors: Whose published factors divide the product.
        recipe: How it is trained.

    Raises:
        ConfigError: If there are no such factors, or the map of the filter is not in ppm m.
    """

    kind: ClassVar[str] = "gas_segmentation"

    def __init__(self, net: nn.Module, mapper: Mapper, factors: str, recipe: Recipe) -> None:
        if factors not in FACTORS or UNITS[mapper.filter] != "ppm m":
            raise ConfigError(
                "Networks cannot take this product",
                got=f"{mapper.filter} in {UNITS[mapper.filter]}, factors of {factors}",
                expected=f"a filter that gives ppm m, factors of {' or '.join(FACTORS)}",
            )
        divided = Normalisation((0.0,) * len(PRODUCT), FACTORS[factors])
        super().__init__(
            nn.Sequential(_Cut(), net), bands=PRODUCT, classes=CLASSES, recipe=recipe,
            normalisation={"image": divided}, stride=_STRIDE,
        )  # fmt: skip
        self.mapper = mapper

    def open_data(self, path: str) -> Collection:
        """Cubes with labels of plumes: a YAML with `layout: methane_onboard`, or a folder as STARCOP has it."""
        return load_data(path, "methane_onboard")

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Cube:
        """The cube of one word; see `swath.data.cubes.open_cube`."""
        return open_gas_cube(words, crs)

    def seen(self, data: Collection) -> Collection:
        """See `NeuralTask.seen`; cubes become products."""
        return data.with_scenes([self._product(scene) for scene in data])

    def predict(  # type: ignore[override]
        self,
        source: Cube | Scene | str | Path,
        output: Path,
        *,
        products: Sequence[Product] = PRODUCTS,
        fewest_pixels: int = FEWEST_PIXELS,
        pixel_size: float | None = None,
        tile: int | None = None,
        overlap: float = 0.25,
        batch: int | None = None,
        precision: Literal["fp32", "auto", "bf16"] = "fp32",
        device: str = "cpu",
        provenance: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> list[Path]:
        """Map a cube, and outline the plumes that the network sees.

        Args:
            source: A cube, a scene with one, or its path.
            output: The map of the filter, `.tif`; others stand beside it, as those of `methane_onboard`.
            products: What is written beside the map.
            fewest_pixels: Pixels that a plume has at least.
            pixel_size: Edge of a pixel in m, for cubes without a CRS; gives areas, lengths and masses.
            tile: Edge of a tile in pixels; by default at least 256.
            overlap: Share of a tile that neighbours have in common.
            batch: Tiles that run together.
            precision: See `Segmentation.predict`.
            device: Where the network runs.
            provenance: Added to the STAC items.
            progress: Whether to show a bar on a terminal.

        Returns:
            The paths written, the map first.
        """
        output = Path(output)
        if output.suffix.casefold() not in (".tif", ".tiff") or set(products) - set(PRODUCTS):
            raise ConfigError("A gas map cannot be written so", got=output.name, expected="a .tif")
        cube = cube_of(source)
        product = GasProduct(cube, self.mapper)
        # A class map beside the output, so that a run goes on after a kill; it goes away in the end.
        seen = output.with_name(f".{output.stem}-seen.tif")
        (path,) = super().predict(
            Scene(output.stem, {"image": product}), seen, tile=tile, overlap=overlap, batch=batch,
            precision=precision, device=device, progress=progress,
        )  # fmt: skip
        try:
            with rasterio.open(path) as file:
                mask = large_enough(file.read(1) == CLASSES.codes[1], fewest_pixels)
        finally:
            for leftover in output.parent.glob(f"{seen.name}*"):
                leftover.unlink()
        told = {
            "system": getattr(self, "system", {}).get("id"), "weights": self.weights_hash(),
            "inputs": {"cube": cube.name}, "fewest pixels": fewest_pixels,
            **{name: str(value) for name, value in asdict(self.mapper).items()}, **(provenance or {}),
        }  # fmt: skip
        return write_products(cube, product.enhancement, mask, output, "ppm m", products, told, pixel_size=pixel_size)

    def learned(self, run: Path) -> dict[str, Any]:
        """The weights, and the table of the absorption, where the user gave one."""
        keep_table(self.mapper, run)
        return super().learned(run)

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back the weights and the table."""
        self.mapper = with_kept_table(self.mapper, run)
        super().recall(run, description)

    def _product(self, scene: Scene) -> Scene:
        layer = next(iter(scene.layers.values()))
        return (
            scene
            if isinstance(layer, GasProduct)
            else replace(scene, layers={"image": GasProduct(cube_of(scene), self.mapper)})
        )


class TrainedGasNetwork(GasNetwork):
    """The authors' trained LinkNet: it is applied as it is.

    Args:
        mapper: The filter.
        factors: Whose published factors divide the product.
    """

    trained: ClassVar[bool] = False

    def __init__(self, mapper: Mapper, factors: str) -> None:
        super().__init__(TrainedLinkNet(), mapper, factors, Recipe(batch=2))

    def fit(self, data: Collection, run: Path) -> Any:  # type: ignore[override]
        """Refuse: there is nothing to train.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("The authors' trained network is applied as it is", fix="Fit methane_onboard:network")


class _Cut(nn.Module):
    """Values between 0 and 2."""

    def forward(self, product: Tensor) -> Tensor:
        return product.clamp(0, HIGHEST)
