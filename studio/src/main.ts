// Swath Studio: panels on the left, the map on the right.

import "./style.css";
import { get, type About } from "./api";
import { byId, h, notice } from "./dom";
import { startInspector } from "./inspector";
import { jobsPanel, startJobs } from "./jobsPanel";
import { labelsPanel } from "./labelsPanel";
import { layersPanel } from "./layersPanel";
import { addRaster, addVector } from "./state";
import { runsPanel } from "./runsPanel";
import { systemsPanel } from "./systemsPanel";

function tabs(panels: Record<string, HTMLElement>): (name: string) => void {
  const names = Object.keys(panels);
  const buttons = new Map<string, HTMLButtonElement>();
  const open = (name: string) => {
    for (const [each, tab] of buttons) {
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      panels[each]!.hidden = each !== name;
    }
  };
  names.forEach((name, i) => {
    const id = `tab-${name.toLowerCase()}`;
    const tab = h("button", {
      type: "button", role: "tab", id, "aria-controls": `${id}-panel`, onclick: () => open(name),
      onkeydown: (event: KeyboardEvent) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = names[(i + step + names.length) % names.length]!;
        open(next);
        buttons.get(next)!.focus();
      },
    }, name);
    buttons.set(name, tab);
    byId("tabs").append(tab);
    const panel = panels[name]!;
    panel.id = `${id}-panel`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", id);
    byId("panel").append(panel);
  });
  open(names[0]!);
  return open;
}

async function start(): Promise<void> {
  const about = await get<About>("about");
  let open: (name: string) => void = () => undefined;
  const toJobs = () => open("Jobs");
  const runs = runsPanel(about.own, toJobs);
  open = tabs({
    Layers: layersPanel(about, (path) => { open("Runs"); void runs.open(path).catch((error) => notice(error.message, true)); }),
    Runs: runs.panel,
    Systems: systemsPanel(about.own, toJobs),
    Jobs: jobsPanel(),
    Labels: labelsPanel(about.own),
  });
  startInspector();
  // `swath studio FILE` opens the page with the file's name
  const file = decodeURIComponent(location.hash.slice(1));
  if (file) await (/\.tiff?$|\.jp2$|\.png$|\.jpe?g$/i.test(file) ? addRaster(file) : addVector(file));
  await startJobs();
}

start().catch((error) => notice(error.message, true));
