// The table: DataTables sorts, searches and hides columns; every cell is written as text nodes.
const table = (() => {
  const { el, byId } = dom;
  const FIRST_COST = ["latency_ms"];
  // Drawn as the bar beside mAP50, so the column of its text would say it twice.
  const DRAWN = [state.judged.interval];
  const ROWS_AT_ONCE = 200; // with more, sorting waits on the browser's layout of the table
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  let api = null;
  const made = new Map(); // column key -> whether its cells are written; hidden ones wait until they are shown
  const filters = {}; // column key -> the label that rows must have; absent: any

  // A label that all rows share tells no row from another: it stands in a line under the table instead.
  const shared = (column) => column.label && state.rows.length > 1
    && new Set(state.rows.map((row) => state.value(row, column.key))).size === 1;

  // What a reader can choose rows by: each label that tells one from another, and the state.
  const FILTERS = state.columns.filter((column) => column.key === "state" || (column.label && !shared(column)));

  function sharedNote() {
    const labels = state.columns.filter((column) => column.shown && shared(column));
    return labels.length ? `The same in every row: ${labels.map((column) => `${column.title} ${state.text(state.rows[0], column.key)}`).join(", ")}. ` : "";
  }

  // Beside values that cannot be compared with it, a published one only misleads.
  const misleads = (column) => ["leaderboard_map50", "published_split"].includes(column.key) && !state.board.comparable;

  function visibleAtFirst(column) {
    if (column.key === "row") return true;
    if (misleads(column)) return false;
    if (!column.shown || DRAWN.includes(column.key) || shared(column)) return false;
    if (column.group !== "main" && !FIRST_COST.includes(column.key)) return false;
    return column.label || state.rows.some((row) => state.value(row, column.key) !== null);
  }

  // Dashes stay last in both directions.
  const absent = (value) => value === "" || Number.isNaN(value);
  function compare(a, b, sign) {
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : words.compare(a, b));
  }

  function sortValue(row, column) {
    if (column.key === "rank") return state.value(row, "rank_first") ?? NaN;
    if (column.key === "interval") return state.value(row, "map50_low") ?? NaN;
    if (column.key === "test_interval") return state.value(row, "test_map50_low") ?? NaN;
    return state.value(row, column.key) ?? (column.numeric ? NaN : "");
  }

  function definition(column) {
    made.set(column.key, visibleAtFirst(column));
    return {
      data: null,
      type: "board",
      name: column.key,
      visible: made.get(column.key),
      searchable: !column.numeric,
      cellType: column.key === "row" ? "th" : "td",
      className: [`col-${column.group}`, column.right ? "num" : "", column.key === "row" ? "first" : "",
        column.key === state.judged.map50 ? "map" : ""].filter(Boolean).join(" "),
      orderSequence: column.better === "higher" ? ["desc", "asc"] : ["asc", "desc"],
      render: (_, type, row) => {
        if (type === "display") return "";
        return type === "sort" ? sortValue(row, column) : state.text(row, column.key);
      },
      createdCell: (td, _, row) => {
        if (column.key === "row") td.scope = "row";
        if (column.key === "row" || made.get(column.key)) td.append(cells.cell(row, column.key));
      },
    };
  }

  function head() {
    const header = el("tr", {});
    for (const column of state.columns) header.append(el("th", { scope: "col", title: column.about }, column.title));
    return el("thead", {}, header);
  }

  function firstOrder() {
    const at = state.columns.findIndex((column) => column.key === state.judged.map50);
    return at < 0 ? [] : [[at, "desc"]];
  }

  const passes = (row) => FILTERS.every(({ key }) =>
    filters[key] === undefined || String(state.label(row, key)) === filters[key]);

  function setVisible(key, on) {
    const column = api.column(`${key}:name`);
    if (on && !made.get(key)) {
      made.set(key, true);
      api.rows().every(function () {
        const cell = api.cell(this.index(), `${key}:name`).node(); // null: this line is not drawn yet
        if (cell) cell.append(cells.cell(this.data(), key));
      });
    }
    column.visible(on, false);
  }

  function makeApi(node) {
    DataTable.ext.errMode = "throw";
    DataTable.ext.type.order["board-asc"] = (a, b) => compare(a, b, 1);
    DataTable.ext.type.order["board-desc"] = (a, b) => compare(a, b, -1);
    const instance = new DataTable(node, {
      data: state.rows, columns: state.columns.map(definition), order: firstOrder(),
      pageLength: ROWS_AT_ONCE, info: false, autoWidth: false, orderMulti: true, typeDetect: false,
      orderDescReverse: false, // equal values stay in the order of the experiment
      layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
      language: {
        emptyTable: "The experiment has no rows.",
        zeroRecords: "No row fits the filters.",
      },
    });
    instance.search.fixed("filters", (_, row) => passes(row));
    return instance;
  }

  // DataTables sorts on Enter; a button is also pressed with Space.
  function sortOnSpace(event) {
    if (event.key !== " " || !event.target.classList.contains("dt-column-order")) return;
    event.preventDefault();
    event.target.click();
  }

  function openOnClick(event) {
    if (event.target.closest("input, a, button, abbr") || String(getSelection())) return;
    const line = event.target.closest("tbody tr");
    const row = line && api.row(line).data();
    if (row) details.open(row.name);
  }

  function drawn() {
    const shown = api.rows({ search: "applied", order: "applied" }).data().toArray();
    byId("count").textContent = shown.length === state.rows.length
      ? `${dom.plural(shown.length, "row")}.`
      : `Showing ${shown.length.toLocaleString("en")} of ${dom.plural(state.rows.length, "row")}.`;
    showMore(shown.length);
    state.setShown(shown);
  }

  function showMore(count) {
    const length = api.page.len();
    const button = (text, next) => el("button", { type: "button", onclick: () => api.page.len(next).draw() }, text);
    byId("more").replaceChildren(...(length < 0 || count <= length ? [] : [
      el("span", {}, `The first ${length.toLocaleString("en")} are listed.`),
      button(`${ROWS_AT_ONCE} more`, length + ROWS_AT_ONCE), button(`All ${count.toLocaleString("en")}`, -1)]));
  }

  function showTicks() {
    const chosen = new Set(state.chosenRows().map((row) => row.name));
    for (const tick of document.querySelectorAll(".tick")) tick.checked = chosen.has(tick.dataset.row);
  }

  function printAll() {
    let length = ROWS_AT_ONCE;
    addEventListener("beforeprint", () => {
      length = api.page.len();
      api.page.len(-1).draw();
    });
    addEventListener("afterprint", () => api.page.len(length).draw());
  }

  function start() {
    const node = el("table", { id: "leaderboard" },
      el("caption", { class: "hidden" }, state.board.title), head());
    byId("table-scroll").append(node);
    api = makeApi(node);
    api.on("draw", drawn);
    printAll();
    node.addEventListener("keydown", sortOnSpace);
    node.tBodies[0].addEventListener("click", openOnClick);
    state.onChange(showTicks);
    byId("scale-note").textContent = sharedNote() + cells.scaleNote();
    drawn();
  }

  function filter(key, label) {
    if (label === undefined) delete filters[key];
    else filters[key] = label;
    api.draw();
  }

  return {
    FILTERS, start, filter,
    search: (text) => api.search(text).draw(),
    isVisible: (key) => api.column(`${key}:name`).visible(),
    setVisible,
    reset() {
      for (const key of Object.keys(filters)) delete filters[key];
      api.search("").order(firstOrder()).draw();
    },
  };
})();
