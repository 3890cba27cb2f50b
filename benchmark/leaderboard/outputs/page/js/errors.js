// What each kind of error costs a row, after TIDE. The gains do not add up, so the bars stand apart, not stacked.
const errors = (() => {
  const { el, byId } = dom;
  const ROWS_AT_MOST = 200;

  function cellOf(row, key, most) {
    const value = state.value(row, key);
    if (value === null) return el("td", { class: "blank" }, cells.dash(row, key));
    const bar = el("span", { class: "error-bar" });
    bar.style.width = `${most ? (Math.max(value, 0) / most) * 100 : 0}%`;
    return el("td", {}, el("span", { class: "error-value" }, state.text(row, key)), el("span", { class: "error-track" }, bar));
  }

  function tableOf(rows, columns) {
    const most = d3.max(rows, (row) => d3.max(columns, (column) => state.value(row, column.key) ?? 0));
    const head = dom.rowHead(columns.map((column) => [column.about, column.title]));
    const lines = rows.map((row) => dom.rowLine(row, columns.map((column) => cellOf(row, column.key, most))));
    return dom.wideTable("Cost of each kind of error", "error-table", head, lines);
  }

  const explained = (columns) => el("dl", { class: "kinds" }, columns.map((column) =>
    el("div", {}, el("dt", {}, column.title), el("dd", {}, column.about.replace(/^TIDE: /, "").replace(/^h/, "H")))));

  function draw(node) {
    const on = Boolean(state.board.judge); // the split that ranks the rows; the table has both
    const columns = state.columns.filter((column) => column.group === "errors" && column.key.startsWith("test_") === on);
    const measured = state.shown().filter((row) => columns.some((column) => state.value(row, column.key) !== null));
    if (!measured.length) {
      const why = state.shown().map((row) => state.reason(row, columns[0]?.key)).find(Boolean);
      node.replaceChildren(dom.note(`No row shown has error shares.${why ? ` ${why}` : ""}`));
      return;
    }
    const rows = measured.slice(0, ROWS_AT_MOST);
    const said = ["Each bar is the gain of mAP50 if that kind of error were fixed (TIDE), on one scale. The gains do not add up."];
    if (rows.length < measured.length) said.push(`The first ${rows.length} of ${measured.length} rows are drawn.`);
    const out = state.shown().length - measured.length;
    if (out) said.push(`${dom.plural(out, "row")} without error shares left out.`);
    node.replaceChildren(tableOf(rows, columns), dom.note(said.join(" ")), explained(columns));
  }

  return { start: () => figure.register(byId("errors-figure"), draw) };
})();
