// The panel of labels: classes, drawing, saving without losing anyone's edit, describing data for a fit.

import type { GeoJSONStoreFeatures, TerraDraw } from "terra-draw";
import { address, ask, post, Refusal } from "./api";
import { button, byId, field, h, notice, select } from "./dom";
import { colours, labelDraw } from "./draw";
import { drawing } from "./inspector";
import { map } from "./map";
import { onLayers, rasters } from "./state";

const SUGGESTED = ["#d1495b", "#2b7bba", "#3a9d5d", "#c98b1d", "#a06cd5", "#5b6770", "#e377c2", "#17becf"];

export function labelsPanel(own: string): HTMLElement {
  const path = h("input", { value: `${own}/labels.gpkg` });
  const state = h("p", { class: "quiet", role: "status" }, "Nothing drawn yet.");
  const classes = h("ul", { class: "classes", "aria-label": "Classes" });
  const name = h("input", { placeholder: "forest" });
  const conflict = h("div", { role: "alert" });
  let version = "new";
  let current = "";
  let unsaved = false;
  let tool: TerraDraw | null = null;
  /** What was loaded and the drawing tool cannot hold; it is saved as it came. */
  let kept: GeoJSON.Feature[] = [];
  let corners: [number, number][] = [];

  const touched = () => { unsaved = true; say(); };
  const features = () => (tool?.getSnapshot() ?? []).filter((f) => f.properties.mode === "polygon" || f.properties.mode === "point");
  const say = () => { state.textContent = `${features().length + kept.length} labels${unsaved ? ", not saved" : `, saved in ${path.value}`}.`; };

  async function use(mode: "polygon" | "point" | "select" | "static"): Promise<void> {
    if ((mode === "polygon" || mode === "point") && !current) throw new Error("Add a class and choose it first");
    tool = await labelDraw(touched, () => current);
    tool.setMode(mode);
    drawing.active = mode !== "static";
    for (const b of tools.querySelectorAll("button")) b.setAttribute("aria-pressed", String(b.dataset.mode === mode));
  }

  function addClass(text: string, colour?: string): void {
    if (!text || colours.has(text)) return;
    colours.set(text, colour ?? SUGGESTED[colours.size % SUGGESTED.length]!);
    current ||= text;
    showClasses();
  }

  function showClasses(): void {
    classes.replaceChildren(...[...colours].map(([text, colour]) => h("li", {},
      h("label", {}, h("input", { type: "radio", name: "class", checked: text === current, onchange: () => { current = text; relabel(); } }), ` ${text}`),
      h("input", { type: "color", value: colour, "aria-label": `Colour of ${text}`, oninput: (e: Event) => { colours.set(text, (e.target as HTMLInputElement).value); } }),
    )));
  }

  /** The selected label gets the class that was chosen. */
  function relabel(): void {
    const selected = tool?.getSnapshot().find((f) => f.properties.selected);
    if (tool && selected?.id !== undefined) { tool.updateFeatureProperties(selected.id, { class: current }); touched(); }
  }

  async function load(): Promise<void> {
    if (unsaved && !confirm("Labels that you drew are not saved. Load the file and drop them?")) return;
    tool = await labelDraw(touched, () => current);
    const answer = await ask(address("labels", { path: path.value }));
    version = (answer.headers.get("etag") ?? "new").replaceAll('"', "");
    const found: GeoJSON.FeatureCollection = await answer.json();
    const single = found.features.flatMap(parts);
    for (const feature of single) addClass(String(feature.properties!.class ?? ""));
    tool.clear();
    const drawable = single.filter((feature) => feature.properties!.mode !== "linestring");
    const refused = tool.addFeatures(drawable as GeoJSONStoreFeatures[]).flatMap((one, i) => (one.valid ? [] : [drawable[i]!]));
    kept = [...single.filter((feature) => feature.properties!.mode === "linestring"), ...refused];
    if (kept.length) notice(`${kept.length} labels cannot be edited here; they are not shown, and are saved as they are`, true);
    unsaved = false;
    conflict.replaceChildren();
    say();
  }

  async function save(began = version): Promise<void> {
    const drawn = [...features(), ...kept].map((f) => ({ type: "Feature", geometry: f.geometry, properties: { class: f.properties!.class, row: f.properties!.row ?? null } }));
    try {
      const answer = await ask(address("labels", { path: path.value }), { method: "PUT", headers: { "content-type": "application/json", "if-match": `"${began}"` }, body: JSON.stringify({ type: "FeatureCollection", features: drawn }) });
      version = (await answer.json()).version;
      // the rows of the file are now in the order in which they were sent
      const edited = features();
      edited.forEach((f, i) => tool!.updateFeatureProperties(f.id!, { row: i }));
      kept.forEach((f, i) => { f.properties!.row = edited.length + i; });
      unsaved = false;
      conflict.replaceChildren();
      say();
      notice(`Saved ${drawn.length} labels`);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 412) throw error;
      conflict.replaceChildren(h("p", { class: "reason" }, error.message),
        button("Save mine under another name", async () => { path.value = path.value.replace(/(-\d+)?\.gpkg$/, `-${Date.now()}.gpkg`); version = "new"; await save("new"); }),
        button("Load theirs, drop mine", () => { unsaved = false; return load(); }));
    }
  }

  /** Drawing without a pointer: the arrow keys move the map, and what is drawn is at its centre. */
  async function atCentre(what: "point" | "corner" | "close"): Promise<void> {
    if (!current) throw new Error("Add a class and choose it first");
    tool = await labelDraw(touched, () => current);
    const at = map.getCenter();
    const here: [number, number] = [Math.round(at.lng * 1e9) / 1e9, Math.round(at.lat * 1e9) / 1e9];
    if (what === "corner") {
      corners.push(here);
      state.textContent = `Corner ${corners.length} of a polygon at ${here[1].toFixed(5)}, ${here[0].toFixed(5)}.`;
      return;
    }
    if (what === "close" && corners.length < 3) throw new Error("A polygon has three corners at least");
    const geometry: GeoJSON.Geometry = what === "point" ? { type: "Point", coordinates: here } : { type: "Polygon", coordinates: [[...corners, corners[0]!]] };
    const [added] = tool.addFeatures([{ type: "Feature", geometry, properties: { mode: what === "point" ? "point" : "polygon", class: current } }] as GeoJSONStoreFeatures[]);
    corners = [];
    if (!added?.valid) throw new Error(`This cannot be drawn: ${added?.reason ?? "it is no shape"}`);
    touched();
  }

  const centre = h("details", {}, h("summary", {}, "Draw by keyboard"),
    h("p", { class: "quiet" }, "Move the map with the arrow keys when it has the focus; the cross marks its centre."),
    h("div", { class: "row" }, ...([["point", "Point at the centre"], ["corner", "Corner at the centre"], ["close", "Close the polygon"]] as const).map(([what, text]) => button(text, () => atCentre(what), { class: "small" }))));
  centre.addEventListener("toggle", () => { byId("stage").classList.toggle("crossed", centre.open); });

  const tools = h("div", { class: "row", role: "toolbar", "aria-label": "Drawing" },
    ...([["polygon", "Polygon"], ["point", "Point"], ["select", "Select, move, reshape"], ["static", "Stop drawing"]] as const).map(([mode, text]) => button(text, () => use(mode), { class: "small", "data-mode": mode, "aria-pressed": "false" })),
    button("Delete selected", () => { const chosen = features().filter((f) => f.properties.selected).map((f) => f.id!); if (chosen.length) { tool!.deselectFeature(chosen[0]!); tool!.removeFeatures(chosen); touched(); } }, { class: "small" }),
  );
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  return h("div", {},
    h("h2", {}, "Labels"), field("File", path),
    h("div", { class: "row" }, button("Load", load), button("Save", () => save())), conflict, state,
    h("h3", {}, "Classes"), classes,
    h("form", { class: "row", onsubmit: (event: Event) => { event.preventDefault(); addClass(name.value.trim()); name.value = ""; } }, field("New class", name), h("button", {}, "Add")),
    h("h3", {}, "Draw"), tools, centre,
    dataForm(own, path),
  );
}

