// The panel of jobs: progress, logs, cancel, go on, the command line that does the same.

import { address, ask, post, watchJobs, type Job } from "./api";
import { button, h, notice } from "./dom";
import { fit, ready, soFar } from "./map";
import { showTable } from "./layersPanel";
import { addRaster, addVector } from "./state";

const list = h("ul", { class: "jobs", "aria-label": "Jobs, the newest first" });
const logs = new Map<string, string>();
let known = new Map<string, Job["state"]>();

export function jobsPanel(): HTMLElement {
  return h("div", {}, h("h2", {}, "Jobs"), list);
}

export async function copy(text: string): Promise<void> {
  // browsers have no clipboard for pages of other machines without TLS
  await (navigator.clipboard?.writeText(text) ?? Promise.reject()).catch(() => { throw new Error(`The browser does not allow to copy. The command is: ${text}`); });
  notice("Copied");
}

function product({ path, kind }: Job["products"][number]): HTMLElement {
  const show = { raster: () => addRaster(path), vector: () => addVector(path), table: () => showTable(path) }[kind as string];
  const name = path.split("/").at(-1)!;
  return h("li", { class: "row" }, h("span", {}, name),
    show ? button("Show", show, { class: "small", "aria-label": `Show ${name}` }) : null,
    h("a", { class: "small", href: address("download", { path }), download: "", "aria-label": `Download ${name}` }, "Download"));
}

function card(job: Job): HTMLElement {
  const over = job.state !== "queued" && job.state !== "running";
  const log = logs.get(job.id);
  return h("li", { class: `job ${job.state}` },
    h("strong", {}, job.title), h("span", { class: "state" }, job.state),
    job.total ? h("progress", { max: job.total, value: job.done, "aria-label": `${job.done} of ${job.total} steps` }) : job.state === "running" ? h("progress", { "aria-label": "running" }) : null,
    job.total ? h("span", { class: "quiet" }, `${job.done} of ${job.total} ${job.words[0] === "fit" ? "epochs" : "strips"}`) : null,
    job.error ? h("p", { class: "reason" }, job.error) : null,
    h("div", { class: "row" },
      !over ? button("Cancel", () => post(`jobs/${job.id}/cancel`), { class: "small" }) : null,
      ["failed", "cancelled", "interrupted"].includes(job.state) ? button("Go on", () => post(`jobs/${job.id}/resume`), { class: "small" }) : null,
      button("Copy the command line", () => copy(job.command), { class: "small" }),
      button(log === undefined ? "Log" : "Hide log", async () => {
        if (log === undefined) logs.set(job.id, await (await ask(address(`jobs/${job.id}/log`))).text());
        else logs.delete(job.id);
        show(last);
      }, { class: "small" }),
    ),
    job.products.length ? h("ul", { class: "files", "aria-label": "Products" }, ...job.products.map(product)) : null,
    log === undefined ? null : h("pre", { tabindex: 0 }, `$ ${job.command}\n\n${log || "nothing was printed"}`),
  );
}

let last: Job[] = [];

function show(jobs: Job[]): void {
  const focus = document.activeElement instanceof HTMLElement && list.contains(document.activeElement) ? document.activeElement.textContent : null;
  const at = focus === null ? -1 : [...list.children].findIndex((item) => item.contains(document.activeElement));
  last = jobs;
  list.replaceChildren(...jobs.map(card));
  if (!jobs.length) list.append(h("li", { class: "quiet" }, "No job yet. Predict from a run, or fit a system."));
  // the list is made anew whenever a job moves; who stands in it with the keyboard stays there
  if (at >= 0) [...(list.children[at]?.querySelectorAll("button") ?? [])].find((b) => b.textContent === focus)?.focus();
}

function follow(jobs: Job[]): void {
  const running = jobs.find((job) => job.state === "running" && job.words[0] === "predict" && job.done > 0 && job.facts.corners);
  soFar(running ? address(`jobs/${running.id}/picture`, { step: running.done }) : null, running?.facts.corners);
  for (const job of jobs) {
    const before = known.get(job.id);
    if (before && before !== job.state) {
      notice(`${job.title}: ${job.state}${job.error ? `. ${job.error}` : ""}`, job.state === "failed");
      const first = job.state === "done" ? job.products[0] : undefined;
      const shown = first?.kind === "raster" ? addRaster(first.path, false) : first?.kind === "vector" ? addVector(first.path) : null;
      shown?.catch((error) => notice(error.message, true));
    }
    if (before === undefined && known.size && job.facts.corners && job.state === "queued") {
      const [lons, lats] = [job.facts.corners.map((c) => c[0]), job.facts.corners.map((c) => c[1])];
      fit([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)]);
    }
  }
  known = new Map(jobs.map((job) => [job.id, job.state]));
}

export async function startJobs(): Promise<void> {
  await ready;
  let first = true;
  watchJobs((jobs) => {
    if (first) known = new Map(jobs.map((job) => [job.id, job.state]));
    first = false;
    show(jobs);
    follow(jobs);
  });
}
