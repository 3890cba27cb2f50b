// Where the configs of two rows differ. A row keeps only where it differs from what most rows have.
const configDiff = (() => {
  const { el } = dom;
  const all = state.payload.configs ?? { common: {}, rows: {} };
  const own = new Map(Object.entries(all.rows ?? {}));
  const common = new Map(Object.entries(all.common ?? {}));

  const valueOf = (entries, key) => (entries.has(key) ? entries.get(key) : common.get(key)) ?? null;

  /** [key path, value here, value there] of every difference; null where a config lacks the key. */
  function differences(name, other) {
    const [a, b] = [name, other].map((row) => new Map(Object.entries(own.get(row))));
    const keys = [...new Set([...a.keys(), ...b.keys()])].sort(d3.ascending);
    return keys.map((key) => [key, valueOf(a, key), valueOf(b, key)]).filter(([, x, y]) => x !== y);
  }

  const valueCell = (value) => (value === null ? el("td", { class: "blank" }, state.DASH) : el("td", {}, el("code", {}, value)));

  function tableOf(name, other) {
    const found = differences(name, other);
    if (!found.length) return dom.note("The two configs are the same.");
    return el("div", {}, el("p", { class: "note" }, `${dom.plural(found.length, "key differs", "keys differ")}.`),
      el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Config difference" }, el("table", { class: "diff" },
        el("thead", {}, el("tr", {}, ["Key", name, other].map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, found.map(([key, x, y]) => el("tr", {}, el("th", { scope: "row" }, el("code", {}, key)), valueCell(x), valueCell(y)))))));
  }

  /** A select of the other rows, and under it the table. */
  function section(name) {
    const others = state.rows.map((row) => row.name).filter((other) => other !== name && own.has(other));
    if (!own.has(name)) return dom.note("The config of this row is not in the page.");
    if (!others.length) return dom.note("There is no other row to compare with.");
    const first = state.shown().map((row) => row.name).find((other) => others.includes(other)) ?? others[0];
    const body = el("div", {});
    const show = (other) => body.replaceChildren(tableOf(name, other));
    const made = dom.select("Compare with", others.map((other) => [`=${other}`, other]), `=${first}`, (value) => show(value.slice(1)));
    made.input.id = "diff-other";
    show(first);
    return el("div", {}, made.node, body);
  }

  return { section };
})();
