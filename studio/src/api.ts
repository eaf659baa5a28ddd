// What the server answers, typed, and how it is asked.

export interface Entry { name: string; path: string; kind: "folder" | "run" | "raster" | "vector" | "table" | "data"; broken?: string; date?: string; bytes?: number }
export interface ClassEntry { code: number; name: string; colour: string }
export interface Band { index: number; name: string; unit: string | null; wavelength: number | null; low: number; high: number }
export type Bounds = [number, number, number, number];
export interface Raster {
  path: string; kind: "raster"; version: string; bytes: number; shape: [number, number]; dtype: string; crs: string | null;
  resolution: [number, number]; bounds: Bounds; footprint: GeoJSON.Polygon; bands: Band[]; classes: ClassEntry[] | null;
  shown: number[]; minzoom: number; maxzoom: number; date: string | null; provenance: Record<string, unknown> | null;
}
export interface Vector extends GeoJSON.FeatureCollection { bbox: Bounds; layers: string[]; columns: string[]; total: number; cut: boolean }
export interface Score { value: number | null; low: number | null; high: number | null }
export interface Option { name: string; type: string; default: string; choices: string[]; file: boolean }
/** What may be chosen when a run, or a system that needs no training, is applied. */
export interface Choices { products: string[]; usual: string[]; suffixes: string[]; options: Option[] }
export interface Table { columns: string[]; rows: (string | number | null)[][]; cut: boolean }
export interface Scores {
  part: string; system: Record<string, Score>; baselines: Record<string, Record<string, Score>>;
  details: { confusion?: number[][]; classes?: string[] } & Record<string, unknown>; facts: Record<string, unknown>;
}
export interface Run {
  path: string; name: string; system: string | null; kind: string | null; finished: boolean; predict: Choices | null; classes: ClassEntry[] | null; bands: string[] | null;
  config: Record<string, unknown> | null; history: Record<string, (number | null)[]> | null; scores: Scores[];
  leaks: { looked_at: string; findings: Record<string, unknown>[] } | null; versions: Record<string, string> | null;
}
export interface Job {
  id: string; title: string; state: "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted"; command: string;
  error: string | null; done: number; total: number; words: string[]; created: string; products: { path: string; kind: Entry["kind"] | null }[];
  facts: { corners?: [number, number][]; shown?: string; legend?: ClassEntry[]; shape?: [number, number] };
}
export interface System { id: string; title: string; family: string; built: boolean; forms: string[] }
export interface Card { id: string; title: string; year: number; task: string; inputs: string; outputs: string; reference: string; weights: string; baseline: string; departures: string[]; checks: string[]; extra: string; called: string; forms: string[]; trained: boolean; options: Option[]; predict?: Choices }
export interface Values { path: string; date: string | null; bands: { name: string; unit: string | null; wavelength: number | null; value: number | null; class?: string }[] }
export interface Mcnemar { both: number; first_only: number; second_only: number; neither: number; statistic: number | null; p: number }
export interface Comparison { classes: string[]; pixels: number; agreement: number; kappa: number | null; matrix: number[][]; mcnemar?: Mcnemar }
export interface About { version: string; roots: string[]; own: string; colour_maps: Record<string, string[]> }

export class Refusal extends Error {
  constructor(message: string, readonly status: number) { super(message); }
}

export function address(path: string, query: Record<string, string | number | string[] | undefined> = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) for (const one of Array.isArray(value) ? value : [value]) words.append(name, String(one));
  }
  return `${new URL(`api/${path}`, document.baseURI)}${words.size ? `?${words}` : ""}`;
}

/** Options out of a line `name=value name=value`; those that name a file take a served one. */
export function chosen(text: string, options: Option[]): { options: Record<string, string>; files: Record<string, string> } {
  const found = { options: {} as Record<string, string>, files: {} as Record<string, string> };
  for (const word of text.split(/\s+(?=[\w-]+=)/).map((w) => w.trim()).filter(Boolean)) {
    const at = word.indexOf("=");
    if (at < 1) throw new Error(`'${word}' is no option of the form name=value`);
    const name = word.slice(0, at).replace(/^--/, "").replaceAll("-", "_");
    found[options.find((o) => o.name === name)?.file ? "files" : "options"][name] = word.slice(at + 1);
  }
  return found;
}

export async function ask(url: string, options: RequestInit = {}): Promise<Response> {
  const answer = await fetch(url, options).catch(() => { throw new Refusal("The server does not answer; is `swath studio` still running?", 0); });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  const detail = Array.isArray(told?.detail) ? told.detail.map((d: { loc: string[]; msg: string }) => `${d.loc.at(-1)}: ${d.msg}`).join("; ") : null;
  throw new Refusal(told?.message ?? detail ?? `The server answered ${answer.status}`, answer.status);
}

export async function get<T>(path: string, query: Record<string, string | number | string[] | undefined> = {}): Promise<T> {
  return (await ask(address(path, query))).json();
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  return (await ask(address(path), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })).json();
}

/** Tell of all jobs whenever one changes; connects again when the server comes back. */
export function watchJobs(told: (jobs: Job[]) => void): void {
  const socket = new WebSocket(address("jobs/watch").replace(/^http/, "ws"));
  socket.onmessage = (event) => told(JSON.parse(event.data));
  socket.onclose = () => setTimeout(() => watchJobs(told), 2000);
}
