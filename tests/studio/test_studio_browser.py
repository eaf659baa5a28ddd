"""The page in a real browser, through each job of a person, on real scenes.

`SWATH_SHOTS=FOLDER` keeps screenshots.
"""

import json
import math
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
import yaml

pytest.importorskip("fastapi", reason="the extra `studio` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import uvicorn  # noqa: E402

from swath.studio.app import PAGE, create_app  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parents[2] / "studio" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = os.environ.get("SWATH_SHOTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    # NAIP marks its infrared band as alpha, and has a nodata value too
    pytest.mark.filterwarnings("ignore::rasterio.errors.NodataShadowWarning"),
    # filters of one thread are lifted by another
    pytest.mark.filterwarnings("ignore:Dataset has no geotransform"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not (PAGE / "index.html").is_file(), reason="the page is not built: npm run build in studio/"),
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci in studio/"),
]

CLASSES = {1: "developed", 3: "herbaceous", 4: "shrubland", 5: "forest", 6: "water", 7: "sediment"}


@pytest.fixture(scope="module")
def place(data_folder, tmp_path_factory):
    """A Landsat scene with labels, and four summers of NAIP."""
    folder = tmp_path_factory.mktemp("browser") / "place"
    (folder / "naip").mkdir(parents=True)
    for path in (data_folder / "naip_same_place_4_years").glob("*.tif"):
        shutil.copy(path, folder / "naip")
    for path in (data_folder / "landsat7_nc_labels").iterdir():
        if path.suffix not in (".md",):
            shutil.copy(path, folder)
    (folder / "broken.tif").write_bytes((folder / "landsat7_2000_6band.tif").read_bytes()[:5000])
    description = {
        "layers": {"image": {"files": "landsat7_2000_6band.tif", "sensor": "landsat7_dn",
                             "bands": ["B1", "B2", "B3", "B4", "B5", "B7"]}},
        "labels": {"files": "landsat96_polygons.shp", "attribute": "id"},
        "classes": CLASSES, "ignore": [2],
        "split": {"by": "block", "size": 1500, "buffer": 60, "fractions": [0.5, 0.2, 0.3], "seed": 0},
    }  # fmt: skip
    (folder / "data.yaml").write_text(yaml.safe_dump(description))
    return folder


@pytest.fixture(scope="module")
def address(place):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app([place]), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def browser():
    # software rendering: machines of tests have no display
    arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as made:
        chromium = made.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


def write_run(folder, system, kind, **options):
    """A run that says what it is and holds no weights."""
    folder.mkdir(parents=True)
    (folder / "task.json").write_text(json.dumps({"kind": kind, "system": {"id": system, "options": options}}))


@contextmanager
def opened(browser, address, **options):
    """A page that logs no error."""
    options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **options}
    context = browser.new_context(**options)
    context.set_default_timeout(20_000)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" and "412" not in m.text else None)
    page.goto(address)
    page.get_by_role("tab", name="Layers").wait_for()
    page.wait_for_timeout(800)
    yield page
    context.close()
    assert errors == []


def shot(page, name):
    if SHOTS:
        page.wait_for_timeout(900)
        page.screenshot(path=f"{SHOTS}/{name}.png")


def check_access(page):
    """Axe finds no serious fault."""
    page.evaluate(AXE.read_text("utf-8"))  # the page's policy refuses added scripts
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    grave = [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]
    assert grave == []


def tab(page, name):
    page.get_by_role("tab", name=name).click()


def wait_for_job(page, count, seconds=150):
    """Until `count` jobs are done; a job that fails fails the test."""
    end = time.monotonic() + seconds
    while page.locator(".job.done").count() < count:
        assert not page.locator(".job.failed").count(), page.locator(".job.failed").inner_text()
        assert time.monotonic() < end, page.locator(".jobs").inner_text()
        page.wait_for_timeout(200)


def test_look_at_scenes(browser, address):
    with opened(browser, address) as page:
        check_access(page)
        assert "broken:" in page.locator("li.broken").inner_text()
        page.get_by_role("button", name="landsat7_2000_6band.tif").click()
        page.get_by_role("button", name="labels_1996.tif").click()
        page.locator(".layer", has_text="labels_1996.tif").locator(".legend li").nth(5).wait_for()
        shot(page, "layers")
        page.get_by_role("button", name="Inspect the centre").click()
        page.locator("#inspector table").first.wait_for()
        assert page.locator("#inspector table").count() == 2
        check_access(page)
        page.locator("#inspector").get_by_role("button", name="Close").click()
        card = page.locator(".layer", has_text="landsat7_2000_6band.tif")
        card.get_by_text("Style", exact=True).click()
        card.get_by_label("Shown as").select_option("3")
        card.get_by_label("Red", exact=True).select_option("4")
        card.get_by_role("button", name="Swipe").click()
        page.get_by_label("Position of the swipe line").fill("30")
        shot(page, "swipe")
        card.get_by_role("button", name="End swipe").click()
        with page.expect_download() as download:
            card.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "landsat7_2000_6band.tif"


