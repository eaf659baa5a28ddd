// The panel of runs: curves, scores beside baselines, confusion, leaks; predict; compare two maps.

import { get, post, type Bounds, type Comparison, type Job, type Run, type Score } from "./api";
import { button, chart, field, h, notice, select, table } from "./dom";
import { clearBox, drawBox } from "./draw";
import { map } from "./map";
import { addDifference, layers, maps, onLayers, rasters } from "./state";

const detail = h("div", { id: "run" });

export function runsPanel(own: string, toJobs: () => void): { panel: HTMLElement; open: (path: string) => Promise<void> } {
  const list = h("ul", { class: "files", "aria-label": "Runs" });

  async function open(path: string): Promise<void> {
    const run = await get<Run>("run", { path });
    detail.replaceChildren(...show(run, own, toJobs));
    detail.scrollIntoView({ block: "nearest" });
  }

  async function refresh(): Promise<void> {
    const runs = await get<{ path: string; name: string }[]>("runs");
    list.replaceChildren(...runs.map((run) => h("li", {}, button(`◆ ${run.path}`, () => open(run.path), { class: "link" }))));
    if (!runs.length) list.append(h("li", { class: "quiet" }, "No run in the served folders yet. Fit a system, in the panel Systems."));
  }

  void refresh().catch((error) => notice(error.message, true));
  const panel = h("div", {}, h("h2", {}, "Runs"), list, button("Look again", refresh, { class: "small" }), detail, compareForm());
  return { panel, open };
}

const told = (score: Score | undefined) => (!score ? "–" : score.low === null ? score.value.toFixed(3) : `${score.value.toFixed(3)} [${score.low.toFixed(3)}, ${score.high!.toFixed(3)}]`);

function show(run: Run, own: string, toJobs: () => void): HTMLElement[] {
  const parts: HTMLElement[] = [h("h2", {}, `Run ${run.name}`), h("p", { class: "quiet" }, `${run.system ?? "unknown system"}${run.finished ? "" : ", not finished"}${run.classes ? `; classes ${run.classes.map((c) => c.name).join(", ")}` : ""}`)];
  const history = run.history;
  if (history?.epoch) {
    const { epoch, ...lines } = history;
    const groups: [string, string[]][] = [["Loss", Object.keys(lines).filter((n) => n.includes("loss"))], ["Validation", Object.keys(lines).filter((n) => !n.includes("loss") && n.startsWith("val_"))]];
    for (const [title, names] of groups) if (names.length) parts.push(chart(title, epoch.map(Number), "epoch", Object.fromEntries(names.map((n) => [n.replace("val_", ""), lines[n]!]))));
  }
  for (const scores of run.scores) {
    const metrics = Object.keys(scores.system);
    parts.push(table(["", ...metrics], [["this run", ...metrics.map((m) => told(scores.system[m]))], ...Object.entries(scores.baselines).map(([name, of]) => [name, ...metrics.map((m) => told(of[m]))])], `Scores on the ${scores.part} part beside baselines, with intervals`));
    const { confusion, classes } = scores.details;
    if (confusion && classes) parts.push(matrix(confusion, classes, "Confusion matrix: rows are the truth, columns what was predicted, pixels"));
  }
  if (!run.scores.length) parts.push(h("p", { class: "quiet" }, "Not scored yet: `swath score RUN DATA` writes the scores into the run."));
  if (run.leaks) {
    parts.push(h("h3", {}, "Leak check"), h("p", {}, run.leaks.looked_at));
    parts.push(run.leaks.findings.length ? h("pre", { tabindex: 0 }, JSON.stringify(run.leaks.findings, null, 1)) : h("p", {}, "Nothing in common between the parts was found."));
  }
  if (run.config) parts.push(h("details", {}, h("summary", {}, "Configuration"), h("pre", { tabindex: 0 }, JSON.stringify(run.config, null, 1))));
  if (run.finished) parts.push(predictForm(run, own, toJobs));
  return parts;
}

function matrix(values: number[][], classes: string[], caption: string): HTMLElement {
  const most = Math.max(1, ...values.flat());
  return table(["", ...classes], values.map((row, i) => [classes[i]!, ...row.map((n, j) => h("span", { class: i === j ? "right" : "wrong", style: `--share:${Math.sqrt(n / most)}` }, n.toLocaleString("en")))]), caption);
}

