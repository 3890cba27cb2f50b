// mAP50 against a cost: which rows nothing beats at their price.
const pareto = (() => {
  const { el, svg, byId } = dom;
  const LOG_FROM = 20; // a wider range than this, and the small costs would crowd at the left
  const MAP50 = state.board.judge ? "test mAP50" : "mAP50";
  let axis = null; // one of payload.axes
  let priced = new Map(); // of the axis: the row's position -> its place in the order of the front, cost and mAP50
  let redraw = () => {};

  function choose(key) {
    axis = state.payload.axes.find((other) => other.key === key);
    priced = new Map(axis.rows.map(([index, cost, map50], place) => [index, { place, cost, map50 }]));
  }

  /** Long trainings read better in minutes or hours. */
  const unitFor = (largest) => axis.units.findLast((unit) => unit.least <= largest);

  const hasBoth = (row) => priced.has(row.index);

  function pointsOf(rows, divide) {
    return rows.map((row) => ({
      row, ...priced.get(row.index), x: state.value(row, axis.key) / divide, quality: state.value(row, state.judged.map50),
      low: state.value(row, state.judged.low), high: state.value(row, state.judged.high),
      upTo: axis.up_to && state.value(row, axis.up_to) !== null ? state.value(row, axis.up_to) / divide : null,
    }));
  }

  const upToTitle = () => state.column(axis.up_to)?.title ?? "";

  /** A line from a row to the next better one is drawn only where they are separated: else it is drawn through noise. */
  const separated = (worse, better) => {
    const [first, last] = [state.value(worse.row, "rank_first"), state.value(better.row, "rank_last")];
    return first !== null && last !== null && last < first;
  };

  /** The steps of the front: of each two neighbours that are separated, the points of the line between them. */
  const stepsOf = (best) => d3.pairs(best).flatMap(([a, b], step) => (separated(a, b)
    ? [[a.x, a.quality], [b.x, a.quality], [b.x, b.quality]].map(([x, y]) => ({ x, y, step })) : []));

  /** Of the rows shown those that beat all before them, in the order that came with the axis; of equal ones, all. */
  function front(points) {
    let best = null;
    return [...points].sort((a, b) => a.place - b.place).filter((point) => {
      if (best && point.map50 <= best.map50 && !(point.map50 === best.map50 && point.cost === best.cost)) return false;
      best = point;
      return true;
    });
  }

  /** What the rows' complete runs ran on, as far as it is known. */
  const devicesOf = (rows) => [...new Set(rows.flatMap((row) =>
    row.runs.filter((run) => run.state === "complete").map((run) => run.device ?? "device not known")))].sort();

  /** The device that a cost depends on, for the axis; an empty text where it depends on none. */
  function deviceWords(rows) {
    if (!axis.of_device) return "";
    const devices = devicesOf(rows);
    return devices.length > 1 ? "several devices, which do not compare" : devices[0] ?? "";
  }

  function axisLabel(unit, log, device, width) {
    const said = [`${axis.title} (${unit.name})`, log ? "logarithmic" : "", device].filter(Boolean).join(", ");
    return dom.shorten(said, Math.floor((width - 80) / 6)); // px of a letter
  }

  /** The devices in full: the axis has no room for several, nor on a phone for a long name. */
  function devicesNote(rows, label) {
    const devices = axis.of_device ? devicesOf(rows) : [];
    if (devices.length > 1) return dom.note(`The rows ran on several devices, which do not compare: ${devices.join("; ")}.`);
    return label.endsWith("…") ? dom.note(`Measured on ${devices[0]}.`) : null;
  }

  function plotOf(points, best, log, label, width) {
    return Plot.plot({
      width, height: Math.max(300, Math.min(460, width * 0.55)),
      marginLeft: 52, marginRight: 24, marginBottom: 46, marginTop: 26,
      style: { fontSize: "12px" },
      x: { type: log ? "log" : "linear", label,
        nice: true, ticks: width < 500 ? 4 : 8, tickFormat: axis.tick, grid: true },
      y: { label: MAP50, grid: true, nice: true, zero: true },
      marks: [
        Plot.ruleY([0], { stroke: "var(--line)" }),
        Plot.ruleX(points.filter((point) => point.low !== null),
          { x: "x", y1: "low", y2: "high", stroke: "var(--range)", strokeWidth: 3, strokeLinecap: "round" }),
        Plot.ruleY(points.filter((point) => point.upTo !== null),
          { y: "quality", x1: "x", x2: "upTo", stroke: "var(--range)", strokeWidth: 3, strokeLinecap: "round" }),
        Plot.line(stepsOf(best), { x: "x", y: "y", z: "step", stroke: "var(--front)", strokeWidth: 1.5, strokeDasharray: "4 3", className: "front" }),
      ],
    });
  }

  function linesOf(point, unit, onFront) {
    const lines = [point.row.name, `${MAP50} ${state.text(point.row, state.judged.map50)}`];
    if (point.low !== null)
      lines.push(`interval ${state.text(point.row, state.judged.low)}–${state.text(point.row, state.judged.high)}`);
    lines.push(`${axis.title} ${d3.format(axis.value)(point.x)} ${unit.name}`);
    if (point.upTo !== null)
      lines.push(`${upToTitle()}: ${d3.format(axis.value)(point.upTo)}`);
    if (onFront) lines.push("on the front");
    return lines;
  }

  function drawPoints(plot, points, best, unit) {
    const x = plot.scale("x");
    const y = plot.scale("y");
    const placed = points.map((point) => ({
      x: x.apply(point.x), y: y.apply(point.quality), row: point.row.name, front: best.has(point),
      range: point.low === null ? null : [y.apply(point.low), y.apply(point.high)],
      lines: linesOf(point, unit, best.has(point)),
    }));
    const circles = placed.map((point) => svg("circle", {
      class: point.front ? "point on-front" : "point", cx: point.x, cy: point.y, r: 5, "data-row": point.row,
    }));
    plot.append(svg("g", { class: "points" }, circles));
    labelFront(plot, placed);
    figure.keys(circles, placed, figure.hover(plot, placed));
  }

  // A label goes where it hides no point and no other label, and if it can no interval; where there is no such place, hovering still names it.
  function labelFront(plot, placed) {
    const width = plot.viewBox.baseVal.width;
    const height = plot.viewBox.baseVal.height;
    const taken = placed.map((point) => ({ x: point.x - 6, y: point.y - 6, w: 12, h: 12 }));
    const ranges = placed.filter((point) => point.range)
      .map(({ x, range: [y1, y2] }) => ({ x: x - 2, y: y2, w: 4, h: y1 - y2 }));
    const group = svg("g", { class: "labels", "aria-hidden": "true" });
    plot.append(group); // first, so that its text has a width
    for (const point of placed.filter((item) => item.front)) {
      const text = svg("text", { "text-anchor": "start" }, dom.shorten(point.row, 34));
      group.append(text);
      const w = text.getComputedTextLength();
      // The line of the front leaves a point to the right and comes from below: the first places are beside it.
      const spots = [[9, -20], [-w - 9, -20], [-w - 9, -7], [9, 6], [-w - 9, 6], [9, -7], [9, -38], [-w - 9, -38]];
      const inside = spots.map(([dx, dy]) => ({ x: point.x + dx, y: point.y + dy, w, h: 14 }))
        .filter((box) => box.x > 54 && box.x + w < width - 4 && box.y > 24 && box.y + 14 < height - 46);
      const isFree = (box, others) => !others.some((other) => overlap(box, other));
      const spot = inside.find((box) => isFree(box, taken.concat(ranges))) ?? inside.find((box) => isFree(box, taken));
      if (!spot) {
        text.remove();
        continue;
      }
      taken.push(spot);
      text.setAttribute("x", spot.x);
      text.setAttribute("y", spot.y + 11);
    }
  }

  const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

  function leftOut(rows) {
    const names = rows.filter((row) => !hasBoth(row)).map((row) => row.name);
    if (!names.length) return null;
    const some = names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
    return dom.note(`Not drawn, for want of mAP50 or of this cost: ${some}.`);
  }

  /** What the front does not say. */
  function noise(best) {
    const pairs = d3.pairs(best);
    const tied = pairs.filter(([a, b]) => !separated(a, b)).length;
    if (!tied) return null;
    return dom.note(`${tied === pairs.length ? "No two neighbours on the front are" : `${tied} of ${pairs.length} pairs of neighbours on the front are not`}` +
      " separated in mAP50: which of them is better may be chance, and no line is drawn between them.");
  }

  const legend = () => el("p", { class: "legend" },
    el("span", {}, svg("svg", { width: 12, height: 12 }, svg("circle", { class: "point on-front", cx: 6, cy: 6, r: 5 })),
      "on the front: nothing cheaper is better"),
    el("span", {}, svg("svg", { width: 12, height: 12 }, svg("circle", { class: "point", cx: 6, cy: 6, r: 5 })), "other rows"),
    el("span", {}, svg("svg", { width: 12, height: 16 }, svg("path", { class: "range", d: "M6 2v12" })),
      `${state.board.method.level * 100} % interval`),
    axis.up_to ? el("span", {}, svg("svg", { width: 18, height: 12 }, svg("path", { class: "range", d: "M2 6h14" })),
      `up to the ${upToTitle().replace(/^[^,]*, | \([^)]*\)$/g, "")}`) : null);

  function draw(node) {
    const rows = state.shown();
    const usable = rows.filter(hasBoth);
    if (!usable.length) {
      node.replaceChildren(dom.note(rows.length
        ? `No row shown has both mAP50 and ${axis.title.toLowerCase()}.` : "No row to draw."));
      return;
    }
    const unit = unitFor(d3.max(usable, (row) => priced.get(row.index).cost));
    const points = pointsOf(usable, unit.divide);
    const best = front(points);
    const device = deviceWords(usable);
    const [least, most] = d3.extent(points, (point) => point.x);
    const log = least > 0 && most / least > LOG_FROM;
    const width = figure.widthOf(node);
    const label = axisLabel(unit, log, device, width);
    const plot = plotOf(points, best, log, label, width);
    plot.setAttribute("aria-label", `${MAP50} against ${axis.title.toLowerCase()}${device ? ` (${device})` : ""}; ${dom.plural(points.length, "row")}, ${best.length} on the front`);
    plot.setAttribute("role", "group");
    node.replaceChildren(...[legend(), plot, noise(best), devicesNote(usable, label), leftOut(rows)].filter(Boolean));
    drawPoints(plot, points, new Set(best), unit);
  }

  function start() {
    const { axes } = state.payload;
    choose((axes.find(({ key }) => state.rows.some((row) => state.value(row, key) !== null)) ?? axes[0]).key);
    const made = dom.select("mAP50 against", axes.map(({ key, title }) => [key, title]), axis.key, (key) => {
      choose(key);
      redraw();
    });
    made.input.id = "cost-axis";
    byId("cost-controls").append(made.node);
    redraw = figure.register(byId("cost-figure"), draw);
  }

  return { start };
})();