def test_time_slider_and_curve(browser, address):
    with opened(browser, address) as page:
        page.get_by_role("button", name="naip", exact=False).first.click()
        page.get_by_role("button", name="Add all 4 rasters").click()
        slider = page.get_by_label("Date of the images shown")
        page.locator("#timeline[data-count='4']").wait_for()
        slider.fill("0")
        assert page.locator("#timeline output").inner_text() == "2009-08-18"
        slider.press("ArrowRight")
        assert page.locator("#timeline output").inner_text() == "2012-07-31"
        assert page.locator(".layer input[type=checkbox]:checked").count() == 1
        page.get_by_role("button", name="Inspect the centre").click()
        page.locator("#inspector .uplot").first.wait_for()
        shot(page, "time")
        check_access(page)


def test_two_tabs_draw_labels(browser, address, place):
    def draw(page, label, x):
        tab(page, "Labels")
        page.get_by_label("New class").fill(label)
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name="Polygon").click()
        for dx, dy in ((0, 0), (90, 0), (90, 80), (0, 80), (0, 0)):
            page.mouse.move(x + dx, 300 + dy)
            page.mouse.click(x + dx, 300 + dy)
            page.wait_for_timeout(120)
        page.get_by_text("1 labels, not saved").wait_for()

    with opened(browser, address) as first, opened(browser, address) as second:
        for page, label, x in ((first, "forest", 700), (second, "water", 900)):
            page.get_by_role("button", name="landsat7_2000_6band.tif").click()
            page.locator(".layer").wait_for()
            page.wait_for_timeout(600)
            draw(page, label, x)
        first.get_by_role("button", name="Save", exact=True).click()
        first.get_by_text("1 labels, saved in").wait_for()
        shot(first, "labels")
        check_access(first)
        second.get_by_role("button", name="Save", exact=True).click()
        second.get_by_text("changed by someone else").first.wait_for()
        shot(second, "conflict")
        second.get_by_role("button", name="Save mine under another name").click()
        second.get_by_text("1 labels, saved in").wait_for()
        assert len(list((place / "studio").glob("labels*.gpkg"))) == 2
        first.get_by_role("button", name="Load", exact=True).click()
        first.get_by_text("1 labels, saved in").wait_for()
        first.get_by_label("Sensor").select_option("custom")
        first.get_by_role("button", name="Describe").click()
        first.get_by_text("Wrote place/studio/data.yaml").wait_for()


def test_draw_by_keyboard_and_lose_nothing(browser, address, place):
    shapes = [shapely.box(-78.7, 35.7, -78.69, 35.71), shapely.LineString([(-78.7, 35.7), (-78.6, 35.8)])]
    frame = gpd.GeoDataFrame({"class": ["forest", "road"]}, geometry=shapes, crs="EPSG:4326")
    (place / "studio").mkdir(exist_ok=True)
    frame.to_file(place / "studio" / "mixed.gpkg")
    with opened(browser, address) as page:
        page.get_by_role("button", name="landsat7_2000_6band.tif").click()
        page.locator(".layer").wait_for()
        tab(page, "Labels")
        page.get_by_label("File", exact=True).fill("place/studio/mixed.gpkg")
        page.get_by_role("button", name="Load", exact=True).press("Enter")
        page.get_by_text("1 labels cannot be edited here").wait_for()
        page.get_by_text("Draw by keyboard").press("Enter")
        for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
            page.get_by_role("button", name="Corner at the centre").press("Enter")
            page.locator("#map canvas.maplibregl-canvas").press(key)
            page.wait_for_timeout(500)
        page.get_by_role("button", name="Close the polygon").press("Enter")
        page.get_by_role("button", name="Point at the centre").press("Enter")
        page.get_by_text("4 labels, not saved").wait_for()
        check_access(page)
        shot(page, "keyboard")
        # who loads again is asked, and keeps what they drew
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.get_by_role("button", name="Load", exact=True).press("Enter")
        page.get_by_role("button", name="Save", exact=True).press("Enter")
        page.get_by_text("4 labels, saved in").wait_for()
    saved = gpd.read_file(place / "studio" / "mixed.gpkg")
    assert sorted(saved.geom_type) == ["LineString", "Point", "Polygon", "Polygon"]
    assert sorted(saved["class"]) == ["forest", "forest", "forest", "road"]
    assert all(shape.area > 0 for shape in saved.geometry if shape.geom_type == "Polygon")


