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

let abandon: (() => void) | null = null;

/** Let the person draw one box; its bounds, west, south, east, north. Escape, or another box, abandons it. */
export async function drawBox(): Promise<Bounds> {
  await ready;
  if (!boxes) {
    boxes = new TerraDraw({ adapter: adapter("td-box"), modes: [new TerraDrawRectangleMode({ styles: { fillColor: BOX, fillOpacity: 0.15, outlineColor: BOX, outlineWidth: 2 } })] });
    boxes.start();
  }
  const draw = boxes;
  abandon?.();
  draw.clear();
  draw.setMode("rectangle");
  drawing.active = true;
  return new Promise((done, refused) => {
    const over = (): void => {
      draw.off("finish", finished);
      removeEventListener("keydown", escaped);
      draw.setMode("static");
      abandon = null;
      // the click that ends the box comes to the map after this, and inspects nothing
      setTimeout(() => { if (!abandon) drawing.active = false; }, 400);
    };
    const finished = (id: string | number): void => {
      const ring = (draw.getSnapshotFeature(id)!.geometry.coordinates as [number, number][][])[0]!;
      const lons = ring.map((c) => c[0]);
      const lats = ring.map((c) => c[1]);
      over();
      done([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
    };
    const escaped = (event: KeyboardEvent): void => { if (event.key === "Escape") abandon?.(); };
    abandon = () => { over(); draw.clear(); refused(new Error("No box was drawn")); };
    addEventListener("keydown", escaped);
    draw.on("finish", finished);
  });
}

export function clearBox(): void {
  boxes?.clear();
}
