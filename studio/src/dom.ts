// Elements, notices and charts: the little that a page without a framework needs.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, unknown>;

/** An element with attributes, handlers (`onclick`) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function" || name === "value" || name === "checked") Object.assign(element, { [name]: value });
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((c): c is Node | string | number => c !== null && c !== undefined && c !== false).map(
    (child) => (child instanceof Node ? child : String(child)),
  ));
  return element;
}

export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

/** A labelled form control; the label stands before it. */
export function field(label: string, control: HTMLElement): HTMLLabelElement {
  // else the options of a select would be read as a part of its name
  control.setAttribute("aria-label", label);
  return h("label", { class: "field" }, h("span", {}, label), control);
}

export function select(options: [string, string][], chosen = "", changed?: (value: string) => void): HTMLSelectElement {
  const element: HTMLSelectElement = h("select", { onchange: (): void => changed?.(element.value) });
  for (const [value, text] of options) element.append(h("option", { value }, text));
  if (chosen) element.value = chosen;
  return element;
}

export function button(text: string, action: () => unknown, attributes: Attributes = {}): HTMLButtonElement {
  const run = async (): Promise<void> => {
    try {
      await action();
    } catch (error) {
      notice(error instanceof Error ? error.message : String(error), true);
    }
  };
  return h("button", { type: "button", ...attributes, onclick: run }, text);
}

/** Say something at the foot of the page; problems stay until they are closed. */
export function notice(text: string, problem = false): void {
  const element: HTMLElement = h("div", { class: problem ? "notice problem" : "notice", ...(problem ? { role: "alert" } : {}) },
    h("span", {}, text), button("Close", () => element.remove()));
  byId("notices").append(element);
  if (!problem) setTimeout(() => element.remove(), 6000);
}

export function table(head: string[], rows: Child[][], caption?: string): HTMLElement {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption ?? head.join(", ") }, h("table", {},
    caption ? h("caption", {}, caption) : null,
    h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...rows.map((row) =>
      h("tr", {}, ...row.map((cell, i) => (i ? h("td", {}, cell) : h("th", { scope: "row" }, cell)))))),
  ));
}

/** Something to read over the page; Escape closes it. */
export function dialog(title: string, ...content: Child[]): void {
  const element: HTMLDialogElement = h("dialog", { "aria-label": title, onclose: () => element.remove() }, h("div", { class: "row" }, h("h2", {}, title), button("Close", () => element.close(), { class: "small" })), ...content);
  document.body.append(element);
  element.showModal();
}

const COLOURS = ["#2b7bba", "#d1495b", "#3a9d5d", "#a06cd5", "#c98b1d", "#5b6770"];

/** A line chart; its numbers are said in a table beside it, for who cannot see it. */
export function chart(title: string, x: number[], xLabel: string, lines: Record<string, (number | null)[]>, time = false): HTMLElement {
  const box = h("div", { class: "chart", role: "img", "aria-label": `${title}: ${Object.keys(lines).join(", ")} over ${xLabel}` });
  const said = (value: number | null | undefined) => (value === null || value === undefined ? "–" : +value.toPrecision(5));
  const rows = x.map((at, i) => [time ? new Date(at * 1000).toISOString().slice(0, 10) : said(at), ...Object.values(lines).map((line) => said(line[i]))]);
  const numbers = h("details", { class: "quiet" }, h("summary", {}, `Numbers of ${title}`), table([xLabel, ...Object.keys(lines)], rows));
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim() || "#222";
  const axis = { stroke: ink, grid: { stroke: "#8883" }, ticks: { stroke: "#8883" } };
  requestAnimationFrame(() => {
    new uPlot({
      width: Math.max(240, Math.min(box.clientWidth || 340, 640)), height: 190, title, scales: { x: { time } },
      axes: [{ ...axis, label: xLabel, labelSize: 18, ...(xLabel === "epoch" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] } : {}) }, { ...axis, size: 60 }],
      series: [{ label: xLabel }, ...Object.keys(lines).map((label, i) => ({
        label, stroke: COLOURS[i % COLOURS.length]!, width: 2, points: { show: x.length < 40 }, spanGaps: true,
      }))],
    }, [x, ...Object.values(lines)] as uPlot.AlignedData, box);
  });
  return h("div", {}, box, numbers);
}
