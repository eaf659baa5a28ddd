"""What happens around a training epoch: history, the best weights, one line for the reader."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swath.errors import RunError
from swath.files import write_text


class EpochSeed(Callback):
    """Seed torch from `(seed, epoch)`, so that an epoch draws the same numbers after a resume as without one."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed before the first batch."""
        torch.manual_seed(self.seed * 1_000_003 + trainer.current_epoch)


class History(Callback):
    """Write the metrics of every epoch to a CSV file; the rows travel with the checkpoint.

    Args:
        path: The CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row and write the file anew."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not math.isfinite(metrics.get("train_loss", 0.0)):
            raise RunError(
                f"The loss became {metrics['train_loss']} in epoch {trainer.current_epoch}",
                fix="Lower the learning rate or set `--clip 1`",
            )
        self.rows.append({"epoch": trainer.current_epoch, **metrics})
        if trainer.is_global_zero:
            text = io.StringIO()
            columns = list(dict.fromkeys(name for row in self.rows for name in row))
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
            write_text(self.path, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the rows of a checkpoint."""
        self.rows = state_dict["rows"]


class KeepBest(Callback):
    """Call `save` whenever the validation score rises, or after every epoch where nothing is validated.

    Args:
        monitor: Metric that is to rise.
        save: Writes the weights.
    """

    def __init__(self, monitor: str, save: Callable[[], None]) -> None:
        self.monitor, self.save = monitor, save
        self.best, self.epoch = -math.inf, -1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if this epoch is the best so far."""
        score = float(trainer.callback_metrics.get(self.monitor, math.inf))
        if score > self.best or math.isinf(score) or self.epoch < 0:
            self.best, self.epoch = score, trainer.current_epoch
            if trainer.is_global_zero:
                self.save()

    def state_dict(self) -> dict[str, Any]:
        """The best score and its epoch."""
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best of a checkpoint."""
        self.best, self.epoch = state_dict["best"], state_dict["epoch"]


class ProgressLines(Callback):
    """A progress bar for the epochs on a terminal, and one line an epoch everywhere.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("epoch {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=None)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar anew."""
        if self.bar:
            self.bar.reset(self.task, total=trainer.num_training_batches, description=str(trainer.current_epoch))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Move on by one batch."""
        if self.bar:
            self.bar.advance(self.task)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch's metrics."""
        told = "  ".join(f"{name} {float(value):.4f}" for name, value in sorted(trainer.callback_metrics.items()))
        self.console.print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {told}", highlight=False, soft_wrap=True
        )

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the bar, also after an error."""
        if self.bar:
            self.bar.stop()
            self.bar = None
