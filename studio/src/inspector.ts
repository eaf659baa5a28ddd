// The pixel inspector: values with units, the spectrum, the curve over time; and the time slider.

import { Marker } from "maplibre-gl";
import { get, type Values } from "./api";
import { button, byId, chart, field, h, notice, select, table } from "./dom";
import { featuresAt, map } from "./map";
import { changed, dated, layers, onLayers, rasters } from "./state";

let marker: Marker | null = null;
let timeBand = "";
export const drawing = { active: false };

export async function inspect(lon: number, lat: number): Promise<void> {
  const shown = rasters().slice(0, 100);
  const things = featuresAt(layers, lon, lat);
  if (!layers.length) throw new Error("Add a layer to the map first");
  const found = shown.length ? (await get<(Values | null)[]>("values", { lon, lat, path: shown.map((layer) => layer.path) })).flatMap((v) => v ?? []) : [];
  marker ??= new Marker({ color: "#d1495b" });
  marker.setLngLat([lon, lat]).addTo(map);
  const box = byId("inspector");
  box.hidden = false;
  box.replaceChildren(
    h("div", { class: "row" }, h("h2", {}, "Pixel"), button("Close", () => { box.hidden = true; marker?.remove(); marker = null; }, { class: "small" })),
    h("p", { class: "quiet" }, place(lon, lat)),
    ...things.map(({ name, properties }) => table(["column", "value"], Object.entries(properties).map(([key, value]) => [key, String(value)]), name)),
    ...(found.length || things.length ? [] : [h("p", {}, "No layer has data here.")]),
    ...timeCurve(found),
    ...found.flatMap(one),
  );
}

const place = (lon: number, lat: number) => `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? "W" : "E"}`;

function one(values: Values): HTMLElement[] {
  const name = values.path.split("/").at(-1)!;
  const rows = values.bands.map((b) => [b.name, b.class ?? (b.value === null ? "no data" : +b.value.toPrecision(6)), b.class ? "" : (b.unit ?? "")]);
  const told: HTMLElement[] = [];
  const spectrum = values.bands.filter((b) => b.wavelength !== null && b.value !== null).sort((a, b) => a.wavelength! - b.wavelength!);
  if (spectrum.length > 3) told.push(chart(`Spectrum of ${name}`, spectrum.map((b) => b.wavelength!), "wavelength, nm", { value: spectrum.map((b) => b.value) }));
  told.push(table(["band", "value", "unit"], rows, name));
  return told;
}

function timeCurve(found: Values[]): HTMLElement[] {
  const series = found.filter((v) => v.date).sort((a, b) => a.date!.localeCompare(b.date!));
  const names = [...new Set(series.flatMap((v) => v.bands.filter((b) => b.class === undefined).map((b) => b.name)))];
  const common = names.filter((name) => series.filter((v) => v.bands.some((b) => b.name === name)).length > 1);
  if (!common.length) return [];
  if (!common.includes(timeBand)) timeBand = common.includes("B08") ? "B08" : common[0]!;
  const holder = h("div", {});
  const show = () => {
    const with_ = series.filter((v) => v.bands.some((b) => b.name === timeBand));
    holder.replaceChildren(chart(`${timeBand} over time`, with_.map((v) => Date.parse(v.date!) / 1000), "date", { [timeBand]: with_.map((v) => v.bands.find((b) => b.name === timeBand)!.value) }, true));
  };
  show();
  return [field("Curve over time of", select(common.map((n) => [n, n]), timeBand, (name) => { timeBand = name; show(); })), holder];
}

function timeline(): void {
  const box = byId("timeline");
  const series = dated();
  if (series.length < 2) { box.hidden = true; return; }
  // of several that are visible, the top one is seen
  const at = Math.max(0, series.findIndex((layer) => layer === layers.find((one) => one.visible && series.includes(one))));
  if (!box.hidden && box.dataset.count === String(series.length)) {
    box.querySelector("output")!.textContent = series[at]!.facts!.date!.slice(0, 10);
    box.querySelector("input")!.value = String(at);
    return;
  }
  box.hidden = false;
  box.dataset.count = String(series.length);
  const date = h("output", {}, series[at]!.facts!.date!.slice(0, 10));
  const slider = h("input", {
    type: "range", min: 0, max: series.length - 1, step: 1, value: at, "aria-label": "Date of the images shown",
    oninput: () => {
      const now = dated();
      now.forEach((layer, i) => { layer.visible = i === Number(slider.value); });
      slider.setAttribute("aria-valuetext", now[Number(slider.value)]!.facts!.date!.slice(0, 10));
      changed();
    },
  });
  box.replaceChildren(h("span", {}, "Date"), slider, date);
}

export function startInspector(): void {
  map.on("click", (event) => { if (!drawing.active) void inspect(event.lngLat.lng, event.lngLat.lat).catch((error) => notice(error.message, true)); });
  map.on("mousemove", (event) => { byId("where").textContent = place(event.lngLat.lng, event.lngLat.lat); });
  byId("tools").append(button("Inspect the centre", () => inspect(map.getCenter().lng, map.getCenter().lat)));
  onLayers(timeline);
}
