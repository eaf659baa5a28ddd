"""CloudTracks: the tracks of ships in low cloud, as a mask, one by one, and as a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from swath.data.classes import IGNORE, Classes
from swath.data.instances import Instances, read_instances
from swath.data.microphysics import DayMicrophysics
from swath.data.raster import open_raster
from swath.data.readers.cloudtracks import CLASSES
from swath.data.reduced import ReducedPicture
from swath.data.scene_words import open_scene
from swath.data.scenes import Collection, Labels, Scene
from swath.errors import ConfigError
from swath.geo.grids import positions, shape_of, window_grid
from swath.geo.windows import Window
from swath.nn.dynamic_masks import DynamicMasks
from swath.nn.encoders import timm_network
from swath.nn.mask_rcnn import mask_rcnn
from swath.registry import Card, register, register_form
from swath.scene.objects import Sighting
from swath.sensors.bands import Band, Bands
from swath.sensors.catalogue import resolve, sensor
from swath.tasks.counted import CountedSegmentation
from swath.tasks.encoder_weights import load_weights
from swath.tasks.instances import InstanceSegmentation
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

#: Height and width to which the release resizes every granule, and the edge of its tiles.
PUBLISHED_SIZE, TILE = (2240, 1344), 448


@register(
    Card(
        id="cloudtracks",
        title="CloudTracks: A Dataset for Localizing Ship Tracks in Satellite Images of Clouds",
        year=2024,
        task="segmentation",
        inputs="pictures of day microphysics of MODIS, 1 km, 2030 x 1354 pixels; or its bands 1, 20 and 31",
        outputs="track or not a pixel; outlines and number of tracks; track by track as `cloudtracks:instances`",
        reference="arXiv:2401.14486",
        weights=(
            "None were released. `weights=` takes a timm file of the encoder as it is, of which the prior work starts "
            "from ImageNet's, or the weights of a Swath run."
        ),
        baseline=(
            "per pixel: majority class, nearest centroid, random forest; lines by Frangi's filter and by top-hat; of "
            "counts, their connected pixels and the mean of the training part"
        ),
        departures=(
            "Which networks the paper trained is not known to us, and it released no code: the default is the state of "
            "the art before it (Watson-Parris et al. 2022), a U-Net on ResNet-152 with cross entropy and Jaccard loss; "
            "U-Net++ and DeepLabv3+ are our options.",
            "That U-Net was one of Keras with a ResNet that begins otherwise; ours is segmentation_models_pytorch's.",
            "Its code mirrors images left to right and their labels top to bottom; here both move alike. "
            "`variant=published` does as the code.",
            "Its code leaves out tiles without a track, so nothing teaches that most sea has none; here they stay.",
            "Its code resizes granules of 2030 x 1354 pixels to 2240 x 1344, which stretches them by 11 % along the "
            "track of the satellite; here granules keep their pixels, and tiles overlap and are blended.",
            "Its code trains on pictures whose histograms were equalised one by one and is applied to ones with a "
            "fixed stretch; here both have the fixed stretch (`swath.sensors.microphysics`).",
            "It divides the rate of learning where the loss stands still; ours falls by a cosine, or as `published` "
            "at 60 and 90 % of the epochs. The optimiser of the corrected variant is our choice.",
            "Splits are not known to us: days are dealt to parts.",
            "Its outlines follow a probability of 0.8; ours are those of the likelier class, at one half.",
            "How the paper counts with a mask is not known to us: connected pixels, of 30 or more.",
        ),
        checks=(
            "P: logits are those of segmentation_models_pytorch with the same weights; the loss is its binary cross "
            "entropy and Jaccard; outlines of lines, stretch and counts by hand.",
            "R: fit, score and predict on simulated granules in the published layout and on a YAML.",
            "B: on simulated granules the mask has IoU 0.657; random forest 0.423, top-hat 0.345, Frangi 0.218. Where "
            "tracks cross, single tracks err by 0.68 in count, connected pixels of the mask by 1.66; their AP50 is "
            "0.298, of a watershed 0.104.",
            "H: time of a granule in tiles of 448 against the granule as a whole is on the page.",
        ),
    )
)
def cloudtracks(
    classes: Classes | None = None,
    bands: Bands | None = None,
    network: Literal["unet", "unetpp", "deeplab"] = "unet",
    encoder: str = "resnet152",
    weights: Path | None = None,
    variant: Literal["corrected", "published"] = "corrected",
) -> ShipTracks:
    """Build the task.

    Args:
        classes: Background and track, in this order; None takes these.
        bands: What the pictures hold; None takes three bytes of day microphysics.
        network: U-Net, U-Net++ or DeepLabv3+.
        encoder: Any timm network with features of strides 2 to 32; `test_resnet` suits a CPU.
        weights: A weights file of the encoder in timm's names, or of this whole network.
        variant: `published` resizes, leaves out tiles and mirrors labels as the code of the prior work does.

    Raises:
        ConfigError: If timm has no such encoder, it does not suit the network, or there are not two classes.
        UnknownNameError: If there is no such network or variant.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    if len(classes) != 2 or variant not in ("corrected", "published"):
        raise ConfigError(
            "Tracks cannot be told so",
            got=f"classes {', '.join(classes.names)}; variant {variant}",
            expected="two classes, background first; corrected or published",
        )
    net = build_net(network, encoder, len(bands))
    if weights is not None:
        load_weights(net, net.encoder.model, weights, encoder, bands)
    released = variant == "published"
    statistics = Normalisation((0.0,) * len(bands), (255.0,) * len(bands))
    task = ShipTracks(
        net, bands=bands, classes=classes, recipe=_RELEASED if released else _RECIPE, stride=STRIDES[network],
        target=classes.names[1], normalisation={"image": statistics} if released else None,
    )  # fmt: skip
    task.released = released
    return task


