// Above the table: text search, a drop-down for each label and for the state, the columns, and a reset.
const controls = (() => {
  const { el, byId } = dom;
  const ANY = "any"; // before each label stands "=", so that a label "any" is another value

  function filterOptions(key) {
    const counts = d3.rollup(state.rows, (rows) => rows.length, (row) => state.label(row, key));
    const labels = [...counts].sort(([a], [b]) => d3.ascending(a, b));
    return [[ANY, "All"], ...labels.map(([label, n]) => [`=${label}`, `${dom.shorten(String(label), 40)} (${n})`])];
  }

  function filterSelects() {
    return table.FILTERS.map(({ key, title }) => {
      const made = dom.select(title, filterOptions(key), ANY, (value) =>
        table.filter(key, value === ANY ? undefined : value.slice(1)));
      made.input.id = `filter-${key}`;
      return made;
    });
  }

  function columnBox(column) {
    const box = el("input", {
      type: "checkbox", "data-column": column.key, checked: table.isVisible(column.key),
      onchange: () => table.setVisible(column.key, box.checked),
    });
    return el("label", { class: "check", title: column.about }, box, el("span", {}, column.title));
  }

  function columnMenu() {
    const others = state.columns.filter((column) => column.key !== "row");
    const sets = state.grouped(others).map(([group, columns]) =>
      el("fieldset", {}, el("legend", {}, state.groupTitle(group)), columns.map(columnBox)));
    const menu = el("details", { class: "menu", id: "column-menu" },
      el("summary", {}, "Columns"), el("div", { class: "menu-body" }, el("div", { class: "menu-sets" }, sets)));
    closeOutside(menu);
    return menu;
  }

  function closeOutside(menu) {
    document.addEventListener("click", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  /** The filters: side by side where there is room, folded on a phone. */
  function folded(nodes) {
    const narrow = matchMedia("(max-width: 640px)");
    const menu = el("details", { class: "filters", id: "filter-menu" }, el("summary", {}, "Filters"), el("div", { class: "controls" }, nodes));
    const fit = () => { menu.open = !narrow.matches; };
    narrow.addEventListener("change", fit);
    fit();
    return menu;
  }

  function start() {
    const search = el("input", {
      type: "search", id: "search", placeholder: "Name, label, run id …",
      oninput: () => table.search(search.value),
    });
    const selects = filterSelects();
    const reset = el("button", { type: "button", id: "reset", class: "quiet", onclick: () => {
      search.value = "";
      for (const { input } of selects) input.value = ANY;
      table.reset();
      state.forgetChoice();
    } }, "Reset");
    byId("filters").append(
      el("label", { class: "field grow" }, el("span", {}, "Search"), search),
      folded(selects.map(({ node }) => node)), columnMenu(), reset);
  }

  return { start };
})();
