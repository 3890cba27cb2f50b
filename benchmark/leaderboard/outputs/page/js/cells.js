// The cells of the table that are more than text: the row's name, mAP50 with its interval, the state.
const cells = (() => {
  const WIDTH = 104; // of the interval's bar, in px
  const { el, svg } = dom;
  const { low: least, top, text: scale } = state.payload.bars; // of the scale that all bars share
  const x = (fraction) => 4 + ((Math.min(fraction, top) - least) / (top - least)) * (WIDTH - 8);

  /** A badge beside the name of a row without a result: its column may be out of view. */
  function trouble(row) {
    const name = state.value(row, "state");
    return name && name !== "complete" ? el("span", { class: stateClass(name) }, name) : null;
  }

  function nameCell(row) {
    const tick = el("input", {
      type: "checkbox", class: "tick no-print", "data-row": row.name,
      "aria-label": `Show training curves of ${row.name}`,
      disabled: !state.curves.has(row.name),
      onchange: (event) => state.choose(row.name, event.target.checked),
    });
    return el("span", { class: "row-name" }, tick,
      el("span", {}, dom.opener(row.name), trouble(row)));
  }

  /** The published value, where the row's mAP50 on the split that judges is held against it. */
  function published(row) {
    const ofTheSplit = (state.value(row, "published_split") ?? "val") === (state.board.judge ?? "val");
    return state.board.comparable && ofTheSplit && !row.missing.difference ? state.value(row, "leaderboard_map50") : null;
  }

  function barWords(row) {
    const low = state.value(row, state.judged.low);
    const parts = [`mAP50 ${state.text(row, state.judged.map50)}`];
    if (low !== null) parts.push(`interval ${state.text(row, state.judged.low)} to ${state.text(row, state.judged.high)}`);
    if (published(row) !== null) parts.push(`published ${state.text(row, "leaderboard_map50")}`);
    return parts.join(", ");
  }

  function bar(row) {
    const low = state.value(row, state.judged.low);
    const high = state.value(row, state.judged.high);
    const stroke = published(row);
    const words = barWords(row);
    return svg("svg", { class: "bar", width: WIDTH, height: 16, viewBox: `0 0 ${WIDTH} 16`, role: "img", "aria-label": words },
      svg("title", {}, words),
      svg("line", { class: "bar-base", x1: 4, x2: WIDTH - 4, y1: 8, y2: 8 }),
      low === null ? null
        : svg("rect", { class: "bar-range", x: x(low), width: Math.max(x(high) - x(low), 1), y: 5, height: 6, rx: 3 }),
      stroke === null ? null
        : svg("path", { class: "bar-published", d: `M${x(stroke)} 1v14` }),
      svg("circle", { class: "bar-point", cx: x(state.value(row, state.judged.map50)), cy: 8, r: 3.5 }));
  }

  function mapCell(row) {
    if (state.value(row, state.judged.map50) === null) return dash(row, state.judged.map50);
    return el("span", { class: "map50" }, el("span", {}, state.text(row, state.judged.map50)), bar(row));
  }

  function dash(row, key) {
    const why = state.reason(row, key);
    return why ? el("abbr", { class: "dash", title: why, tabindex: "0", role: "img", "aria-label": `none: ${why}` }, state.DASH) : state.DASH;
  }

  const STATES = ["complete", "failed", "damaged", "interrupted", "lost", "pruned", "waiting", "running"];
  /** Anything that is no state this page knows gets the plain badge. */
  const stateClass = (name) => (STATES.includes(name) ? `badge is-${name}` : "badge");

  function stateCell(row, key) {
    return el("span", { class: stateClass(state.value(row, "state")), title: state.text(row, "failure") === state.DASH ? null : state.text(row, "failure") },
      state.text(row, key));
  }

  const sourceCell = (row, key) => (state.value(row, key) === null ? state.DASH : dom.webLink(state.value(row, key)));

  const SPECIAL = { row: nameCell, [state.judged.map50]: mapCell, status: stateCell, state: stateCell, published_source: sourceCell };

  /** What stands in a cell: a node, or plain text for most. */
  function cell(row, key) {
    const special = SPECIAL[key];
    if (special) return special(row, key);
    return state.value(row, key) === null ? dash(row, key) : state.text(row, key);
  }

  /** What the bars mean, for the line under the table. */
  function scaleNote() {
    if (!state.rows.some((row) => state.value(row, state.judged.map50) !== null)) return "";
    const level = `${state.board.method.level * 100} % interval`;
    const tick = state.rows.some((row) => published(row) !== null) ? " The upright stroke is the published value." : "";
    const over = state.board.dataset.folds ? "folds" : "seeds";
    const of = state.board.judge ? "test mAP50" : "mAP50";
    return `Bars beside ${of}: the point is the mean over the ${over}, the band its ${level}, on a scale from ${scale}.${tick}`;
  }

  return { cell, dash, stateClass, scaleNote };
})();
