"""Questions about images: each is a scene of its own, whose label is its answer, so that splits and batches serve."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swath.data.scenes import Scene
from swath.errors import DataError, ReadError

#: Words of which only this is known.
PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Asked(Scene):
    """A question about an image; `group` names the image.

    Attributes:
        question: The question.
        kind: What kind of question, as the publisher says.
    """

    question: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """Words of questions by number; 0 pads, 1 stands for all others.

    Attributes:
        words: The words, from number 2 on.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, questions: Iterable[str], most: int) -> Vocabulary:
        """The most frequent words of questions, `most` numbers in all."""
        counts = Counter(word for question in questions for word in split_words(question))
        return cls(tuple(sorted(word for word, _ in counts.most_common(max(most - 2, 0)))))

    def encode(self, questions: Iterable[str], length: int) -> np.ndarray:
        """Numbers of the first `length` words of each question `[questions, length]`, int64, padded behind."""
        numbers = {word: number for number, word in enumerate(self.words, 2)}
        rows = [[numbers.get(word, UNKNOWN) for word in split_words(question)[:length]] for question in questions]
        return np.array([row + [PADDING] * (length - len(row)) for row in rows], np.int64).reshape(-1, length)


def split_words(question: str) -> list[str]:
    """Words and numbers of a question, in small letters."""
    return re.findall(r"[a-z]+|\d+", question.casefold())


def read_entries(path: Path, needed: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """A JSON file that holds an object of objects, for example questions by number.

    Raises:
        ReadError: If it cannot be read so.
        DataError: If an entry lacks one of the `needed` keys.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} cannot be read as JSON", got=error) from error
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise DataError(f"{path} does not hold questions", expected="an object with an object for each question")
    for number, entry in found.items():
        if missing := [key for key in needed if key not in entry]:
            raise DataError(f"Entry {number} of {path} is incomplete", got=list(entry), expected=missing)
    return found