def test_things_tables_and_forms(browser, address, place):
    boxes = [shapely.box(-78.7 + d, 35.74, -78.69 + d, 35.75) for d in (0, 0.02)]
    frame = gpd.GeoDataFrame({"class": ["track", "ship"], "score": [0.9, 0.4]}, geometry=boxes, crs="EPSG:4326")
    folder = place / "found"
    folder.mkdir()
    frame.to_file(folder / "things.gpkg")
    (folder / "count.csv").write_text("image,count\nscene,2\n")
    tracks = place / "runs" / "tracks"
    write_run(tracks, "cloudtracks:instances", "instances")
    nan = {"value": math.nan, "low": math.nan, "high": math.nan}
    scores = {
        "part": "test",
        "system": {"ap": nan},
        "baselines": {"ridges": {"ap": {"value": 0.1, "low": None, "high": None}}},
        "details": {},
        "facts": {},
    }
    (tracks / "scores-test.json").write_text(json.dumps(scores))
    with opened(browser, address) as page:
        page.get_by_role("button", name="▸ found").click()
        page.get_by_role("button", name="count.csv").click()
        dialog = page.get_by_role("dialog", name="count.csv")
        dialog.get_by_role("cell", name="2").wait_for()
        check_access(page)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="things.gpkg").click()
        page.locator(".layer .legend").wait_for()
        assert page.locator(".layer .legend").inner_text().split() == ["ship", "track"]
        page.wait_for_timeout(800)
        page.get_by_role("button", name="Inspect the centre").click()  # between the two
        page.locator("#inspector").get_by_text("No layer has data here").wait_for()
        page.locator("#inspector").get_by_role("button", name="Close").click()
        page.mouse.click(580, 423)  # the one in the west
        page.locator("#inspector").get_by_role("row", name="class track").wait_for()
        shot(page, "things")
        tab(page, "Systems")
        page.get_by_label("Search").fill("instances")
        page.get_by_role("button", name="cloudtracks:instances").first.click()
        page.get_by_role("heading", name="cloudtracks:instances").wait_for()
        page.get_by_text("All options", exact=True).click()
        page.get_by_role("row", name="suppression").wait_for()
        check_access(page)
        shot(page, "form")
        page.get_by_label("Search").fill("methane")
        page.get_by_role("button", name="methane_onboard", exact=True).first.click()
        page.get_by_role("group", name="Products").get_by_label("plumes").wait_for()
        check_access(page)
        shot(page, "untrained")
        tab(page, "Runs")
        page.get_by_role("button", name="Look again").click()
        page.get_by_role("button", name="place/runs/tracks").click()
        assert page.locator("#run").get_by_label("objects").is_checked()
        assert page.locator("#run").get_by_label("Write to").input_value().endswith(".gpkg")
        page.get_by_role("row", name="this run –").wait_for()
        check_access(page)
        shot(page, "instances")


def test_a_job_fails_in_a_drawn_box_and_another_is_cancelled(browser, address, place):
    write_run(place / "runs" / "empty", "cloudtracks:instances", "instances")
    with opened(browser, address) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="landsat7_2000_6band.tif").click()
        page.locator(".layer").wait_for()
        tab(page, "Runs")
        page.get_by_role("button", name="place/runs/empty").click()
        form = page.locator("#run")
        form.get_by_label("Where").select_option("box")
        form.get_by_label("Further options").last.fill("least_score=0.7")
        form.get_by_role("button", name="Predict", exact=True).click()
        page.get_by_text("Draw the box").wait_for()
        page.wait_for_timeout(200)
        page.keyboard.press("Escape")
        page.get_by_text("No box was drawn").wait_for()
        form.get_by_role("button", name="Predict", exact=True).click()
        page.wait_for_timeout(500)
        for x, y in ((760, 340), (900, 480)):
            page.mouse.move(x, y)
            page.mouse.click(x, y)
            page.wait_for_timeout(200)
        failed = page.locator(".job.failed")
        failed.wait_for(timeout=90_000)
        assert page.locator("#inspector").is_hidden()  # the click that ended the box was for the box
        failed.get_by_role("button", name="Copy the command line").click()
        page.get_by_text("Copied").wait_for()
        command = page.evaluate("navigator.clipboard.readText()")
        assert command.startswith(f"swath predict {place / 'runs' / 'empty'} ")
        assert "1-landsat7_2000_6band-box.vrt" in command
        assert command.endswith("--least-score=0.7")
        failed.get_by_role("button", name="Log").click()
        assert command in failed.locator("pre").inner_text()
        check_access(page)
        shot(page, "failed")
        told = subprocess.run(
            [sys.executable, "-m", "swath", *shlex.split(command)[1:]], capture_output=True, text=True, check=False
        )
        assert failed.locator(".reason").inner_text() == told.stderr.splitlines()[-1].removeprefix("swath: ")
        failed.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Cancel").click()
        page.locator(".job.cancelled").wait_for(timeout=60_000)
        page.locator(".job.cancelled").get_by_role("button", name="Go on").wait_for()


