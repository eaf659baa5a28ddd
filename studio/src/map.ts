// The map: an own plain base of graticule and footprints, layers as tiles, a second map to swipe over.

import { AttributionControl, Map as GlMap, NavigationControl, ScaleControl, setWorkerUrl, type GeoJSONSource, type ImageSource, type StyleSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import "maplibre-gl/dist/maplibre-gl.css";
import { address, type Bounds, type Raster, type Vector } from "./api";
import { byId } from "./dom";

setWorkerUrl(workerUrl);

export interface Layer {
  id: string; path: string; name: string; facts?: Raster; vector?: Vector; difference?: [string, string];
  classes?: { name: string; colour: string }[]; visible: boolean; opacity: number; bands: number[]; low: string; high: string; colours: string; remote?: string;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => (dark.matches ? { ground: "#14181d", line: "#39424d", mark: "#6db3f2" } : { ground: "#eef1f4", line: "#c3ccd5", mark: "#1f5f99" });

function graticule(step: number): GeoJSON.FeatureCollection {
  const lines: GeoJSON.Position[][] = [];
  for (let lon = -180; lon <= 180; lon += step) lines.push([[lon, -85], [lon, 85]]);
  for (let lat = -80; lat <= 80; lat += step) lines.push([[-180, lat], [180, lat]]);
  return { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } }] };
}

function baseStyle(): StyleSpecification {
  const { ground, line, mark } = theme();
  return {
    version: 8,
    sources: {
      coarse: { type: "geojson", data: graticule(10) },
      fine: { type: "geojson", data: graticule(1) },
      footprints: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": ground } },
      { id: "coarse", type: "line", source: "coarse", paint: { "line-color": line, "line-width": 1 } },
      { id: "fine", type: "line", source: "fine", minzoom: 5, paint: { "line-color": line, "line-width": 0.6 } },
      { id: "footprints", type: "line", source: "footprints", paint: { "line-color": mark, "line-width": 1.5, "line-dasharray": [3, 2] } },
    ],
  };
}

function makeMap(container: string): GlMap {
  return new GlMap({ container, style: baseStyle(), center: [10, 25], zoom: 1.2, attributionControl: false, dragRotate: false, pitchWithRotate: false });
}

export const map = makeMap("map");
map.addControl(new NavigationControl({ showCompass: false }), "top-right");
map.addControl(new ScaleControl(), "bottom-right");
map.addControl(new AttributionControl({ compact: true, customAttribution: "Graticule and footprints: Swath" }));
export const ready = new Promise<void>((done) => map.once("load", () => done()));
let other: GlMap | null = null;

export function tileAddress(layer: Layer): string {
  if (layer.remote) return layer.remote;
  if (layer.difference) return `${address("difference", {})}/{z}/{x}/{y}?${new URLSearchParams({ first: layer.difference[0], second: layer.difference[1] })}`;
  const words = new URLSearchParams({ path: layer.path, bands: layer.bands.join(","), low: layer.low, high: layer.high, colours: layer.colours, v: layer.facts?.version ?? "" });
  return `${address("tiles")}/{z}/{x}/{y}?${words}`;
}