@register_form("cloudtracks:instances")
def cloudtracks_instances(
    classes: Classes | None = None,
    bands: Bands | None = None,
    network: Literal["dynamic", "mask_rcnn"] = "dynamic",
    encoder: str = "resnet50",
    weights: Path | None = None,
    suppression: Literal["box", "mask", "matrix"] = "mask",
    overlap: float = 0.3,
) -> TrackInstances:
    """Build the search for single tracks.

    Args:
        classes: Background and track; None takes these.
        bands: What the pictures hold; None takes three bytes of day microphysics.
        network: Dynamic masks, which draw a thin thing in full resolution; or Mask R-CNN, whose masks have 28 cells.
        encoder: Any timm network with features of strides 2 to 32; for Mask R-CNN also torchvision's ResNets.
        weights: A weights file of this whole network; or, for dynamic masks, of the U-Net of `cloudtracks` with the
            same encoder, from which learning then goes on.
        suppression: How one track that was found several times becomes one: by overlap of boxes, which kills tracks
            that cross or lie side by side, of masks, or by decay of scores with it (`swath.metrics.instances`).
        overlap: Overlap of masks that is allowed.

    Raises:
        ConfigError: If there is no such network, encoder or suppression.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    bands = resolve("rgb") if bands is None else bands
    classes = CLASSES if classes is None else classes
    net: nn.Module
    if network == "dynamic":
        net = DynamicMasks(encoder, len(bands), len(classes))
    elif network == "mask_rcnn":
        boxes = 0.5 if suppression == "box" else 0.9
        net = mask_rcnn(len(bands), len(classes), encoder, box_nms=boxes, ratios=(0.25, 1.0, 4.0))
    else:
        raise ConfigError("The system has no such network", got=network, expected="dynamic or mask_rcnn")
    if weights is not None:
        _load_instances(net, weights)
    return TrackInstances(
        net, bands=bands, classes=classes, recipe=_INSTANCES, suppression=suppression, overlap=overlap
    )


def _load_instances(net: nn.Module, path: Path) -> None:
    """Load a file of the whole network, or one of a U-Net whose logit becomes that of whether there is a thing."""
    state = load_state(path)
    if not (isinstance(net, DynamicMasks) and any(key.startswith("segmentation_head.") for key in state)):
        load_into(net, state, name=str(path))
        return
    for key in ("segmentation_head.0.weight", "segmentation_head.0.bias"):
        own = net.unet.state_dict()[key].clone()
        if key in state and state[key].shape[1:] == own.shape[1:]:
            own[-1:] = state[key]
            state[key] = own
    load_into(net.unet, state, name=f"{path} (U-Net)")


_NETWORKS = {"unet": smp.Unet, "unetpp": smp.UnetPlusPlus, "deeplab": smp.DeepLabV3Plus}
#: Height and width that each network takes are multiples of this.
STRIDES = {"unet": 32, "unetpp": 32, "deeplab": 16}
_RECIPE = Recipe(
    loss="ce+foreground_jaccard", learning_rate=1e-3, epochs=100, batch=8, patch=TILE, augment=("d4", "colour"),
    sampling="classes",
)  # fmt: skip
_RELEASED = Recipe(
    loss="ce+foreground_jaccard", optimizer="adam", learning_rate=0.01, weight_decay=0.0, schedule="step",
    epochs=100, batch=128, patch=TILE, augment=(), sampling="labels",
)  # fmt: skip
_INSTANCES = Recipe(
    learning_rate=1e-3, epochs=100, batch=8, patch=TILE, augment=("d4", "colour"), sampling="area", clip=10.0
)


#: Scores from which a track may count.
_COUNTED = np.linspace(0.1, 0.9, 17)


class BesideZero(nn.Module):
    """One logit `z` `[B, 1, H, W]` as two, `(0, z)`: their softmax is the sigmoid, their cross entropy is binary."""

    def forward(self, z: Tensor) -> Tensor:
        """Logits `[B, 2, H, W]`."""
        return torch.cat([torch.zeros_like(z), z], 1)


def build_net(network: str, encoder: str, channels: int) -> Any:
    """The bare network: normalised `[B, channels, H, W]` -> logits `[B, 2, H, W]`; see `cloudtracks`."""
    if network not in _NETWORKS:
        raise ConfigError("The system has no such network", got=network, expected=", ".join(_NETWORKS))
    with timm_network(encoder, network):
        return _NETWORKS[network](
            f"tu-{encoder}", encoder_weights=None, in_channels=channels, classes=1, activation=BesideZero
        )


class ShipTracks(CountedSegmentation):
    """Segmentation of tracks that also takes the bands of a granule, and makes the picture itself.

    Attributes:
        released: Whether granules are resized, training tiles without a track left out, and images mirrored apart from
            their labels, as the code of the prior work does; maps then have the pixels of the resized granule.
    """

    released: bool = False

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Scene:
        """See `open_granule`."""
        return open_granule(words, self.bands["image"], crs)

    def training_step(self, batch: dict[str, Any], number: int) -> Tensor:
        """See `Segmentation.training_step`."""
        return super().training_step(mirrored_apart(batch) if self.released else batch, number)

    def sized(self, scene: Scene) -> Scene:
        """See `CountedSegmentation.sized`."""
        if not self.released:
            return scene
        layers = {name: ReducedPicture(source, PUBLISHED_SIZE, "bilinear") for name, source in scene.layers.items()}
        return replace(scene, layers=layers)

    def seen(self, data: Collection) -> Collection:
        """See `NeuralTask.seen`."""
        seen = super().seen(data)
        if not self.released:
            return seen
        return seen.with_scenes(
            [replace(s, labels=OnlyTracked(s.labels, s.grid)) if s.part == "train" and s.labels else s for s in seen]
        )


class TrackInstances(InstanceSegmentation):
    """Search for single tracks that also takes the bands of a granule, and makes the picture itself.

    From which score on a track counts is chosen on the validation part, by the least error of counts; of scores with
    the same error the highest, so that empty granules stay empty.
    """

    def sighting(self, scene: Scene, tile: int | None = None, tile_overlap: float = 0.25, **options: Any) -> Sighting:
        """See `InstanceSegmentation.sighting`; tiles are as large as the patches that the network learned from."""
        return super().sighting(scene, tile or self.recipe.patch, tile_overlap, **options)

    def settle(self, data: Collection) -> bool:
        """See `NeuralTask.settle`."""
        scenes = [scene for scene in data if scene.part == "val"]
        if not scenes:
            return False
        self.eval()
        true = np.array([len(read_instances(scene.labels, scene.grid)) for scene in scenes])
        found = [self.sighting(scene).objects.scores for scene in scenes]
        errors = np.array([np.abs([(scores >= least).sum() for scores in found] - true).sum() for least in _COUNTED])
        self.counted = float(_COUNTED[errors == errors.min()].max())
        return True

    def learned(self, run: Path) -> dict[str, Any]:
        """See `Task.learned`."""
        return {**super().learned(run), "counted": self.counted}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """See `Task.recall`."""
        super().recall(run, description)
        self.counted = float(description["counted"])

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Scene:
        """See `open_granule`."""
        return open_granule(words, self.bands["image"], crs)


def mirrored_apart(batch: dict[str, Any]) -> dict[str, Any]:
    """Every other patch, by chance, with its image mirrored left to right and its mask top to bottom: a defect."""
    chosen = torch.rand(len(batch["mask"]), device=batch["mask"].device) < 0.5
    image = torch.where(chosen[:, None, None, None], batch["image"].flip(-1), batch["image"])
    return {**batch, "image": image, "mask": torch.where(chosen[:, None, None], batch["mask"].flip(-2), batch["mask"])}


def open_granule(words: Sequence[str], bands: Bands, crs: str | None = None) -> Scene:
    """A granule as the words of a command line name it.

    Args:
        words: A picture, or bands 1, 20 and 31 of MODIS as numbers with a point (`swath.sensors.microphysics`), which
            may be three files joined by commas; and perhaps `zenith=RASTER`, the zenith angle of the sun in degrees.
        bands: What the task takes; the picture is made only for a task of pictures.
        crs: See `swath.data.scene_words.open_scene`.
    """
    first = (words[0].partition("=")[2] or words[0]).split(",")[0]
    if bands != resolve("rgb") or open_raster(first, crs=crs).dtype.kind != "f":
        return open_scene(words, {"image": bands}, crs)
    needed = {"image": sensor("modis_day_microphysics")}
    if any(word.startswith("zenith=") for word in words):
        needed["zenith"] = Bands("sun", (Band("zenith", "degree"),))
    scene = open_scene(words, needed, crs)
    return replace(scene, layers={"image": DayMicrophysics(scene.layers["image"], scene.layers.get("zenith"))})


class OnlyTracked:
    """Labels of the tiles that hold a track; others have none. Tiles stand side by side from the top-left corner.

    Args:
        labels: All labels.
        grid: Of the granule; what is read has its pixels.
    """

    def __init__(self, labels: Labels, grid: GeoBox) -> None:
        self.name = labels.name
        self._labels, self._grid = labels, grid
        self._tracked = lru_cache(maxsize=None)(self._holds_track)

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `swath.data.scenes.Labels.read`."""
        classes = self._labels.read(grid)
        top, left = (round(v) for v in positions(self._grid, *(grid.affine @ (0, 0))))
        height, width = shape_of(grid)
        rows, cols = (np.arange(height) + top) // TILE, (np.arange(width) + left) // TILE
        for row in np.unique(rows).tolist():
            for col in np.unique(cols).tolist():
                if not self._tracked(row, col):
                    classes[np.ix_(rows == row, cols == col)] = IGNORE
        return classes

    def instances(self, grid: GeoBox) -> Instances:
        """See `swath.data.instances.InstanceLabels`."""
        return read_instances(self._labels, grid)

    def _holds_track(self, row: int, col: int) -> bool:
        tile = window_grid(self._grid, Window(row * TILE, col * TILE, TILE, TILE))
        return bool((self._labels.read(tile) > 0).any())
