// Drawing on the map: labels with classes, and the box to predict in.

import { TerraDraw, TerraDrawPointMode, TerraDrawPolygonMode, TerraDrawRectangleMode, TerraDrawSelectMode, type GeoJSONStoreFeatures } from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";
import type { Bounds } from "./api";
import { drawing } from "./inspector";
import { map, ready } from "./map";

/** Colour of a class by name; the labels panel keeps it. */
export const colours = new Map<string, string>();
const BOX = "#d1495b";

const colour = (feature: GeoJSONStoreFeatures) => (colours.get(String(feature.properties.class ?? "")) ?? "#8a8a8a") as `#${string}`;
const editable = { feature: { draggable: true, coordinates: { midpoints: true, draggable: true, deletable: true } } };

let labels: TerraDraw | null = null;
let boxes: TerraDraw | null = null;

const adapter = (prefix: string) => new TerraDrawMapLibreGLAdapter({ map, prefixId: prefix });

export async function labelDraw(changed: () => void, current: () => string): Promise<TerraDraw> {
  await ready;
  if (labels) return labels;
  const polygons = { fillColor: colour, fillOpacity: 0.35, outlineColor: colour, outlineWidth: 2 };
  const made = new TerraDraw({
    adapter: adapter("td-labels"),
    modes: [
      new TerraDrawPolygonMode({ styles: polygons }),
      new TerraDrawPointMode({ styles: { pointColor: colour, pointWidth: 6, pointOutlineColor: "#ffffff", pointOutlineWidth: 1 } }),
      new TerraDrawSelectMode({ flags: { polygon: editable, point: { feature: { draggable: true } } }, styles: { selectedPolygonColor: colour, selectedPolygonFillOpacity: 0.6, selectedPolygonOutlineColor: "#ffffff", selectedPolygonOutlineWidth: 2 } }),
    ],
  });
  made.start();
  made.on("finish", (id, context) => {
    if (context.action === "draw") made.updateFeatureProperties(id, { class: current() });
    changed();
  });
  labels = made;
  return made;
}

/** Let the person draw one box; its bounds, west, south, east, north. */
export async function drawBox(): Promise<Bounds> {
  await ready;
  if (!boxes) {
    boxes = new TerraDraw({ adapter: adapter("td-box"), modes: [new TerraDrawRectangleMode({ styles: { fillColor: BOX, fillOpacity: 0.15, outlineColor: BOX, outlineWidth: 2 } })] });
    boxes.start();
  }
  const draw = boxes;
  draw.clear();
  draw.setMode("rectangle");
  drawing.active = true;
  return new Promise((done) => {
    const finished = (id: string | number): void => {
      draw.off("finish", finished);
      const feature = draw.getSnapshotFeature(id)!;
      const ring = (feature.geometry.coordinates as [number, number][][])[0]!;
      const lons = ring.map((c) => c[0]);
      const lats = ring.map((c) => c[1]);
      draw.setMode("static");
      drawing.active = false;
      done([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
    };
    draw.on("finish", finished);
  });
}

export function clearBox(): void {
  boxes?.clear();
}
