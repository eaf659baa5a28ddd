// The panel of files and layers: browse, add, style, order, swipe.

import { address, get, type About, type Entry, type Table } from "./api";
import { button, dialog, field, h, notice, select, table } from "./dom";
import * as gl from "./map";
import { addRaster, addRemote, addVector, changed, drop, layers, move, onLayers, restyle } from "./state";

const ICONS = { folder: "▸", run: "◆", raster: "▦", vector: "⬠", table: "▤", data: "≡" };
let swiped: gl.Layer | null = null;

export function layersPanel(about: About, openRun: (path: string) => void): HTMLElement {
  const stack = h("ul", { class: "layers", "aria-label": "Layers, the top one first" });
  const files = h("div", {});
  let folder = about.roots[0]!;

  async function browse(path: string): Promise<void> {
    folder = path;
    const found = await get<{ entries: Entry[]; cut: boolean }>("files", { path });
    const crumbs = path.split("/").map((part, i, all) => button(part, () => browse(all.slice(0, i + 1).join("/")), { class: "link" }));
    const list = h("ul", { class: "files", "aria-label": `Files in ${path}` });
    for (const entry of found.entries) list.append(row(entry));
    const images = found.entries.filter((e) => e.kind === "raster" && !e.broken);
    files.replaceChildren(
      h("nav", { class: "crumbs", "aria-label": "Folder" }, ...crumbs.flatMap((crumb, i) => (i ? [" / ", crumb] : [crumb]))),
      list,
      found.entries.length ? "" : h("p", { class: "quiet" }, "Nothing that Studio shows lies in this folder."),
      images.length > 1 ? button(`Add all ${images.length} rasters`, async () => { for (const image of images.slice(0, 60)) await addRaster(image.path); }) : "",
    );
    if (found.cut) files.append(h("p", { class: "quiet" }, "The folder holds more; only its first 2,000 entries are listed."));
  }

  function row(entry: Entry): HTMLElement {
    if (entry.broken) {
      return h("li", { class: "broken" }, h("span", {}, `${ICONS[entry.kind]} ${entry.name}`), h("span", { class: "reason" }, `broken: ${entry.broken}`));
    }
    const open = {
      folder: () => browse(entry.path),
      run: () => openRun(entry.path),
      raster: async () => { await addRaster(entry.path); },
      vector: async () => { await addVector(entry.path); },
      table: () => showTable(entry.path),
      data: () => notice(`${entry.name} describes data: fit a system on it from the panel Systems`),
    }[entry.kind];
    return h("li", {},
      button(`${ICONS[entry.kind]} ${entry.name}`, open, { class: "link", title: entry.kind }),
      entry.date ? h("span", { class: "quiet" }, ` ${entry.date}`) : null,
    );
  }

  function card(layer: gl.Layer): HTMLElement {
    const facts = layer.facts;
    const opacity = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: layer.opacity, "aria-label": `Opacity of ${layer.name}`, oninput: () => { layer.opacity = Number(opacity.value); gl.draw(layers); } });
    return h("li", { class: "layer" },
      h("div", { class: "row" },
        h("label", {}, h("input", { type: "checkbox", checked: layer.visible, onchange: () => { layer.visible = !layer.visible; changed(); } }), ` ${layer.name}`),
        button("↑", () => move(layer, -1), { class: "small", "aria-label": `Move ${layer.name} up` }),
        button("↓", () => move(layer, 1), { class: "small", "aria-label": `Move ${layer.name} down` }),
        button("×", () => { if (swiped === layer) endSwipe(); drop(layer); }, { class: "small", "aria-label": `Remove ${layer.name}` }),
      ),
      opacity,
      facts ? h("p", { class: "quiet" }, `${facts.shape[1]} × ${facts.shape[0]} px of ${+facts.resolution[0].toPrecision(4)}, ${facts.crs ?? "no CRS"}, ${facts.dtype}${facts.date ? `, ${facts.date.slice(0, 10)}` : ""}`) : null,
      facts && facts.minzoom > 0 ? h("p", { class: "quiet" }, "Large, without overviews: shown when you zoom in.") : null,
      facts?.classes ? legend(facts.classes) : facts ? h("div", {}, scale(layer), style(layer)) : null,
      layer.classes ? legend(layer.classes) : null,
      layer.difference ? legend([{ name: "same", colour: "#787878" }, { name: "different", colour: "#d6276e" }]) : null,
      layer.vector && layer.vector.layers.length > 1 ? field("Layer of the file", select(layer.vector.layers.map((n) => [n, n]), layer.name.split(": ")[1], (name) => { drop(layer); void addVector(layer.path, name); })) : null,
      h("div", { class: "row" },
        facts || layer.vector ? button("Zoom to", () => gl.fit(facts?.bounds ?? layer.vector!.bbox), { class: "small" }) : null,
        facts || layer.difference ? button(swiped === layer ? "End swipe" : "Swipe", () => (swiped === layer ? endSwipe() : startSwipe(layer)), { class: "small", "aria-pressed": swiped === layer }) : null,
        layer.path ? h("a", { class: "small", href: address("download", { path: layer.path }), download: "" }, "Download") : null,
      ),
      facts?.provenance ? h("details", {}, h("summary", {}, "How it was made"), h("pre", {}, JSON.stringify(facts.provenance, null, 1))) : null,
    );
  }

  /** The legend of a single band: its colours, and the numbers at both ends. */
  function scale(layer: gl.Layer): HTMLElement | null {
    const band = layer.facts!.bands[layer.bands[0]! - 1]!;
    const colours = about.colour_maps[layer.colours];
    if (layer.bands.length !== 1 || !colours) return null;
    const [low, high] = (["low", "high"] as const).map((end) => +(layer[end] ? Number(layer[end]) : band[end]).toPrecision(4));
    return h("div", { class: "scale", role: "img", "aria-label": `Colours of ${band.name}, from ${low} to ${high} ${band.unit ?? ""}` },
      h("span", {}, low), h("span", { class: "ramp", style: `background:linear-gradient(to right,${colours.join()})` }), h("span", {}, `${high} ${band.unit ?? ""}`));
  }

  function style(layer: gl.Layer): HTMLElement {
    const bands = layer.facts!.bands;
    const options = bands.map((b): [string, string] => [String(b.index), b.unit ? `${b.name} (${b.unit})` : b.name]);
    const set = (change: () => void) => { change(); restyle(layer); };
    const mode = select([["1", "one band"], ["3", "red, green, blue"]], String(layer.bands.length), (count) => set(() => {
      layer.bands = count === "3" ? (layer.facts!.shown.length === 3 ? layer.facts!.shown : [1, Math.min(2, bands.length), Math.min(3, bands.length)]) : [layer.bands[0]!];
      layer.colours = count === "3" ? "gray" : "viridis";
      layer.low = layer.high = "";
    }));
    const first = bands[layer.bands[0]! - 1]!;
    const limit = (which: "low" | "high") => h("input", { type: "number", step: "any", value: layer[which], placeholder: String(+first[which].toPrecision(4)), onchange: (e: Event) => set(() => { layer[which] = (e.target as HTMLInputElement).value; }) });
    return h("details", {}, h("summary", {}, "Style"),
      bands.length > 2 ? field("Shown as", mode) : null,
      ...layer.bands.map((band, i) => field(layer.bands.length === 3 ? ["Red", "Green", "Blue"][i]! : "Band", select(options, String(band), (value) => set(() => { layer.bands[i] = Number(value); layer.low = layer.high = ""; })))),
      layer.bands.length === 1 ? field("Colours", select(Object.keys(about.colour_maps).map((name) => [name, name]), layer.colours, (name) => set(() => { layer.colours = name; }))) : null,
      field("Darkest at", limit("low")), field("Brightest at", limit("high")),
    );
  }

  const share = h("input", { type: "range", min: 0, max: 100, value: 50, id: "swipe-share", "aria-label": "Position of the swipe line, per cent of the map's width", oninput: () => gl.slide(Number(share.value) / 100) });

  function startSwipe(layer: gl.Layer): void {
    if (swiped) endSwipe();
    swiped = layer;
    layer.visible = false;
    gl.swipe(layer, Number(share.value) / 100);
    document.getElementById("stage")!.append(share);
    changed();
  }

  function endSwipe(): void {
    if (swiped) swiped.visible = true;
    swiped = null;
    gl.swipe(null);
    share.remove();
    changed();
  }

  const show = () => {
    // a rebuilt list would close what is open in it
    const open = new Set([...stack.querySelectorAll("details[open]")].map((d) => `${d.closest("li")?.id} ${d.querySelector("summary")?.textContent}`));
    stack.replaceChildren(...layers.map((layer) => { const item = card(layer); item.id = `card-${layer.id}`; return item; }));
    for (const d of stack.querySelectorAll("details")) if (open.has(`${d.closest("li")?.id} ${d.querySelector("summary")?.textContent}`)) d.open = true;
  };
  onLayers(show);
  const remote = h("input", { type: "url", placeholder: "https://…/{z}/{x}/{y}.png" });
  const panel = h("div", {},
    h("h2", {}, "Layers"), stack,
    h("h2", {}, "Files"),
    about.roots.length > 1 ? field("Folder", select(about.roots.map((r) => [r, r]), folder, (root) => void browse(root))) : "",
    files,
    h("details", {}, h("summary", {}, "Add a base map of the web"), field("Tiles", remote), button("Add", () => addRemote(remote.value))),
  );
  void browse(folder).catch((error) => notice(error.message, true));
  show();
  return panel;
}

export async function showTable(path: string): Promise<void> {
  const found = await get<Table>("table", { path });
  const rows = found.rows.map((row) => row.map((value) => (typeof value === "number" ? +value.toPrecision(8) : value)));
  dialog(path.split("/").at(-1)!, table(found.columns, rows), found.cut ? h("p", { class: "quiet" }, `The first ${rows.length} rows.`) : null,
    h("a", { class: "small", href: address("download", { path }), download: "" }, "Download"));
}

export function legend(classes: { name: string; colour: string }[]): HTMLElement {
  return h("ul", { class: "legend", "aria-label": "Legend" }, ...classes.map((c) => h("li", {}, h("span", { class: "swatch", style: `background:${c.colour}` }), c.name)));
}