function add(target: GlMap, layer: Layer): void {
  if (target.getSource(layer.id)) return;
  if (layer.vector) {
    const own = layer.classes?.length ? (["match", ["to-string", ["get", "class"]], ...layer.classes.flatMap((c) => [c.name, c.colour]), theme().mark] as unknown as string) : null;
    const mark = own ?? theme().mark;
    target.addSource(layer.id, { type: "geojson", data: layer.vector });
    target.addLayer({ id: `${layer.id}-fill`, type: "fill", source: layer.id, filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": mark, "fill-opacity": 0.25 * layer.opacity } });
    target.addLayer({ id: `${layer.id}-line`, type: "line", source: layer.id, paint: { "line-color": mark, "line-width": 1.5, "line-opacity": layer.opacity } });
    target.addLayer({ id: `${layer.id}-point`, type: "circle", source: layer.id, filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": mark, "circle-radius": 4, "circle-opacity": layer.opacity } });
    return;
  }
  target.addSource(layer.id, {
    type: "raster", tiles: [tileAddress(layer)], tileSize: 256,
    ...(layer.facts ? { bounds: layer.facts.bounds, minzoom: layer.facts.minzoom, maxzoom: layer.facts.maxzoom } : {}),
  });
  target.addLayer({ id: layer.id, type: "raster", source: layer.id, paint: { "raster-opacity": layer.opacity, "raster-fade-duration": 0, "raster-resampling": "nearest" } });
}

const parts = (layer: Layer) => (layer.vector ? ["fill", "line", "point"].map((part) => `${layer.id}-${part}`) : [layer.id]);

export function remove(layer: Layer): void {
  for (const target of [map, other]) {
    if (!target) continue;
    for (const part of parts(layer)) if (target.getLayer(part)) target.removeLayer(part);
    if (target.getSource(layer.id)) target.removeSource(layer.id);
  }
}

/** Make the map show the layers, the first on top; drawings stay above all. */
export function draw(layers: Layer[]): void {
  for (const layer of [...layers].reverse()) {
    add(map, layer);
    for (const part of parts(layer)) {
      map.setLayoutProperty(part, "visibility", layer.visible ? "visible" : "none");
      const kind = map.getLayer(part)?.type;
      if (kind === "raster") map.setPaintProperty(part, "raster-opacity", layer.opacity);
      map.moveLayer(part);
    }
  }
  for (const { id } of map.getStyle().layers) if (id.startsWith("td-") || id === "so-far") map.moveLayer(id);
  map.moveLayer("footprints");
}

/** What the vectors at a place say, by layer. */
export function featuresAt(layers: Layer[], lon: number, lat: number): { name: string; properties: Record<string, unknown> }[] {
  const at = map.project([lon, lat]);
  const around: [[number, number], [number, number]] = [[at.x - 4, at.y - 4], [at.x + 4, at.y + 4]];
  return layers.filter((layer) => layer.vector && layer.visible).flatMap((layer) => {
    const found = map.queryRenderedFeatures(around, { layers: parts(layer).filter((id) => map.getLayer(id)) });
    const told = new Map(found.map((f) => [JSON.stringify(f.properties), f.properties as Record<string, unknown>]));
    return [...told.values()].slice(0, 5).map((properties) => ({ name: layer.name, properties }));
  });
}

export function footprints(rasters: Raster[]): void {
  const features = rasters.map((r): GeoJSON.Feature => ({ type: "Feature", properties: { name: r.path }, geometry: r.footprint }));
  map.getSource<GeoJSONSource>("footprints")?.setData({ type: "FeatureCollection", features });
}

export function fit(bounds: Bounds): void {
  map.fitBounds(bounds, { padding: 48, duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 400, maxZoom: 20 });
}

/** Show one layer on a second map over the first, to the right of a line at `share` of the width; null ends it. */
export function swipe(layer: Layer | null, share = 0.5): void {
  const box = byId("other-map");
  if (!layer) {
    box.hidden = true;
    other?.remove();
    other = null;
    return;
  }
  if (box.hidden) {
    box.hidden = false;
    other = makeMap("other-map");
    const follow = () => other?.jumpTo({ center: map.getCenter(), zoom: map.getZoom() });
    map.on("move", follow);
    follow();
  }
  const shown = other!;
  const show = () => {
    for (const { id } of shown.getStyle().layers) if (id.startsWith("layer-")) shown.removeLayer(id);
    for (const id of Object.keys(shown.getStyle().sources)) if (id.startsWith("layer-")) shown.removeSource(id);
    add(shown, { ...layer, opacity: 1 });
  };
  if (shown.isStyleLoaded()) show();
  else shown.once("load", show);
  slide(share);
}

export function slide(share: number): void {
  byId("other-map").style.clipPath = `inset(0 0 0 ${100 * share}%)`;
  byId("stage").style.setProperty("--swipe", `${100 * share}%`);
}

/** The picture of a map that is still being made. */
export function soFar(url: string | null, corners: [number, number][] = []): void {
  const source = map.getSource<ImageSource>("so-far");
  if (!url) {
    if (map.getLayer("so-far")) map.removeLayer("so-far");
    if (source) map.removeSource("so-far");
    return;
  }
  const coordinates = corners as [[number, number], [number, number], [number, number], [number, number]];
  if (source) source.updateImage({ url, coordinates });
  else {
    map.addSource("so-far", { type: "image", url, coordinates });
    map.addLayer({ id: "so-far", type: "raster", source: "so-far", paint: { "raster-fade-duration": 0, "raster-resampling": "nearest" } });
  }
}

dark.addEventListener("change", () => {
  const { ground, line, mark } = theme();
  map.setPaintProperty("ground", "background-color", ground);
  for (const id of ["coarse", "fine"]) map.setPaintProperty(id, "line-color", line);
  map.setPaintProperty("footprints", "line-color", mark);
});
