"""Visual question answering: one of the known answers to a question about an image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch

from swath.data.questions import Asked, Vocabulary
from swath.errors import ConfigError, DataError
from swath.geo.tables import write_table
from swath.metrics.bootstrap import percentile_interval
from swath.tasks.classify import Classification
from swath.tasks.scores import Score, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from swath.data.scenes import Collection, Scene

#: Words of a question that are read.
_LENGTH = 24


class Answering(Classification):
    """Answers to questions; data are scenes of `swath.data.questions`, whose classes are the answers.

    The network takes normalised images `[B, C, S, S]` and numbers of words `[B, 24]`, and gives logits of answers.
    See `Classification` for the arguments.

    Args:
        words: Numbers of words that the network knows, with padding and the unknown.
    """

    kind: ClassVar[str] = "answering"
    monitor = "val_accuracy"

    def __init__(self, *args: Any, words: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most = words
        self.vocabulary = Vocabulary(())
        self._asked: Tensor = torch.zeros(0, _LENGTH, dtype=torch.long)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits `[B, answers]` of a batch, whose `scene` tells the questions that were asked last."""
        if self.normalise is None:
            return super().forward(batch)  # which says what is missing
        image = self.normalise(batch["image"], batch["valid"])
        return self.net(image, self._asked.to(image.device)[batch["scene"].cpu()])

    def prepare(self, data: Collection) -> None:
        """Check the answers, learn the words of the training part, and ask."""
        super().prepare(data)
        questions = _questions(data)
        if not self.vocabulary.words:
            train = [scene.question for scene in questions if scene.part == "train"]
            self.vocabulary = Vocabulary.of(train, self._most)
        self._ask([scene.question for scene in questions])

    def score(
        self, data: Collection, part: str = "test", *, seed: int = 0, level: float = 0.95, resamples: int = 1000
    ) -> Scores:
        """Accuracy on a part, of all questions and of each kind, beside answers that never look at the image.

        `majority` gives the most frequent answer of the training part, `question only` the most frequent one to the
        same question. `another image` is what the system itself answers where it is shown another image of the part:
        the nearer to its score, the less of that it owes to looking.

        Args:
            data: Questions with answers, split.
            part: The part to score.
            seed: Of the bootstrap, and of which other image is shown.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over images with all of their questions.

        Raises:
            DataError: If no image of the part has an answered question, or the answers differ.
        """
        data = self.seen(data)
        self.prepare(data)
        _, truth, numbers, logits = self._judged(data, part)
        asked = [scene for number in numbers if isinstance(scene := data[int(number)], Asked)]
        by_question, overall = _frequent(data)
        told = {
            "system": logits.argmax(1),
            "majority": np.full(len(truth), overall),
            "question only": np.array([by_question.get(scene.question, overall) for scene in asked]),
            "another image": self._judged(_about_others(data, part, seed), part).logits.argmax(1),
        }
        kinds = sorted({scene.kind for scene in asked})
        images, codes = np.unique([scene.group or scene.id for scene in asked], return_inverse=True)
        of_kind = np.array([kinds.index(scene.kind) for scene in asked])
        summary = _accuracies(kinds)
        found = {}
        for name, predicted in told.items():
            sums = np.zeros((len(images), len(kinds), 2))
            np.add.at(sums, (codes, of_kind), np.stack([predicted == truth, truth >= 0], 1))
            flat = sums.reshape(len(images), -1)
            intervals = percentile_interval(flat, summary, level=level, resamples=resamples, seed=seed)
            found[name] = {key: Score(value, *intervals[key]) for key, value in summary(flat.sum(0)).items()}
        return Scores(
            part,
            found.pop("system"),
            found,
            facts={
                "questions": len(truth),
                "images": len(images),
                "of each kind": dict(Counter(scene.kind for scene in asked)),
                "intervals": f"{level:.0%}, bootstrap over images",
            },
        )

    def predict(  # type: ignore[override]
        self,
        source: Scene | str | Path | Sequence[Scene],
        output: Path,
        *,
        questions: Sequence[str] = (),
        device: str = "cpu",
    ) -> list[Path]:
        """Answer questions about images.

        Args:
            source: An image, or several.
            output: A table, `.csv`, `.json` or `.parquet`, with a row for each image and question.
            questions: What is asked of every image.
            device: Where the network runs.

        Returns:
            The path.

        Raises:
            ConfigError: If nothing is asked.
            SwathError: If an image cannot be read, or the format of the table is unknown.
        """
        if not questions:
            raise ConfigError("No question is asked", fix="Ask with `--questions 'How many buildings are there?'`")
        rows = []
        for scene in self._scenes(source):
            for question in questions:
                self._ask([question])
                probabilities = self._probabilities([scene], device)[0]
                best = int(probabilities.argmax())
                rows.append(
                    {
                        "image": scene.id,
                        "question": question,
                        "answer": self.classes.names[best],
                        "probability": float(probabilities[best]),
                    }
                )
        write_table(pd.DataFrame(rows), Path(output))
        return [Path(output)]

    def learned(self, run: Path) -> dict[str, Any]:
        """See `Task.learned`."""
        return {**super().learned(run), "words": list(self.vocabulary.words)}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """See `Task.recall`."""
        super().recall(run, description)
        self.vocabulary = Vocabulary(tuple(map(str, description["words"])))

    def _ask(self, questions: Sequence[str]) -> None:
        self._asked = torch.from_numpy(self.vocabulary.encode(questions, _LENGTH))


def _questions(data: Collection) -> list[Asked]:
    questions = [scene for scene in data if isinstance(scene, Asked)]
    if len(questions) < len(data):
        raise DataError(f"{data.name} holds images without a question", expected="a set of questions with answers")
    return questions


def _about_others(data: Collection, part: str, seed: int) -> Collection:
    """The same questions, those of a part about another image of it."""
    images = {scene.group or scene.id: scene.layers for scene in data if scene.part == part}
    names = np.random.default_rng(seed).permutation(list(images)).tolist()
    shown = dict(zip(names, names[1:] + names[:1], strict=True))
    return data.with_scenes([
        replace(scene, layers=images[shown[scene.group or scene.id]]) if scene.part == part else scene for scene in data
    ])  # fmt: skip


def _frequent(data: Collection) -> tuple[dict[str, int], int]:
    """The most frequent answer of the training part to each question, and to all."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for scene in _questions(data):
        if scene.part == "train" and scene.labels is not None:
            counts[scene.question][scene.labels.index] += 1  # type: ignore[attr-defined]
    every: Counter[int] = sum(counts.values(), Counter())
    return {question: c.most_common(1)[0][0] for question, c in counts.items()}, every.most_common(1)[0][0]


def _accuracies(kinds: Sequence[str]) -> Callable[[np.ndarray], dict[str, float]]:
    """What makes accuracies of right answers and questions of each kind, `[kinds * 2]`."""

    def summary(sums: np.ndarray) -> dict[str, float]:
        right, asked = sums.reshape(-1, 2).T
        found = {"accuracy": float(right.sum() / max(asked.sum(), 1))}
        return found | {kind: float(r / max(a, 1)) for kind, r, a in zip(kinds, right, asked, strict=True)}

    return summary
