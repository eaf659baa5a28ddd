// The panel of jobs: progress, logs, cancel, go on, the command line that does the same.

import { address, ask, post, watchJobs, type Job } from "./api";
import { button, h, notice } from "./dom";
import { fit, ready, soFar } from "./map";
import { addRaster } from "./state";

const list = h("ul", { class: "jobs", "aria-label": "Jobs, the newest first" });
const logs = new Map<string, string>();
let known = new Map<string, Job["state"]>();

export function jobsPanel(): HTMLElement {
  return h("div", {}, h("h2", {}, "Jobs"), list);
}

export async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text).catch(() => { throw new Error(`The browser does not allow to copy. The command is: ${text}`); });
  notice("Copied");
}

function card(job: Job): HTMLElement {
  const over = job.state !== "queued" && job.state !== "running";
  const log = logs.get(job.id);
  return h("li", { class: `job ${job.state}` },
    h("strong", {}, job.title), h("span", { class: "state" }, job.state),
    job.total ? h("progress", { max: job.total, value: job.done, "aria-label": `${job.done} of ${job.total} steps` }) : job.state === "running" ? h("progress", { "aria-label": "running" }) : null,
    job.total ? h("span", { class: "quiet" }, `${job.done} of ${job.total} ${job.words[0] === "fit" ? "epochs" : "parts"}`) : null,
    job.error ? h("p", { class: "reason" }, job.error) : null,
    h("div", { class: "row" },
      !over ? button("Cancel", () => post(`jobs/${job.id}/cancel`), { class: "small" }) : null,
      ["failed", "cancelled", "interrupted"].includes(job.state) ? button("Go on", () => post(`jobs/${job.id}/resume`), { class: "small" }) : null,
      job.state === "done" && job.facts.shown && job.words[0] === "predict" ? button("Show", async () => { await addRaster(job.facts.shown!); }, { class: "small" }) : null,
      job.state === "done" && job.facts.shown && job.words[0] === "predict" ? h("a", { class: "small", href: address("download", { path: job.facts.shown }), download: "" }, "Download") : null,
      button("Copy the command line", () => copy(job.command), { class: "small" }),
      button(log === undefined ? "Log" : "Hide log", async () => {
        if (log === undefined) logs.set(job.id, await (await ask(address(`jobs/${job.id}/log`))).text());
        else logs.delete(job.id);
        show(last);
      }, { class: "small" }),
    ),
    log === undefined ? null : h("pre", { tabindex: 0 }, log || "nothing was printed"),
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
      if (job.state === "done" && job.words[0] === "predict" && job.facts.shown) void addRaster(job.facts.shown, false).catch((error) => notice(error.message, true));
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
