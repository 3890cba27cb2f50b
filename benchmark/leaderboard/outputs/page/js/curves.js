// Validation scores and training loss over epochs, one line a run, the seeds of a row in one style.
const curves = (() => {
  const { el, svg, byId } = dom;
  const METRICS = [...state.payload.scores, ["loss", "Loss"]];
  const ROWS_AT_MOST = 32; // as many as have a style of their own
  let metric = "mAP50";
  let redraw = () => {};

  function pointsOf(run) {
    const part = metric === "loss" ? run.train : run.val;
    const values = part?.[metric] ?? [];
    return (part?.epoch ?? []).map((epoch, i) => ({ epoch, value: values[i] }))
      .filter((point) => point.epoch != null && point.value != null);
  }

  function lines(rows) {
    return rows.flatMap((row, n) => (state.curves.get(row.name) ?? []).map((run) =>
      ({ row, run, style: figure.series(n), points: pointsOf(run) })))
      .filter((line) => line.points.length);
  }

  function marksOf(line) {
    const style = { x: "epoch", y: "value", stroke: line.style.stroke, strokeWidth: 1.8, strokeDasharray: line.style.dash ?? undefined };
    const few = line.points.length <= 30 && metric !== "loss";
    return [Plot.line(line.points, style),
      ...(few || line.points.length === 1 ? [Plot.dot(line.points, { x: "epoch", y: "value", fill: line.style.stroke, r: 2.5 })] : [])];
  }

  /** Whole epochs, unless less than two of them were trained. */
  function epochTicks(drawn, count) {
    const [first, last] = d3.extent(drawn.flatMap((line) => line.points), (point) => point.epoch);
    const ticks = d3.ticks(first, last, count);
    return last < 2 ? ticks : ticks.filter(Number.isInteger);
  }

  function plotOf(drawn, width) {
    return Plot.plot({
      width, height: Math.max(280, Math.min(420, width * 0.5)),
      marginLeft: 52, marginRight: 24, marginBottom: 42, marginTop: 26, style: { fontSize: "12px" },
      x: { label: "Epoch", nice: true, ticks: epochTicks(drawn, width < 500 ? 5 : 10), tickFormat: "~f" },
      y: { label: metric === "loss" ? "Training loss" : `Validation ${metric}`, grid: true, nice: true, zero: metric !== "loss" },
      marks: drawn.flatMap(marksOf),
    });
  }

  function describe(plot, drawn) {
    const x = plot.scale("x");
    const y = plot.scale("y");
    const all = [];
    const ends = [];
    for (const line of drawn) {
      for (const point of line.points) all.push({
        x: x.apply(point.epoch), y: y.apply(point.value),
        lines: [line.row.name, `seed ${line.run.seed}${line.run.fold == null ? "" : `, fold ${line.run.fold}`}`, `epoch ${d3.format(".4~r")(point.epoch)}: ${metric} ${d3.format(".4f")(point.value)}`],
      });
      ends.push(all[all.length - 1]);
    }
    const circles = ends.map((end) => svg("circle", { class: "line-end", cx: end.x, cy: end.y, r: 5 }));
    plot.append(svg("g", {}, circles));
    figure.keys(circles, ends, figure.hover(plot, all));
  }

  function legend(rows) {
    return el("ul", { class: "legend chips" }, rows.map((row, n) => {
      const style = figure.series(n);
      return el("li", {},
        svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, svg("line", {
          x1: 1, x2: 25, y1: 5, y2: 5, style: `stroke:${style.stroke}`, "stroke-width": 2.5, "stroke-dasharray": style.dash })),
        row.name,
        el("button", { type: "button", class: "remove no-print", "aria-label": `Remove ${row.name} from the curves`,
          onclick: () => state.choose(row.name, false) }, "×"));
    }));
  }

  function adder() {
    const drawn = new Set(state.chosenRows().map((row) => row.name));
    const others = state.rows.filter((row) => state.curves.has(row.name) && !drawn.has(row.name));
    const made = dom.select("Add a row", [["", others.length ? "Choose …" : "None left"],
      ...others.map((row) => [`=${row.name}`, dom.shorten(row.name, 48)])], "", (value) => {
      if (value) state.choose(value.slice(1), true);
    });
    made.input.id = "curves-add";
    byId("curves-add-slot").replaceChildren(made.node);
  }

  function notes(rows) {
    const without = rows.filter((row) => !(state.curves.get(row.name) ?? []).some((run) => pointsOf(run).length));
    const said = [];
    if (without.length) said.push(`Without ${metric} points: ${without.slice(0, 5).map((row) => row.name).join(", ")}${without.length > 5 ? " …" : ""}.`);
    const out = state.payload.curves_left_out;
    if (out) said.push(`Curves of ${dom.plural(out, "more run")} are not in this page, to keep it small.`);
    return said.length ? dom.note(said.join(" ")) : null;
  }

  function draw(node) {
    adder();
    const chosen = state.chosenRows();
    const rows = chosen.slice(0, ROWS_AT_MOST);
    const drawn = lines(rows);
    if (!drawn.length) {
      const empty = state.curves.size ? `No row chosen has ${metric} points. Tick rows in the table, or add one here.`
        : "No run has written a training curve yet.";
      node.replaceChildren(...[legend(rows), dom.note(empty), notes(rows)].filter(Boolean));
      return;
    }
    const plot = plotOf(drawn, figure.widthOf(node));
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", `${metric} over epochs; ${dom.plural(drawn.length, "run")} of ${dom.plural(rows.length, "row")}`);
    const more = chosen.length > rows.length ? dom.note(`The first ${ROWS_AT_MOST} of ${chosen.length} chosen rows are drawn.`) : null;
    node.replaceChildren(...[legend(rows), plot, more, notes(rows)].filter(Boolean));
    describe(plot, drawn);
  }

  function start() {
    byId("curves-controls").append(
      dom.segments("Show", METRICS, metric, (key) => {
        metric = key;
        redraw();
      }),
      el("div", { id: "curves-add-slot" }),
      el("button", { type: "button", class: "quiet", onclick: state.forgetChoice }, "First five"));
    redraw = figure.register(byId("curves-figure"), draw);
  }

  return { start };
})();
