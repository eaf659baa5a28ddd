"""What must never be answered: paths elsewhere, other machines, other sites' pages, too much."""

import pytest

testing = pytest.importorskip("starlette.testclient", reason="the extra `studio` is not installed")
websockets = pytest.importorskip("starlette.websockets")

from swath.studio.app import create_app  # noqa: E402
from swath.studio.roots import Roots  # noqa: E402

ELSEWHERE = [
    "place/../elsewhere/secret.tif", "../elsewhere/secret.tif", "/etc/passwd", "place//etc/passwd", "place/./first.tif",
    "place/link.tif", "elsewhere/secret.tif", "http://127.0.0.1/first.tif", "/vsicurl/http://127.0.0.1/first.tif",
    "place/%2e%2e/elsewhere/secret.tif", "file:///etc/passwd", "place/" + "a" * 900, "place/first.tif/..",
]  # fmt: skip
ROUTES = ["files", "layer", "tiles/1/0/0", "vector", "download", "run"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_no_way_leads_out_of_the_folders(client, name):
    for route in ROUTES:
        answer = client.get(f"/api/{route}", params={"path": name})
        assert answer.status_code in (400, 404, 422), (route, answer.text)
    assert client.get("/api/values", params={"lon": 0, "lat": 0, "path": [name]}).status_code in (404, 422)
    labels = {"type": "FeatureCollection", "features": []}
    answer = client.put("/api/labels", params={"path": f"{name}.gpkg"}, json=labels, headers={"if-match": "new"})
    assert answer.status_code in (400, 422)


def test_a_virtual_raster_is_not_opened(client):
    for route in ("layer", "tiles/1/0/0"):
        assert client.get(f"/api/{route}", params={"path": "place/virtual.tif"}).status_code == 404


@pytest.mark.parametrize("name", ["place/.hidden.gpkg", "place/a.tif", "place", "place/x/../y.gpkg", "other/a.gpkg"])
def test_labels_are_written_as_labels_only(client, served, name):
    before = sorted(served.rglob("*"))
    body = {"type": "FeatureCollection", "features": []}
    answer = client.put("/api/labels", params={"path": name}, json=body, headers={"if-match": "new"})
    assert answer.status_code == 400
    assert sorted(served.rglob("*")) == before


def test_other_hosts_and_origins_are_refused(client):
    assert client.get("/api/about", headers={"host": "studio.example"}).status_code == 403
    assert client.post("/api/compare", json={}, headers={"origin": "https://studio.example"}).status_code == 403
    assert client.post("/api/compare", json={}, headers={"origin": "http://localhost"}).status_code == 422
    with (
        pytest.raises(websockets.WebSocketDisconnect),
        client.websocket_connect("/api/jobs/watch", headers={"origin": "https://studio.example"}),
    ):
        pass


def test_every_answer_forbids_frames_and_foreign_scripts(client):
    headers = client.get("/api/about").headers
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_a_token_is_asked_for(served):
    with testing.TestClient(create_app([served], token="a-token"), base_url="http://studio.example") as client:
        assert client.get("/api/about").status_code == 401
        assert client.get("/api/about", headers={"authorization": "Bearer other"}).status_code == 401
        assert client.get("/api/about", headers={"authorization": "Bearer a-token"}).status_code == 200
        assert client.get("/", params={"token": "other"}).status_code == 401
        assert client.get("/", params={"token": "a-token"}).status_code == 200
        assert client.get("/api/about").status_code == 200  # by the cookie


def test_large_requests_are_refused(served):
    with testing.TestClient(create_app([served], most=1000), base_url="http://localhost") as client:
        assert client.post("/api/compare", content=b" " * 2000).status_code == 413

        def without_length():
            for _ in range(20):
                yield b" " * 100

        # the rest is not read, so what came is no request
        assert client.post("/api/compare", content=without_length()).status_code == 400


def test_two_folders_of_one_name_are_kept_apart(tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent / "same").mkdir(parents=True)
    roots = Roots([tmp_path / "a" / "same", tmp_path / "b" / "same"])
    assert roots.names == ["same", "same-2"]
    assert roots.path("same-2") == tmp_path / "b" / "same"
    assert roots.name(tmp_path / "b" / "same" / "x") == "same-2/x"
