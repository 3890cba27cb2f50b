// Average precision of each class, as a table whose cells are coloured: it reads, copies and prints as numbers.
const classes = (() => {
  const { el, byId } = dom;
  const CELLS_AT_MOST = 6000;
  let metric = "mAP50";
  let split = "per_class";
  let redraw = () => {};

  const light = d3.piecewise(d3.interpolateLab, ["#f4f8fc", "#74add6", "#08417f"]);
  const dark = d3.piecewise(d3.interpolateLab, ["#1a222c", "#2f6ea5", "#a5dcff"]);

  // Black or white, whichever contrasts more; the two meet at 4.6 : 1 where the luminance is 0.179.
  function ink(colour) {
    const { r, g, b } = d3.rgb(colour);
    const [red, green, blue] = [r, g, b].map((v) => {
      const s = v / 255;
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
  }

  function paint(cell, part) {
    const [day, night] = [light(part), dark(part)];
    cell.style.background = `light-dark(${day}, ${night})`;
    cell.style.color = `light-dark(${ink(day)}, ${ink(night)})`;
  }

  function cellOf(row, name, most) {
    const value = row[split][name]?.[metric];
    if (value == null)
      return el("td", { class: "blank", title: `${row.name}, ${name}: no value` }, state.DASH);
    const cell = el("td", { title: `${row.name}, ${name}: ${metric} ${value.toFixed(4)}` }, value.toFixed(3));
    paint(cell, most ? value / most : 0);
    return cell;
  }

  function tableOf(rows, names) {
    const most = d3.max(rows, (row) => d3.max(names, (name) => row[split][name]?.[metric] ?? 0)) || 0;
    const head = dom.rowHead(names.map((name) => [name, el("span", {}, dom.shorten(name, 22))]));
    const lines = rows.map((row) => dom.rowLine(row, names.map((name) => cellOf(row, name, most))));
    return dom.wideTable(`${metric} of each class`, names.length > 14 ? "heat many" : "heat", head, lines);
  }

  function draw(node) {
    const names = state.board.dataset.classes;
    const measured = state.shown().filter((row) => Object.keys(row[split]).length);
    if (!measured.length || !names.length) {
      node.replaceChildren(dom.note("No row shown has average precisions of classes."));
      return;
    }
    const rows = measured.slice(0, Math.max(1, Math.floor(CELLS_AT_MOST / names.length)));
    const out = state.shown().length - measured.length;
    const said = [`A blank cell: the ${split === "per_class" ? "validation" : "test"} images hold no object of the class.`];
    if (rows.length < measured.length) said.push(`The first ${rows.length} of ${measured.length} rows are drawn; filter the table to see others.`);
    if (out) said.push(`${dom.plural(out, "row")} without them left out.`);
    node.replaceChildren(tableOf(rows, names), dom.note(said.join(" ")));
  }

  function start() {
    byId("classes-controls").append(dom.segments("Show", [["mAP50", "mAP50"], ["mAP", "mAP"]], metric, (key) => {
      metric = key;
      redraw();
    }));
    if (state.rows.some((row) => Object.keys(row.test_per_class).length))
      byId("classes-controls").append(dom.segments("On", [["per_class", "validation"], ["test_per_class", "test"]], split, (key) => {
        split = key;
        redraw();
      }));
    redraw = figure.register(byId("classes-figure"), draw);
  }

  return { start };
})();
