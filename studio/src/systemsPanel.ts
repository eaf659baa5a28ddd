// The panel of systems: the catalogue, cards, and a form to start a fit.

import { chosen, get, post, type Card, type Job, type System } from "./api";
import { button, field, h, notice } from "./dom";
import { optionTable, predictForm } from "./predictForm";

export function systemsPanel(own: string, toJobs: () => void): HTMLElement {
  const list = h("div", {});
  const detail = h("div", { id: "card", tabindex: -1 });
  let all: System[] = [];

  const search = h("input", { type: "search", oninput: () => show() });
  const built = h("input", { type: "checkbox", checked: true, onchange: () => show() });

  function show(): void {
    const words = search.value.toLowerCase();
    const shown = all.filter((s) => (!built.checked || s.built) && `${s.id} ${s.forms.join(" ")} ${s.title} ${s.family}`.toLowerCase().includes(words));
    const families = [...new Set(shown.map((s) => s.family))];
    list.replaceChildren(...families.flatMap((family) => [
      h("h3", {}, family),
      h("ul", { class: "files" }, ...shown.filter((s) => s.family === family).map((s) =>
        h("li", {}, ...(s.built ? [s.id, ...s.forms].map((name) => button(name, () => open(name), { class: "link" })) : [h("span", {}, `${s.id} (planned)`)]), h("div", { class: "quiet" }, s.title)))),
    ]));
    if (!shown.length) list.append(h("p", { class: "quiet" }, "No system of this name."));
  }

  async function open(id: string): Promise<void> {
    detail.replaceChildren(h("p", {}, `Loading ${id} …`));
    const card = await get<Card>(`systems/${id}`);
    const facts = ([["Task", card.task], ["Takes", card.inputs], ["Gives", card.outputs], ["Paper", `${card.reference} (${card.year})`], ["Weights", card.weights], ["Baseline", card.baseline], ["Needs", `pip install "swath[${card.extra}]"`]] as [string, string][]).filter(([, text]) => text);
    detail.replaceChildren(
      h("h2", {}, card.called), h("p", {}, card.title),
      card.forms.length ? h("p", {}, "Called as: ", ...[card.id, ...card.forms].map((name) => button(name, () => open(name), { class: "link", "aria-pressed": name === card.called }))) : "",
      h("dl", {}, ...facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
      ...([["Departures from the release", card.departures], ["How it was checked", card.checks]] as [string, string[]][]).filter(([, lines]) => lines.length).map(([title, lines]) => h("details", {}, h("summary", {}, title), h("ul", {}, ...lines.map((line) => h("li", {}, line))))),
      ...(card.predict ? [predictForm({ system: card.called, name: card.called, takes: "Needs no training.", choices: card.predict }, own, toJobs)] : []),
      fitForm(card, own, toJobs),
    );
    detail.focus();
  }

  void get<System[]>("systems").then((found) => { all = found; show(); }).catch((error) => notice(error.message, true));
  return h("div", {}, h("h2", {}, "Systems"), field("Search", search), h("label", {}, built, " only those that are built"), list, detail);
}

function fitForm(card: Card, own: string, toJobs: () => void): HTMLElement {
  const data = h("input", { placeholder: `${own.split("/")[0]}/data.yaml` });
  const output = h("input", { value: `${own}/${card.called.replace(":", "-")}-${Date.now().toString(36)}` });
  const counted = card.options.some((o) => o.name === "epochs");
  const epochs = h("input", { type: "number", min: 1, placeholder: "the system's" });
  const options = h("input", { placeholder: card.options.slice(0, 2).map((o) => `${o.name}=…`).join(" ") });
  return h("form", { onsubmit: (event: Event) => event.preventDefault() },
    h("h3", {}, "Fit"),
    field("Data (a YAML or a folder in the published layout)", data), field("Run", output), counted ? field("Epochs", epochs) : null, field("Further options, name=value", options),
    h("details", {}, h("summary", {}, "All options"), optionTable(card.options)),
    button("Fit", async () => {
      const more = chosen(options.value, card.options);
      if (epochs.value) more.options.epochs = epochs.value;
      await post<Job>("jobs/fit", { system: card.called, data: data.value, output: output.value, ...more });
      toJobs();
    }),
  );
}
