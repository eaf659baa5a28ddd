"""Image classification by text: the class whose prompt lies nearest to the image, with or without training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from swath.data.classes import IGNORE
from swath.data.placed import Placed
from swath.data.prompts import Template, prompts
from swath.errors import ConfigError
from swath.losses.contrastive import info_nce
from swath.nn.clip import image_size, tokens
from swath.tasks.classify import Classification, class_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from swath.data.scenes import Collection, Scene

#: Prompts that are read by the text encoder at once.
_TEXTS = 256


@dataclass(frozen=True)
class Asking:
    """What images and texts are compared by.

    Attributes:
        described: What each class looks like, by its name; see `swath.data.prompts`.
        fit: Template of the prompts in training.
        score: Template in validation and scoring.
        predict: Template in prediction.
        temperature: Divides the cosines, in training and for probabilities; it is not learned.
        smoothing: Share of each target of the loss that is spread over the batch.
        by_label: Whether a prompt is right in training for all images of its class, whatever their places; otherwise
            that of another place is as wrong as that of another class.
        best: What selects the weights: the macro F1 of the validation part, or the loss of training, as released.
    """

    described: Mapping[str, str]
    fit: Template = "description_city"
    score: Template = "description_city"
    predict: Template = "description_city"
    temperature: float = 0.07
    smoothing: float = 0.1
    by_label: bool = True
    best: str = "val_macro_f1"

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not 0 <= self.smoothing < 1:
            raise ConfigError(
                "Images and texts cannot be compared so",
                got=f"temperature {self.temperature}, smoothing {self.smoothing}",
                expected="a positive temperature, and smoothing from 0 to below 1",
            )


class TextClassification(Classification):
    """Classification by prompts, with an image-text network of `swath.nn.clip`; see `Classification`.

    Args:
        asking: The prompts and how they are compared.
        place_of: Name of the place of an image, which prompts may hold; by default that of `Placed` scenes.
    """

    kind: ClassVar[str] = "text classification"
    net: Any

    def __init__(
        self, *args: Any, asking: Asking, place_of: Callable[[Scene], str] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.asking, self.monitor = asking, asking.best
        self._place_of = place_of or (lambda scene: scene.place if isinstance(scene, Placed) else "")
        self._places: list[str] = []
        self._number_of: Tensor = torch.zeros(0, dtype=torch.long)
        self._known: dict[Template, Tensor] = {}
        self._template: Template = asking.score

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits `[B, K]`: cosines of images and of the prompts of their places, by the temperature."""
        if self.normalise is None:
            return super().forward(batch)  # which says what is missing
        image = self.normalise(batch["image"], batch["valid"])
        seen = self.net.encode_image(image, normalize=True)
        texts = self._text_vectors(self._template)[self._number_of.to(seen.device)[batch["scene"].to(seen.device)]]
        return torch.einsum("bd,bkd->bk", seen, texts) / self.asking.temperature

    def prepare(self, data: Collection) -> None:
        """Check classes and sizes, and note the place of each image."""
        super().prepare(data)
        if self.recipe.patch != image_size(self.net):
            raise ConfigError(
                "The network takes images of one size", got=f"patch {self.recipe.patch}", expected=image_size(self.net)
            )
        self.address(list(data), self.asking.score)

    def address(self, scenes: Sequence[Scene], template: Template) -> None:
        """Say whose places prompts are about from now on, and in which words; batches count these scenes."""
        places = [self._place_of(scene) for scene in scenes]
        self._places = sorted(set(places))
        self._number_of = torch.tensor([self._places.index(place) for place in places], dtype=torch.long)
        self._template, self._known = template, {}

    def _probabilities(self, scenes: Sequence[Scene], device: str) -> np.ndarray:
        """See `Classification`; prompts are about the places of these scenes."""
        self.address(scenes, self.asking.predict)
        return super()._probabilities(scenes, device)

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """See `Task.recall`."""
        super().recall(run, description)
        self._known = {}

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor | None:  # type: ignore[override]
        """Symmetric InfoNCE of the images of one batch that have a class, and of their prompts."""
        assert self.normalise is not None  # `fit` has set it
        self._known = {}  # vectors of texts change with the weights
        classes = class_of(batch)
        counts = classes != IGNORE
        if not counts.any():
            return None
        image = self.normalise(batch["image"], batch["valid"])[counts]
        places, classes = self._number_of.to(classes.device)[batch["scene"]][counts], classes[counts]
        every = self._prompts(self.asking.fit)
        told = [every[int(n)] for n in places * len(self.classes) + classes]
        distinct = list(dict.fromkeys(told))
        same = torch.tensor([distinct.index(text) for text in told], device=image.device)
        texts = self.net.encode_text(tokens(self.net, distinct).to(image.device))[same]
        loss = info_nce(
            self.net.encode_image(image),
            texts,
            self.asking.temperature,
            classes if self.asking.by_label else None,
            self.asking.smoothing,
        )
        for name, value in (("train_loss", loss), ("train_gain", -loss.detach())):
            self.log(name, value, on_step=False, on_epoch=True, batch_size=len(image), sync_dist=True)
        return loss

    def _prompts(self, template: Template) -> list[str]:
        """Prompts of all classes at the first place, then at the second, and so on."""
        names, described = self.classes.names, self.asking.described
        return [text for place in self._places for text in prompts(names, place, template, described)]

    def _text_vectors(self, template: Template) -> Tensor:
        """Vectors of unit length `[places, K, D]` of all prompts, kept until weights or places change."""
        if template not in self._known or self.training:
            device = next(self.net.parameters()).device
            numbers = tokens(self.net, self._prompts(template)).to(device)
            pieces = [self.net.encode_text(piece, normalize=True) for piece in numbers.split(_TEXTS)]
            self._known[template] = torch.cat(pieces).unflatten(0, (len(self._places), len(self.classes)))
        return self._known[template]
