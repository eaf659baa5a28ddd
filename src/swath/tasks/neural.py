"""Tasks with a network: one way to train, keep and recall them, on Lightning."""

from __future__ import annotations

import errno
import json
import logging
import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from swath.data.augment import Augment
from swath.data.leaks import check_leaks
from swath.data.loader import Batches
from swath.data.resampled import at_pixel_size, without_blank
from swath.data.selection import select_layers
from swath.data.series import SeriesInput
from swath.data.statistics import band_statistics, series_statistics
from swath.errors import RunError, SwathError, WriteError
from swath.files import write_text
from swath.sensors.bands import Bands
from swath.tasks.callbacks import EpochSeed, History, KeepBest, ProgressLines
from swath.tasks.decay import decay_groups
from swath.tasks.feed import cover, training_sampler
from swath.tasks.normalise import Normalisation, Normalise
from swath.tasks.plain import to_plain
from swath.tasks.recipe import Recipe
from swath.tasks.run import Run
from swath.tasks.task import Task
from swath.tasks.trained_parts import TrainedParts, tensors_hash
from swath.tasks.weights import load_into, load_state, save_state

if TYPE_CHECKING:
    from torch import nn

    from swath.data.samplers import Places, Sampler
    from swath.data.scenes import Collection, Scene

_console = Console(stderr=True)
#: What a disk says that is full, or that one may not write to.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


@dataclass(frozen=True)
class _Feed:
    """What the loaders of a fit are made of, in whichever process they are made."""

    data: Collection
    sampler: Sampler
    validated: Places
    seed: int
    threads: int


