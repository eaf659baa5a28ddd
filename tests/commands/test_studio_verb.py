"""`swath studio`: what it serves, and what it prints."""

import socket

import pytest

pytest.importorskip("fastapi", reason="the extra `studio` is not installed")

import uvicorn

from swath.cli import main


@pytest.fixture
def served(monkeypatch):
    """Folders that were served; the server itself is not started."""
    from swath.studio import app

    folders = []
    made = app.create_app
    monkeypatch.setattr(app, "create_app", lambda roots, token: folders.extend(roots) or made(roots, token))
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: [one.close() for one in sockets])
    return folders


def test_a_file_is_opened_in_its_folder(tmp_path, served, capsys):
    scene = tmp_path / "some place" / "scene 1.tif"
    scene.parent.mkdir()
    scene.write_bytes(b"")
    assert main(["studio", str(scene), "--no-browser", "--port", "0"]) == 0
    assert served == [scene.parent]
    assert capsys.readouterr().out.splitlines()[0].endswith("/#some%20place/scene%201.tif")


def test_a_token_is_made_beyond_this_machine(tmp_path, served, capsys):
    assert main(["studio", str(tmp_path), "--no-browser", "--port", "0", "--host", "0.0.0.0"]) == 0
    assert len(capsys.readouterr().out.splitlines()[0].partition("?token=")[2]) >= 32
    assert main(["studio", str(tmp_path), "--no-browser", "--port", "0"]) == 0
    assert "token" not in capsys.readouterr().out


def test_what_cannot_be_served_is_told(tmp_path, served, capsys):
    assert main(["studio", str(tmp_path / "nothing"), "--no-browser", "--port", "0"]) == 1
    assert "is no folder" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["studio", str(tmp_path), "--no-browser", "--port", port]) == 1
    assert "cannot listen there" in capsys.readouterr().err
