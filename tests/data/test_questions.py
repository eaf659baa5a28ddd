"""Words of questions as numbers."""

import pytest

from swath.data.questions import PADDING, UNKNOWN, Vocabulary, read_entries, split_words
from swath.errors import DataError, ReadError


def test_words_are_split_without_case_and_signs():
    assert split_words("How many Non-flooded buildings, of 12?") == [
        "how",
        "many",
        "non",
        "flooded",
        "buildings",
        "of",
        "12",
    ]


def test_words_become_numbers_and_the_unknown_stays_so():
    vocabulary = Vocabulary.of(["is the road flooded", "is the house flooded"], most=100)
    assert vocabulary.words == ("flooded", "house", "is", "road", "the")
    encoded = vocabulary.encode(["The road?", "the boat", ""], 3).tolist()
    assert encoded == [[6, 5, PADDING], [6, UNKNOWN, PADDING], [PADDING] * 3]


def test_only_the_most_frequent_words_get_a_number():
    vocabulary = Vocabulary.of(["a a a b b c"], most=4)
    assert vocabulary.words == ("a", "b")
    assert vocabulary.encode(["a b c"], 2).tolist() == [[2, 3]]  # and only the first words are read


def test_files_that_hold_no_questions_are_refused(tmp_path):
    path = tmp_path / "questions.json"
    for content, error, message in (
        ("{", ReadError, "cannot be read as JSON"),
        ("[]", DataError, "does not hold questions"),
        ('{"0": 3}', DataError, "does not hold questions"),
        ('{"0": {"Question": "?"}}', DataError, "Entry 0 .* is incomplete"),
    ):
        path.write_text(content)
        with pytest.raises(error, match=message):
            read_entries(path, ("Question", "Image_ID"))