function predictForm(run: Run, own: string, toJobs: () => void): HTMLElement {
  const scene = h("select", {});
  const where = select([["view", "what the map shows"], ["box", "a box that I draw"], ["all", "the whole scene"]], "view");
  const output = h("input", { value: `${own}/${run.name}-${Date.now().toString(36)}.tif` });
  const uncertainty = h("input", { type: "checkbox" });
  const fill = () => {
    const before = scene.value;
    const fits = rasters().filter((layer) => !layer.facts!.classes);
    scene.replaceChildren(...fits.map((layer) => h("option", { value: layer.path }, layer.name)));
    if (fits.some((layer) => layer.path === before)) scene.value = before;
  };
  fill();
  onLayers(fill);
  return h("form", { onsubmit: (event: Event) => event.preventDefault() },
    h("h3", {}, "Predict"),
    h("p", { class: "quiet" }, `Takes ${run.bands ? `the bands ${run.bands.join(", ")}` : "the bands it was trained on"}.`),
    field("Scene (a layer on the map)", scene), field("Where", where), field("Write to", output),
    h("label", {}, uncertainty, " also the uncertainty"),
    button("Predict", async () => {
      if (!scene.value) throw new Error("Add a scene to the map first, in the panel Layers");
      let box: Bounds | null = null;
      if (where.value === "view") {
        const b = map.getBounds();
        box = [Math.max(-180, b.getWest()), Math.max(-90, b.getSouth()), Math.min(180, b.getEast()), Math.min(90, b.getNorth())];
      } else if (where.value === "box") {
        notice("Draw the box: click one corner on the map, then the opposite one");
        box = await drawBox();
      }
      await post<Job>("jobs/predict", { run: run.path, scene: [scene.value], output: output.value, box, products: uncertainty.checked ? ["classes", "uncertainty"] : ["classes"] });
      clearBox();
      output.value = `${own}/${run.name}-${Date.now().toString(36)}.tif`;
      toJobs();
    }),
  );
}

function compareForm(): HTMLElement {
  const first = h("select", {});
  const second = h("select", {});
  const labels = h("select", {});
  const result = h("div", { "aria-live": "polite" });
  const fill = () => {
    const kept = [first, second, labels].map((s) => s.value);
    const options = maps().map((layer): [string, string] => [layer.path, layer.name]);
    const truths: [string, string][] = [["", "none"], ...layers.filter((l) => l.vector || l.facts?.classes).map((l): [string, string] => [l.path, l.name])];
    [options, options, truths].forEach((list, i) => [first, second, labels][i]!.replaceChildren(...list.map(([value, text]) => h("option", { value }, text))));
    [first, second, labels].forEach((s, i) => { if ([...s.options].some((o) => o.value === kept[i])) s.value = kept[i]!; });
    if (options.length > 1 && first.value === second.value) second.selectedIndex = first.selectedIndex ? 0 : 1;
  };
  onLayers(fill);
  fill();
  return h("section", { "aria-label": "Compare two maps" },
    h("h2", {}, "Compare two maps"),
    h("p", { class: "quiet" }, "Two class maps on the map, and labels of the same ground if there are any."),
    field("First map", first), field("Second map", second), field("Truth", labels),
    button("Compare", async () => {
      if (!first.value || !second.value) throw new Error("Add two class maps to the map first");
      const found = await post<Comparison>("compare", { first: first.value, second: second.value, labels: labels.value || null });
      addDifference(first.value, second.value);
      result.replaceChildren(...compared(found));
    }),
    result,
  );
}

function compared(found: Comparison): HTMLElement[] {
  const parts: HTMLElement[] = [
    h("p", {}, `They agree on ${(100 * found.agreement).toFixed(2)} % of ${found.pixels.toLocaleString("en")} pixels${found.kappa === null ? "" : ` (kappa ${found.kappa.toFixed(3)})`}.`),
    matrix(found.matrix, found.classes, "Classes: rows of the first map, columns of the second, pixels"),
  ];
  const test = found.mcnemar;
  if (test) {
    parts.push(table(["", "second right", "second wrong"], [["first right", test.both, test.first_only], ["first wrong", test.second_only, test.neither]], "McNemar: labelled pixels"));
    parts.push(h("p", {}, `p = ${test.p < 0.001 ? test.p.toExponential(1) : test.p.toFixed(3)}${test.statistic === null ? " (exact)" : `, χ² = ${test.statistic.toFixed(2)}`}. Neighbouring pixels are alike, so the true p is larger than this.`));
  }
  return parts;
}
