// The layers on the map, and who wants to know when they change.

import { get, type Raster, type Vector } from "./api";
import { notice } from "./dom";
import * as gl from "./map";

export const layers: gl.Layer[] = [];
const listeners: (() => void)[] = [];
let number = 0;

export function onLayers(listener: () => void): void {
  listeners.push(listener);
}

export function changed(): void {
  gl.draw(layers);
  gl.footprints(layers.flatMap((layer) => layer.facts ?? []));
  for (const listener of listeners) listener();
}

function put(layer: Partial<gl.Layer> & { path: string; name: string }): gl.Layer {
  const added: gl.Layer = { id: `layer-${++number}`, visible: true, opacity: 1, bands: [], low: "", high: "", colours: "gray", ...layer };
  layers.unshift(added);
  changed();
  return added;
}

export async function addRaster(path: string, show = true): Promise<gl.Layer> {
  await gl.ready;
  const facts = await get<Raster>("layer", { path });
  const known = layers.find((layer) => layer.path === path);
  if (known) drop(known);
  const layer = put({ path, name: path.split("/").at(-1)!, facts, bands: facts.shown, colours: facts.shown.length === 1 ? "viridis" : "gray" });
  if (facts.crs === null) notice(`${layer.name} has no CRS: it is shown as a picture at 0° N, 0° E`);
  if (show) gl.fit(facts.bounds);
  return layer;
}

export async function addVector(path: string, name?: string): Promise<gl.Layer> {
  await gl.ready;
  const vector = await get<Vector>("vector", { path, layer: name });
  if (vector.cut) notice(`${path} has ${vector.total} features; the first ${vector.features.length} are shown`);
  const layer = put({ path, name: path.split("/").at(-1)! + (name ? `: ${name}` : ""), vector, classes: classesOf(vector) });
  gl.fit(vector.bbox);
  return layer;
}

const COLOURS = ["#d1495b", "#2b7bba", "#3a9d5d", "#c98b1d", "#a06cd5", "#17becf", "#e377c2", "#8c564b", "#5b6770", "#bcbd22"];

/** The legend of vectors that tell a class; colours come round again after ten. */
function classesOf(vector: Vector): { name: string; colour: string }[] | undefined {
  if (!vector.columns.includes("class")) return undefined;
  const names = [...new Set(vector.features.map((f) => String(f.properties?.class)))].sort();
  return names.length > 60 ? undefined : names.map((name, i) => ({ name, colour: COLOURS[i % COLOURS.length]! }));
}

export function addDifference(first: string, second: string): void {
  put({ path: "", name: `Difference of ${first.split("/").at(-1)} and ${second.split("/").at(-1)}`, difference: [first, second] });
}

export function addRemote(url: string): void {
  layers.push({ id: `layer-${++number}`, path: "", name: `Base map of ${new URL(url).host}`, remote: url, visible: true, opacity: 1, bands: [], low: "", high: "", colours: "gray" });
  changed();
}

export function drop(layer: gl.Layer): void {
  layers.splice(layers.indexOf(layer), 1);
  gl.remove(layer);
  changed();
}

/** Show a layer in another style. */
export function restyle(layer: gl.Layer): void {
  gl.remove(layer);
  changed();
}

export function move(layer: gl.Layer, by: number): void {
  const from = layers.indexOf(layer);
  const to = Math.max(0, Math.min(layers.length - 1, from + by));
  layers.splice(to, 0, ...layers.splice(from, 1));
  changed();
}

export const rasters = () => layers.filter((layer) => layer.facts);
export const maps = () => layers.filter((layer) => layer.facts?.classes);
export const dated = () => rasters().filter((layer) => layer.facts!.date && !layer.facts!.classes).sort((a, b) => a.facts!.date!.localeCompare(b.facts!.date!));
