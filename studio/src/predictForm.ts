// The form that applies a run, or a system that needs no training: on layers of the map, or on another source.

import { chosen, post, type Bounds, type Choices, type Job } from "./api";
import { button, field, h, notice, select, table } from "./dom";
import { clearBox, drawBox } from "./draw";
import { map } from "./map";
import { onLayers, rasters } from "./state";

interface Applied { run?: string; system?: string; name: string; takes: string; choices: Choices }

export function predictForm(what: Applied, own: string, toJobs: () => void): HTMLElement {
  const { choices } = what;
  const fresh = () => `${own}/${what.name.replace(":", "-")}-${Date.now().toString(36)}${choices.suffixes[0] ?? ""}`;
  const scene = h("select", {});
  const where = select([["view", "what the map shows"], ["box", "a box that I draw"], ["all", "the whole scene"]], "view");
  const source = h("input", { placeholder: `${own.split("/")[0]}/data.yaml` });
  const part = h("input", { placeholder: "the only one" });
  const output = h("input", { value: fresh() });
  const options = h("input", { placeholder: choices.options.slice(0, 2).map((o) => `${o.name}=…`).join(" ") });
  const products = new Map(choices.products.map((name) => [name, h("input", { type: "checkbox", checked: choices.usual.includes(name) })]));
  const fill = () => {
    const before = scene.value;
    const fits = rasters().filter((layer) => !layer.facts!.classes);
    scene.replaceChildren(...fits.map((layer) => h("option", { value: layer.path }, layer.name)));
    if (fits.some((layer) => layer.path === before)) scene.value = before;
  };
  fill();
  onLayers(fill);

  async function box(): Promise<Bounds | null> {
    if (where.value === "all") return null;
    if (where.value === "box") {
      notice("Draw the box: click one corner on the map, then the opposite one");
      return drawBox();
    }
    const b = map.getBounds();
    return [Math.max(-180, b.getWest()), Math.max(-90, b.getSouth()), Math.min(180, b.getEast()), Math.min(90, b.getNorth())];
  }

  async function predict(): Promise<void> {
    const given = source.value.trim();
    if (!given && !scene.value) throw new Error("Add a scene to the map first, in the panel Layers, or name another source");
    const place = given ? { source: given, part: part.value.trim() || null } : { scene: [scene.value], box: await box() };
    const wanted = [...products].filter(([, one]) => one.checked).map(([name]) => name);
    if (products.size && !wanted.length) throw new Error("Choose at least one product");
    await post<Job>("jobs/predict", {
      run: what.run ?? null, system: what.system ?? null, ...place, output: output.value,
      // the task's own choice needs no words on the command line
      products: wanted.join() === choices.usual.join() ? [] : wanted, ...chosen(options.value, choices.options),
    });
    clearBox();
    output.value = fresh();
    toJobs();
  }

  return h("form", { onsubmit: (event: Event) => event.preventDefault() },
    h("h3", {}, "Predict"), h("p", { class: "quiet" }, what.takes),
    field("Scene (a layer on the map)", scene), field("Where", where),
    h("details", {}, h("summary", {}, "Another source"),
      h("p", { class: "quiet" }, "Instead of a layer: a YAML that describes scenes, a table, a cube or a folder, as the system's page says."),
      field("Source", source), field("Scene of the YAML", part)),
    field("Write to", output),
    products.size ? h("fieldset", {}, h("legend", {}, "Products"), ...[...products].map(([name, one]) => h("label", {}, one, ` ${name} `))) : null,
    choices.options.length ? field("Further options, name=value", options) : null,
    choices.options.length ? h("details", {}, h("summary", {}, "All options of predict"), optionTable(choices.options)) : null,
    button("Predict", predict),
  );
}

export function optionTable(options: Choices["options"]): HTMLElement {
  return table(["name", "values", "default"], options.map((o) => [o.name, o.choices.length ? o.choices.join(" | ") : o.file ? "a served file" : o.type, o.default]), "Options");
}