function dataForm(own: string, labels: HTMLInputElement): HTMLElement {
  const image = h("select", {});
  onLayers(() => {
    const before = image.value;
    image.replaceChildren(...rasters().filter((l) => !l.facts!.classes).map((l) => h("option", { value: l.path }, l.name)));
    if (before) image.value = before;
  });
  const output = h("input", { value: `${own}/data.yaml` });
  const sensor = select(["custom", "sentinel2_l2a", "sentinel2_l1c", "landsat7_dn", "landsat8", "naip", "rgb", "planetscope4", "sentinel1_grd"].map((s) => [s, s]), "custom");
  const block = h("input", { type: "number", min: 1, value: 500 });
  return h("section", { "aria-label": "Data for a fit" },
    h("h3", {}, "Describe as data"),
    h("p", { class: "quiet" }, "Writes a YAML of an image and these labels, which `swath fit` and the panel Systems take."),
    field("Image (a layer on the map)", image), field("Sensor", sensor), field("Edge of the blocks of the split, m", block), field("Write to", output),
    button("Describe", async () => {
      const made = await post<{ path: string }>("data", { output: output.value, images: [image.value], labels: labels.value, sensor: sensor.value, block: Number(block.value), classes: [...colours].map(([text, colour]) => ({ name: text, colour })) });
      notice(`Wrote ${made.path}`);
    }),
  );
}

/** Single polygons and points of a feature, as the drawing tool knows them. */
function parts(feature: GeoJSON.Feature): GeoJSON.Feature[] {
  const of = (geometry: GeoJSON.Geometry): GeoJSON.Feature[] => {
    const kind = geometry.type;
    if (kind === "MultiPolygon") return geometry.coordinates.flatMap((c) => of({ type: "Polygon", coordinates: c }));
    if (kind === "MultiPoint") return geometry.coordinates.flatMap((c) => of({ type: "Point", coordinates: c }));
    const mode = kind === "Polygon" ? "polygon" : kind === "Point" ? "point" : "linestring";
    return [{ type: "Feature", geometry: rounded(geometry), properties: { ...feature.properties, mode } }];
  };
  return of(feature.geometry);
}

/** The drawing tool takes nine decimals, a tenth of a millimetre. */
function rounded<G extends GeoJSON.Geometry>(geometry: G): G {
  return JSON.parse(JSON.stringify(geometry, (_, value) => (typeof value === "number" ? Math.round(value * 1e9) / 1e9 : value)));
}
