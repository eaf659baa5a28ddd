// The panel of runs: curves, scores beside baselines, confusion, leaks; predict; compare two maps.

import { get, post, type Comparison, type Job, type Run, type Score } from "./api";
import { button, chart, field, h, notice, table } from "./dom";
import { predictForm } from "./predictForm";
import { addDifference, layers, maps, onLayers } from "./state";

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

const three = (value: number | null) => (value === null ? "–" : value.toFixed(3));
const told = (score: Score | undefined) => (!score || score.value === null ? "–" : score.low === null ? three(score.value) : `${three(score.value)} [${three(score.low)}, ${three(score.high)}]`);

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
    if (confusion && classes) parts.push(matrix(confusion, classes, "Confusion matrix: rows are the truth, columns what was predicted"));
    parts.push(h("details", {}, h("summary", {}, `All that was scored on the ${scores.part} part`), h("pre", { tabindex: 0 }, JSON.stringify({ facts: scores.facts, details: scores.details }, null, 1))));
  }
  if (!run.scores.length) parts.push(h("p", { class: "quiet" }, "Not scored yet."));
  if (run.leaks) {
    parts.push(h("h3", {}, "Leak check"), h("p", {}, run.leaks.looked_at));
    parts.push(run.leaks.findings.length ? h("pre", { tabindex: 0 }, JSON.stringify(run.leaks.findings, null, 1)) : h("p", {}, "Nothing in common between the parts was found."));
  }
  if (run.config) parts.push(h("details", {}, h("summary", {}, "Configuration"), h("pre", { tabindex: 0 }, JSON.stringify(run.config, null, 1))));
  if (run.finished) parts.push(scoreForm(run, toJobs));
  if (run.finished && run.predict) {
    const takes = run.bands ? `Takes the bands ${run.bands.join(", ")}.` : "Takes what it was trained on.";
    parts.push(predictForm({ run: run.path, name: run.name, takes, choices: run.predict }, own, toJobs));
  }
  return parts;
}

function matrix(values: number[][], classes: string[], caption: string): HTMLElement {
  const most = Math.max(1, ...values.flat());
  return table(["", ...classes], values.map((row, i) => [classes[i]!, ...row.map((n, j) => h("span", { class: i === j ? "right" : "wrong", style: `--share:${Math.sqrt(n / most)}` }, n.toLocaleString("en")))]), caption);
}

function scoreForm(run: Run, toJobs: () => void): HTMLElement {
  const data = h("input", { placeholder: `${run.path.split("/")[0]}/data.yaml` });
  return h("form", { onsubmit: (event: Event) => event.preventDefault() },
    h("h3", {}, "Score"), h("p", { class: "quiet" }, "On the test part of labelled data, beside the baselines."),
    field("Labelled data", data),
    button("Score", async () => { await post<Job>("jobs/score", { run: run.path, data: data.value }); toJobs(); }),
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