class NeuralTask(LightningModule, Task):
    """A task whose heart is a network on normalised tensors.

    Args:
        net: The bare network: normalised image `[B, C, H, W]`, or a dict of these by layer, to its outputs; where there
            are series, image and normalised series (`docs/design.md`, contract 3).
        bands: Bands of the image, or of each layer, in the order that the network takes.
        recipe: How it is trained.
        normalisation: Statistics that belong to the weights, by layer and series; those that are not given are taken
            from the training part.
        series: What the network takes of each time series.
    """

    #: Validation metric that selects the weights; it must rise.
    monitor: str
    #: Whether it learns from things that are told apart (see `Batches`).
    instances: ClassVar[bool] = False
    #: Edge in metres of the pixels that it learned at; scenes with others are resampled. None takes them as they are.
    pixel_size: float | None = None
    #: Whether windows that are all black or all white are left out.
    skip_blank: bool = False
    net: nn.Module
    #: Which parts of the network are trained, where not all are; see `train_only`.
    trained_parts: TrainedParts | None = None
    #: Parts of names of parameters that are not decayed; where there are some, those of norms are not decayed either.
    undecayed: tuple[str, ...] = ()

    def __init__(
        self,
        net: nn.Module,
        *,
        bands: Bands | Mapping[str, Bands],
        recipe: Recipe,
        normalisation: Mapping[str, Normalisation] | None = None,
        series: Mapping[str, SeriesInput] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.bands = {"image": bands} if isinstance(bands, Bands) else dict(bands)
        self.series = dict(series or {})
        self.recipe = recipe
        self.normalise = Normalise(normalisation) if normalisation else None

    def forward(self, batch: Mapping[str, Any]) -> Any:
        """Outputs of the network for a batch of physical values (see `docs/design.md`, contract 3)."""
        return self.net(*self.inputs(batch))

    def inputs(self, batch: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the network takes of a batch: normalised images, and series where it has any."""
        if self.normalise is None or not self.normalise.layers.keys() >= {*self.bands, *self.series}:
            raise RunError("The task has no normalisation yet", fix="Fit it, or give `normalisation` with the weights")
        image = self.normalise(batch["image"], batch["valid"])
        return (image, self.normalise.series(batch["series"])) if self.series else (image,)

    def train_only(self, *names: str) -> None:
        """Train parts of the network only, and keep the rest as it is now (`swath.tasks.trained_parts`).

        Runs and checkpoints then hold the trained parts alone. What is frozen is made again by the system's builder,
        from the same files, when a run is loaded.
        """
        self.trained_parts = TrainedParts(self.net, names)
        self.trained_parts.hold()

    def train(self, mode: bool = True) -> NeuralTask:
        """Set the mode of all modules but those that are frozen, which stay in eval mode."""
        super().train(mode)
        if self.trained_parts is not None:
            self.trained_parts.hold()
        return self

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what is frozen."""
        if (parts := self.trained_parts) is not None:
            for name in self._frozen_state():
                del checkpoint["state_dict"][name]
            checkpoint["frozen"] = parts.hash

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put back what is frozen, if it is what the checkpoint was trained beside."""
        if (parts := self.trained_parts) is not None:
            parts.require(checkpoint.get("frozen"), "The run")
            checkpoint["state_dict"] |= self._frozen_state()

    def _frozen_state(self) -> dict[str, torch.Tensor]:
        """Frozen tensors by their names in the task."""
        return {} if self.trained_parts is None else {f"net.{k}": v for k, v in self.trained_parts.frozen().items()}

    def seen(self, data: Collection) -> Collection:
        """What the network sees of data; see `seen_scene`."""
        return replace(data, scenes=tuple(self.seen_scene(scene) for scene in data))

    def seen_scene(self, scene: Scene) -> Scene:
        """What the network sees of a scene: the bands and series that it takes, at its pixel size."""
        scene = select_layers(scene, self.bands, self.series)
        if self.pixel_size is not None:
            scene = at_pixel_size(scene, self.pixel_size)
        return without_blank(scene) if self.skip_blank else scene

    @abstractmethod
    def prepare(self, data: Collection) -> None:
        """Learn from the training part what must stand before the first step, for example class weights."""

    def fit(
        self,
        data: Collection,
        run: Path,
        *,
        recipe: Recipe | None = None,
        seed: int = 0,
        accelerator: str = "auto",
        devices: int = 1,
        strategy: str = "auto",
        threads: int = 2,
        callbacks: tuple[Callback, ...] = (),
    ) -> Run:
        """Train on the `train` part, select on `val`, leave a run.

        A run that was cut off goes on after its last whole epoch and ends with the weights of an uninterrupted one.

        Args:
            data: Labelled scenes, split.
            run: Folder of the run.
            recipe: Replaces the task's own.
            seed: Of sampling, augmentation and dropout; the first weights are the builder's affair.
            accelerator: As Lightning takes it.
            devices: How many devices train together; a batch is shared among them.
            strategy: As Lightning takes it, for example `ddp`.
            threads: Threads that read patches.
            callbacks: Further Lightning callbacks.

        Raises:
            RunError: If the loss is not finite, or the folder holds a run that was made otherwise.
            WriteError: If the folder cannot be written, or the disk is full.
        """
        if devices < 1:
            raise RunError("A run needs a device", got=devices, expected="at least 1")
        run = Path(run)
        self.recipe = recipe or self.recipe
        data = self.seen(data)
        _report(data, run)
        self.normalise = Normalise(self._statistics(data, seed))
        self.prepare(data)
        validated = cover(data, "val", self.recipe.patch)[0]
        self._feed = _Feed(data, training_sampler(data, self.recipe, seed), validated, seed, threads)
        finished = self.train_run(
            run,
            seed,
            validated=len(validated) > 0,
            accelerator=accelerator,
            devices=devices,
            strategy=strategy,
            callbacks=callbacks,
        )
        if self.settle(data):
            self.save(run)
        return finished

    def train_run(
        self,
        run: Path,
        seed: int,
        *,
        validated: bool,
        accelerator: str = "auto",
        devices: int = 1,
        strategy: str = "auto",
        callbacks: tuple[Callback, ...] = (),
    ) -> Run:
        """Train on the loaders of the task, and take back the best weights; see `fit`.

        Args:
            run: Folder of the run.
            seed: Of dropout and of all else that an epoch draws.
            validated: Whether there is a validation part.
            accelerator: As Lightning takes it.
            devices: As Lightning takes it.
            strategy: As Lightning takes it.
            callbacks: Further Lightning callbacks.

        Raises:
            RunError: If the loss is not finite, or the folder holds a run that was made otherwise.
        """
        self._refuse_other_run(run, seed)
        history = History(run / "metrics.csv")
        best = KeepBest(self.monitor, lambda: self.save(run))
        checkpoint = ModelCheckpoint(
            run, "last", save_top_k=1, every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
        )
        stopping = (
            [EarlyStopping(self.monitor, patience=self.recipe.patience, mode="max", check_on_train_epoch_end=True)]
            if self.recipe.patience and validated
            else []
        )
        last = run / "last.ckpt"
        _require_readable(last)
        with _quiet_lightning(), _determinism_kept():
            trainer = Trainer(
                accelerator=accelerator,
                devices=devices,
                strategy=strategy,
                max_epochs=self.recipe.epochs,
                logger=TensorBoardLogger(run, name="", version="events"),
                gradient_clip_val=self.recipe.clip,
                callbacks=[
                    EpochSeed(seed),
                    history,
                    best,
                    ProgressLines(_console),
                    *stopping,
                    *callbacks,
                    checkpoint,
                ],
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                reload_dataloaders_every_n_epochs=1,
                log_every_n_steps=1,
                deterministic="warn",
                use_distributed_sampler=False,
            )
            self.train()  # Lightning keeps the mode, which a score or a loaded run has left at eval
            with _writing(run):
                trainer.fit(self, ckpt_path=last if last.is_file() else None, weights_only=True)
        self.recall(run, Run(run).description)
        return Run(run)

    def settle(self, data: Collection) -> bool:
        """Choose on the validation part of `data` what stands beside the selected weights; tells whether it did."""
        return False

    def _statistics(self, data: Collection, seed: int) -> dict[str, Normalisation]:
        """Statistics by layer and series: those that the weights brought, others of the training part."""
        known = self.normalise.layers if self.normalise else {}
        found = {n: band_statistics(data, "train", layer=n, seed=seed) for n in self.bands if n not in known}
        found |= {n: series_statistics(data, "train", series=n, seed=seed) for n in self.series if n not in known}
        taken = {n: Normalisation(s.mean, s.std) for n, s in found.items()}
        return {n: known[n] if n in known else taken[n] for n in (*self.bands, *self.series)}

    def learned(self, run: Path) -> dict[str, Any]:
        """Write the weights; see `Task.learned`."""
        state, parts = self.net.state_dict(), self.trained_parts
        save_state(state if parts is None else parts.of(state), run / "weights.safetensors")
        normalisation = (
            {n: {"mean": s.mean, "std": s.std} for n, s in self.normalise.layers.items()} if self.normalise else {}
        )
        told = {"bands": to_plain(self.bands), "normalisation": normalisation, "recipe": to_plain(asdict(self.recipe))}
        return told if parts is None else {**told, "frozen": parts.hash}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take the weights back; see `Task.recall`."""
        state = load_state(run / "weights.safetensors")
        if (parts := self.trained_parts) is not None:
            parts.require(description.get("frozen"), run)
            state |= parts.frozen()
        load_into(self.net, state, name=f"The weights of {run}")
        layers = {n: Normalisation(tuple(s["mean"]), tuple(s["std"])) for n, s in description["normalisation"].items()}
        self.normalise = Normalise(layers) if layers else None
        recipe = description["recipe"]
        self.recipe = Recipe(**{**recipe, "augment": tuple(recipe["augment"])})
        self.eval()

    def weights_hash(self) -> str:
        """SHA-256 of the network's tensors, in the order of their names."""
        return tensors_hash(self.net.state_dict())

    def parameter_groups(self) -> list[Any]:
        """The trainable parameters as an optimiser takes them, perhaps in groups with rates of their own."""
        return decay_groups(self.net, self.recipe.weight_decay, self.undecayed)

    def configure_optimizers(self) -> Any:
        """Optimiser and learning rate of the recipe, over the trainable parameters."""
        recipe = self.recipe
        parameters = self.parameter_groups()
        optimizer: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(
                parameters, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
            )
        else:
            kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
            optimizer = kind(parameters, recipe.learning_rate, weight_decay=recipe.weight_decay)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        factor = {
            "constant": lambda _: 1.0,
            "cosine": lambda step: 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0))),
            "poly": lambda step: (1 - min(step / steps, 1.0)) ** 0.9,
            "step": lambda step: 0.1 ** sum(step >= share * steps for share in (0.6, 0.9)),
        }[recipe.schedule]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> Batches:
        """Batches of the present epoch."""
        # The places are drawn here, once: Lightning may ask a loader for more than one iterator of an epoch.
        feed, epoch = self._feed, self.current_epoch
        places = feed.sampler(feed.data, "train", self.recipe.patch, seed=feed.seed, epoch=epoch)
        augment = Augment(self.recipe.augment, seed=feed.seed, epoch=epoch) if self.recipe.augment else None
        return self._batches("train", places, augment)

    def val_dataloader(self) -> Batches | list[Any]:
        """Batches that cover the validation part; none where there is none."""
        return self._batches("val", self._feed.validated) if len(self._feed.validated) else []

    def _batches(self, part: str, places: Places, augment: Augment | None = None) -> Batches:
        feed, trainer = self._feed, self.trainer
        return Batches(
            feed.data,
            places,
            part=part,
            patch=self.recipe.patch,
            batch=max(1, self.recipe.batch // trainer.world_size),
            threads=feed.threads,
            seed=feed.seed,
            rank=trainer.global_rank,
            world=trainer.world_size,
            augment=augment,
            instances=self.instances,
        )

    def _refuse_other_run(self, run: Path, seed: int) -> None:
        """Let a run go on only with what it was begun with."""
        begun = {
            "system": to_plain(getattr(self, "system", None)),
            "recipe": to_plain(asdict(self.recipe)),
            "seed": seed,
        }
        path = run / "begun.json"
        if path.is_file() and json.loads(path.read_text("utf-8")) != json.loads(json.dumps(begun)):
            raise RunError(
                f"{run} holds a run that was begun with other options",
                fix="Choose another folder, or remove this one to begin anew",
            )
        write_text(path, json.dumps(begun, indent=1))


def _require_readable(checkpoint: Path) -> None:
    """Refuse a checkpoint that is damaged or would run code, before Lightning reads it the same way."""
    if not checkpoint.is_file():
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols
            torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may break the reader anywhere
        raise RunError(
            f"{checkpoint} is damaged, or no checkpoint of Swath; it was not loaded",
            got=f"{type(error).__name__} {error}".splitlines()[0][:200],
            fix="Remove it to begin the run anew",
        ) from error


def _report(data: Collection, run: Path) -> None:
    """Say, and keep, what is learned from: how it was split and warped, and what its parts have in common."""
    write_text(run / "data.json", json.dumps({"name": data.name, **data.facts}, indent=1, default=str))
    for name, fact in data.facts.items():
        _console.print(f"{name}: {_told(fact)}", highlight=False, markup=False, soft_wrap=True)
    report = check_leaks(data)
    write_text(run / "leaks.json", json.dumps(report.to_dict(), indent=1))
    _console.print(str(report), highlight=False, markup=False, soft_wrap=True)


def _told(fact: object) -> str:
    if isinstance(fact, Mapping):
        return "; ".join(f"{name} {_told(value)}" for name, value in fact.items())
    return ", ".join(map(str, fact)) if isinstance(fact, list | tuple | set) else str(fact)


@contextmanager
def _writing(run: Path) -> Iterator[None]:
    """Tell in our own words that Lightning or TensorBoard cannot write."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SwathError) or error.errno not in _NO_ROOM:
            raise
        raise WriteError(
            f"Cannot write into the run {run}",
            got=error.strerror,
            fix="Check the rights of the folder and the free space of the disk; the same command then goes on",
        ) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice to itself: its loggers, and warnings about loaders that are not torch's."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _determinism_kept() -> Iterator[None]:
    """Give the process back the setting of torch that Lightning changes for good."""
    before, only_warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warns)
