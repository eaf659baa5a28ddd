"""The verbs that only tell: tables for people, JSON for programs, completion for shells."""

import inspect
import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from swath import registry
from swath.cli import main
from swath.commands.doctor import _EXTRAS
from swath.systems.planned import PLANNED


def told(capsys, *words):
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_all_systems_are_listed_with_their_state(capsys):
    rows = json.loads(told(capsys, "systems", "--json"))
    assert {row["id"] for row in rows} == {planned.id for planned in PLANNED}
    assert {row["id"] for row in rows if row["state"] == "built"} == set(registry.names())
    assert json.loads(told(capsys, "systems", "--built", "--json")) == [row for row in rows if row["state"] == "built"]
    table = told(capsys, "systems")
    assert all(row["title"] in table for row in rows)


@pytest.mark.parametrize("name", registry.names())
def test_a_card_is_told_to_people_and_programs(name, capsys):
    card = registry.card(name)
    found = json.loads(told(capsys, "info", name, "--json"))
    assert (found["id"], found["title"], found["family"]) == (name, card.title, card.family)
    assert found["departures"] == list(card.departures)
    assert [option["name"] for option in found["options"]] == list(inspect.signature(registry.builder(name)).parameters)
    text = told(capsys, "info", name)
    assert all(departure in text for departure in card.departures)
    assert all(option["name"] in text for option in found["options"])


def test_doctor_knows_every_extra(capsys):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"]) - {"dev", "bench"}
    assert set(_EXTRAS) == extras
    facts = json.loads(told(capsys, "doctor", "--json"))
    assert {f"extra {name}" for name in extras} <= set(facts)
    assert facts["extra torch"] == "installed"
    assert facts["cores"] >= 1
    assert all(name in told(capsys, "doctor") for name in facts)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_verbs_systems_and_worlds(shell, capsys, tmp_path):
    script = told(capsys, "completion", shell)
    assert all(word in script for word in ("predict", "score", "simulate", "landcover_ai", "village"))
    if shell == "bash":
        path = tmp_path / "swath.sh"
        path.write_text(script)
        # what bash itself offers after the words of a line
        ask = 'source "$0"; COMP_WORDS=(swath fit landc); COMP_CWORD=2; _shtab_swath; echo "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", ask, path], capture_output=True, text=True, check=True)
        assert "landcover_ai" in done.stdout.split()
