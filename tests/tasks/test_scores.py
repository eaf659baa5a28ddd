from pathlib import Path

from swath.tasks.scores import Score, Scores


def test_json_round_trip(tmp_path: Path) -> None:
    scores = Scores(
        "test",
        {"miou": Score(0.5, 0.4, 0.6)},
        {"majority": {"miou": Score(0.1)}},
        {"confusion": [[1, 2], [3, 4]]},
        {"pixels": 10},
    )
    scores.save(tmp_path / "s.json")
    assert Scores.load(tmp_path / "s.json") == scores


def test_a_score_shows_its_interval() -> None:
    assert str(Score(0.5, 0.41, 0.6)) == "0.500 [0.410, 0.600]"
    assert str(Score(0.5)) == "0.500"
