"""Land use at two dates, and what changed between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import torch

from swath.data.classes import Classes
from swath.data.pair_labels import pair_of
from swath.data.selection import select_bands, select_layers
from swath.errors import ConfigError, DataError
from swath.losses.bitemporal import bitemporal_loss
from swath.nn.siamese_change import AFTER, BEFORE, BitemporalLogits
from swath.scene.apply import apply
from swath.scene.symmetries import through_symmetries
from swath.tasks.change_baselines import ChangeRivals
from swath.tasks.change_products import change_outputs, from_to_table
from swath.tasks.change_tally import ChangeTally
from swath.tasks.neural import NeuralTask
from swath.tasks.normalise import Normalisation
from swath.tasks.padding import padded
from swath.tasks.pixels import covered
from swath.tasks.scores import Scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from swath.data.scenes import Collection, Scene
    from swath.data.series import SeriesInput
    from swath.sensors.bands import Bands
    from swath.tasks.recipe import Recipe

#: What `predict` can write.
Product = Literal["change", "before", "after", "probability", "table"]
PRODUCTS: tuple[Product, ...] = get_args(Product)
#: Scenes below which the bootstrap draws tiles instead.
_SCENES_TO_DRAW = 8


class LandUseChange(NeuralTask):
    """Two maps of land use, a map of change, and a table of what became what.

    Scenes have the layers `before` and `after`, of the same bands, and labels of both dates (`PairLabels`).

    Args:
        net: Layers, and series where there are any, to `BitemporalLogits`.
        bands: Bands of the image of each date.
        classes: Land uses.
        recipe: How it is trained; its loss is joint and not named there.
        normalisation: Statistics that belong to the weights; those of both dates are one, so that no change comes from
            them.
        series: What the network takes of each time series.
        published: Whether it trains with the loss of the authors' code (`bitemporal_loss`).
        faster: Factor of the learning rate of all but the encoder, `net.encoder`.
        pixel: Edge of an image's pixel in metres that the network counts on; None where it does not matter.
    """

    kind: ClassVar[str] = "land use change"
    monitor = "val_mean"
    #: Height and width that HRNet takes are multiples of this.
    _stride = 32

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands,
        classes: Classes,
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
        series: Mapping[str, SeriesInput] | None = None,
        published: bool = False,
        faster: float = 1.0,
        pixel: float | None = None,
    ) -> None:
        layers = {BEFORE: bands, AFTER: bands}
        super().__init__(net, bands=layers, recipe=recipe, normalisation=normalisation, series=series)
        self.classes = classes
        self._published, self._faster, self._pixel = published, faster, pixel
        self._tally = ChangeTally(len(classes))

    def forward(self, batch: Mapping[str, Any]) -> BitemporalLogits:
        """Logits of a batch of physical values."""
        height, width = batch["valid"].shape[-2:]
        found: BitemporalLogits = super().forward(padded(batch, self._stride, self.series))
        cut = {name: getattr(found, name)[..., :height, :width] for name in ("before", "after", "change")}
        return replace(found, **cut, series=None if found.series is None else found.series[..., :height, :width])

    def probabilities(self, batch: Mapping[str, Any]) -> Tensor:
        """Probabilities `[B, 2 K + 1, H, W]` of a batch of physical values: land use before, after, change."""
        found = self(batch)
        parts = [
            found.before.float().softmax(1),
            found.after.float().softmax(1),
            found.change.float().sigmoid()[:, None],
        ]
        return torch.cat(parts, 1)

    def prepare(self, data: Collection) -> None:
        """Check legend and pixels."""
        self._require(data)

    def _statistics(self, data: Collection, seed: int) -> dict[str, Normalisation]:
        """As every task, but one for both dates: the spread of either and the step between them."""
        found = super()._statistics(data, seed)
        if self.normalise is not None and {BEFORE, AFTER} <= self.normalise.layers.keys():
            return found
        first, second = (found[name] for name in (BEFORE, AFTER))
        mean = (np.array(first.mean) + second.mean) / 2
        square = (np.square(first.std) + np.square(second.std)) / 2 + np.square(
            np.subtract(first.mean, second.mean) / 2
        )
        shared = Normalisation(tuple(mean.tolist()), tuple(np.sqrt(square).tolist()))
        return found | {BEFORE: shared, AFTER: shared}

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one batch."""
        found = self(batch)
        truth = pair_of(batch["mask"], len(self.classes))
        loss = bitemporal_loss(found.before, found.after, found.change, found.series, *truth, published=self._published)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["mask"]), sync_dist=True)
        return loss

    def parameter_groups(self) -> list[Any]:
        """The encoder, and all else with a rate of its own."""
        encoder: Any = self.net.encoder
        slow = {id(parameter) for parameter in encoder.parameters()}
        every = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in every if id(p) in slow]},
            {"params": [p for p in every if id(p) not in slow], "lr": self.recipe.learning_rate * self._faster},
        ]

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self._tally = ChangeTally(len(self.classes))

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Count one batch."""
        truth = pair_of(batch["mask"].cpu().numpy(), len(self.classes))
        self._tally.update(_decided(self.probabilities(batch)), truth)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the whole validation part, and the mean of those of land use and change, which selects."""
        every: Any = self.all_gather(torch.from_numpy(self._tally.total).to(self.device))
        named = self._tally.named(every.reshape(-1, every.shape[-1]).sum(0).cpu().numpy())
        named = {name: float(np.nan_to_num(value)) for name, value in named.items()}
        for name, value in {**named, "mean": (named["miou"] + named["change_f1"]) / 2}.items():
            self.log(f"val_{name}", value, rank_zero_only=False)

    @torch.inference_mode()
    def score(
        self,
        data: Collection,
        part: str = "test",
        *,
        tta: bool = False,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = 1000,
        threads: int = 2,
    ) -> Scores:
        """Score on a part of labelled data, beside rivals that learned from the training part.

        `miou` and `accuracy` are of land use at both dates, `change_f1` and `change_iou` of change; `change_miou`,
        `sek` and `second` are those of SECOND (`swath.metrics.semantic_change`).

        Args:
            data: Labelled scenes, split.
            part: The part to score.
            tta: Whether the mean over the eight symmetries of the square is scored.
            seed: Of the bootstrap and of the rivals.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over scenes, or over tiles where there are few scenes.
            threads: Threads that read patches.

        Raises:
            DataError: If the part has no labelled pixel, or the legends differ.
        """
        data = select_bands(data, self.bands, self.series)
        self._require(data)
        self.eval()
        model = through_symmetries(self.probabilities) if tta else self.probabilities
        rivals = ChangeRivals(data, self.classes, self.recipe.patch, threads, seed, self._pixel)
        tallies = {name: ChangeTally(len(self.classes)) for name in ("system", *rivals.names)}
        by_scene = len({scene.id for scene in data if scene.part == part}) >= _SCENES_TO_DRAW
        for batch, core in covered(data, part, self.recipe.patch, self.recipe.batch, threads, seed):
            decided = {"system": _decided(model(batch)), **rivals.decide(batch)}
            truth = pair_of(batch["mask"].numpy(), len(self.classes))
            for i in range(len(batch["mask"])):
                here = (i, *core)
                if (truth[0][here] >= 0).any():
                    unit = (
                        int(batch["scene"][i])
                        if by_scene
                        else (int(batch["scene"][i]), *batch["window"][i, :2].tolist())
                    )
                    for name, (before, after, changed) in decided.items():
                        found = before[here], after[here], changed[here]
                        tallies[name].update(found, (truth[0][here], truth[1][here]), unit)
        if not tallies["system"].units:
            raise DataError(f"The '{part}' part of {data.name} has no labelled pixel")
        scored = {name: tally.scores(level, resamples, seed) for name, tally in tallies.items()}
        use, moved, change = tallies["system"].matrices(tallies["system"].total)
        drawn = "scenes" if by_scene else "tiles"
        return Scores(
            part,
            scored.pop("system"),
            scored,
            {
                "confusion": use.tolist(), "classes": list(self.classes.names),
                "semantic change": moved.tolist(), "change": change.tolist(),
            },
            {
                "pixels": int(change.sum()), "changed": int(change[1].sum()),
                "intervals": f"{level:.0%}, bootstrap over {len(tallies['system'].units)} {drawn}",
            },
        )  # fmt: skip

    def predict(
        self,
        source: Scene,
        output: Path,
        *,
        products: Sequence[Product] = ("change", "before", "after", "table"),
        tile: int | None = None,
        overlap: float = 0.25,
        batch: int = 2,
        tta: bool = False,
        device: str = "cpu",
        on_error: Literal["raise", "skip"] = "raise",
        provenance: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> list[Path]:
        """Map a scene of any size.

        Args:
            source: A scene with the layers `before` and `after`, and the series that the network takes.
            output: The map of change; other products stand beside it, with their name added.
            products: Any of `change` (1 where land use changed, else 0), `before` and `after` (land use), `probability`
                (of change) and `table` (CSV: pixels, and hectares where there is a CRS, of each land use that became
                another where change is mapped).
            tile: Edge of a tile in pixels; by default the recipe's patch.
            overlap: Share of a tile that neighbours have in common.
            batch: Tiles that run together.
            tta: Whether scores are the mean over the eight symmetries of the square; eight times the work.
            device: Where the network runs: `cpu`, `cuda`, ...
            on_error: Whether a block that cannot be read ends the run, or leaves its ground invalid and is listed.
            provenance: Further facts for the STAC items.
            progress: Whether to show a bar on a terminal.

        Returns:
            The paths written, in the order of `products`.

        Raises:
            ConfigError: If a product is unknown.
            SwathError: As `swath.scene.apply.apply` raises it.
        """
        output = Path(output)
        if strange := [name for name in products if name not in PRODUCTS]:
            raise ConfigError(f"There is no product '{strange[0]}'", expected=", ".join(PRODUCTS))
        scene = select_layers(source, self.bands, self.series)
        tile = tile or self.recipe.patch
        self._require_pixel(scene, tile)
        needed = {*products, *(("change", "before", "after") if "table" in products else ())}
        rasters = {name: one for name, one in change_outputs(output, self.classes).items() if name in needed}
        self.eval().to(device)
        report = apply(
            through_symmetries(self.probabilities) if tta else self.probabilities, scene, list(rasters.values()),
            tile=-(-tile // self._stride) * self._stride, overlap=overlap, batch=batch, device=device,
            on_error=on_error, progress=progress,
            provenance={
                "system": getattr(self, "system", {}).get("id"), "weights": self.weights_hash(), "tta": tta,
                **(provenance or {}),
            },
        )  # fmt: skip
        written = dict(zip(rasters, report.paths, strict=True))
        if "table" in products:
            table = output.with_name(f"{output.stem}-table.csv")
            written["table"] = from_to_table(
                written["before"], written["after"], written["change"], self.classes, table
            )
        return [written[name] for name in products]

    def _require(self, data: Collection) -> None:
        data.require_classes(self.classes)
        for scene in data:
            self._require_pixel(scene, self.recipe.patch)

    def _require_pixel(self, scene: Scene, edge: int) -> None:
        """Refuse images of another resolution, or so large that the series does not show their ground."""
        if self._pixel is None:
            return
        for name, wanted in self.series.items():
            shown = wanted.view.resolution * wanted.view.size if wanted.view else np.inf
            if edge * self._pixel > shown:
                raise ConfigError(
                    f"Patches show more ground than the series '{name}'",
                    got=f"{edge} pixels of {self._pixel:g} m",
                    expected=f"at most {shown:g} m",
                    fix="Take smaller patches (`--patch`) or tiles (`--tile`)",
                )
        grid = scene.grid
        if grid.crs is None or grid.crs.geographic or abs(grid.affine.a / self._pixel - 1) <= _SAME_PIXEL:
            return
        raise ConfigError(
            f"Scene {scene.id} has pixels of another size than the network counts on",
            got=f"{grid.affine.a:g} m",
            expected=f"{self._pixel:g} m",
            fix="Give `--pixel` when the system is made",
        )


#: Share by which pixels may differ from what was said: 2 % are 5 m at the edge of 512 pixels of 0.5 m.
_SAME_PIXEL = 0.02


def _decided(scores: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class indices before and after, and whether it changed, of probabilities `[B, 2 K + 1, H, W]`."""
    found = scores.detach().cpu().numpy()
    classes = (found.shape[1] - 1) // 2
    return found[:, :classes].argmax(1), found[:, classes:-1].argmax(1), found[:, -1] > 0.5