def test_fit_predict_and_compare(browser, address, place):
    boxes = [shapely.box(-78.69 + d, 35.73, -78.68 + d, 35.74) for d in (0, 0.02)]
    truth = gpd.GeoDataFrame({"class": ["forest", "developed"]}, geometry=boxes, crs="EPSG:4326")
    truth.to_file(place / "truth.gpkg")
    with opened(browser, address) as page:
        page.get_by_role("button", name="landsat7_2000_6band.tif").click()
        page.get_by_role("button", name="labels_1996.tif").click()
        page.locator(".layer").nth(1).wait_for()
        tab(page, "Systems")
        page.get_by_label("Search").fill("rice")
        page.get_by_role("button", name="bhutan_rice", exact=True).click()
        page.get_by_role("heading", name="Fit").wait_for()
        shot(page, "systems")
        check_access(page)
        page.get_by_label("Data (a YAML").fill("place/data.yaml")
        page.get_by_label("Run", exact=True).fill("place/runs/first")
        page.get_by_label("Epochs").fill("3")
        page.get_by_label("Further options").fill("patch=16 batch=16 samples=256")
        page.get_by_role("button", name="Fit", exact=True).click()
        wait_for_job(page, 1)
        assert "swath fit bhutan_rice" in page.evaluate("fetch('api/jobs').then(r => r.json()).then(j => j[0].command)")
        tab(page, "Runs")
        page.get_by_role("button", name="Look again").click()
        page.get_by_role("button", name="place/runs/first").click()
        page.get_by_role("heading", name="Run first").wait_for()
        shot(page, "run")
        check_access(page)
        page.get_by_label("Labelled data").fill("place/data.yaml")
        page.get_by_role("button", name="Score", exact=True).click()
        wait_for_job(page, 2)
        tab(page, "Runs")
        page.get_by_role("button", name="place/runs/first").click()
        page.get_by_role("region", name="Scores on the test part").wait_for()
        page.get_by_role("region", name="Confusion matrix").scroll_into_view_if_needed()
        shot(page, "scored")
        check_access(page)
        for number, where in ((3, "all"), (4, "view")):
            tab(page, "Runs")
            page.get_by_label("Scene (a layer").select_option("place/landsat7_2000_6band.tif")
            page.get_by_label("Where").select_option(where)
            page.get_by_role("button", name="Predict", exact=True).click()
            wait_for_job(page, number)
        shot(page, "jobs")
        check_access(page)
        tab(page, "Layers")
        page.locator(".layer").nth(3).wait_for()
        shot(page, "predicted")
        page.get_by_role("button", name="truth.gpkg").click()
        page.locator(".layer").nth(4).wait_for()
        tab(page, "Runs")
        form = page.get_by_role("region", name="Compare two maps")
        options = form.get_by_label("First map").locator("option").all_inner_texts()
        made = [name for name in options if name.startswith("first-")]
        assert len(made) == 2
        form.get_by_label("First map").select_option(label=made[0])
        form.get_by_label("Second map").select_option(label=made[1])
        form.get_by_label("Truth").select_option(label="truth.gpkg")
        form.get_by_role("button", name="Compare").click()
        form.get_by_text("They agree on").wait_for()
        form.get_by_role("region", name="McNemar").scroll_into_view_if_needed()
        shot(page, "compare")
        check_access(page)


@pytest.mark.parametrize(("name", "size"), [("phone", (390, 844)), ("wide", (3840, 2160))])
def test_sizes_and_darkness(browser, address, name, size):
    with opened(browser, address, viewport={"width": size[0], "height": size[1]}, color_scheme="dark") as page:
        page.get_by_role("button", name="landsat7_2000_6band.tif").click()
        page.locator(".layer").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        if SHOTS:
            page.wait_for_timeout(6000)  # software renders large tiles late
        shot(page, name)
        for each in ("Runs", "Systems", "Jobs", "Labels"):
            tab(page, each)
            check_access(page)
            shot(page, f"{name}-{each.lower()}")
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_by_keyboard_alone(browser, address):
    with opened(browser, address) as page:
        page.get_by_role("tab", name="Layers").focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.textContent") == "Runs"
        assert page.get_by_role("heading", name="Runs", exact=True).is_visible()
        page.keyboard.press("ArrowLeft")
        page.get_by_role("button", name="landsat7_2000_6band.tif").focus()
        page.keyboard.press("Enter")
        page.locator(".layer").wait_for()
