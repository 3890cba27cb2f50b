// The data, and what the reader has chosen: which rows the filters leave, which rows are ticked.
const state = (() => {
  const DASH = "—";
  const CHOSEN_AT_FIRST = 5;
  const GROUPS = { main: "Main", quality: "Quality", cost: "Cost", errors: "Errors (TIDE)", trace: "Provenance" };

  const payload = JSON.parse(dom.byId("payload").textContent);
  const board = payload.leaderboard;
  const rows = board.rows.map((row, index) => ({
    ...row, index, name: row.row, texts: payload.texts[index] || {}, reasons: payload.reasons[index] || {},
    per_class: row.per_class || {}, test_per_class: row.test_per_class || {}, runs: row.runs || [], stale: row.stale || [],
  }));
  const byName = new Map(rows.map((row) => [row.name, row]));
  // The name, the result and what became of the row first: a phone shows little more than them without scrolling.
  // Which split ranks the rows: its mAP50 and interval are what is drawn.
  const prefix = board.judge ? "test_" : "";
  const judged = { map50: `${prefix}map50`, low: `${prefix}map50_low`, high: `${prefix}map50_high`, interval: `${prefix}interval` };
  const FIRST = ["status", judged.map50, "rank", "row"];
  const columns = [...board.columns].sort((a, b) => FIRST.indexOf(b.key) - FIRST.indexOf(a.key));
  const column = (key) => columns.find((c) => c.key === key);

  const curves = new Map(); // row name -> its runs' curves, by seed
  for (const [id, curve] of Object.entries(payload.curves || {})) {
    if (!curves.has(curve.row)) curves.set(curve.row, []);
    curves.get(curve.row).push({ id, ...curve });
  }
  for (const runs of curves.values()) runs.sort((a, b) => a.seed - b.seed || (a.fold ?? 0) - (b.fold ?? 0));

  let shown = rows;
  let chosen = null; // null: the reader has ticked nothing yet
  const listeners = [];
  const tell = () => listeners.forEach((listener) => listener());

  const value = (row, key) => row.values[key] ?? null;
  const text = (row, key) => row.texts[key] ?? (value(row, key) === null ? DASH : String(value(row, key)));
  /** What a row is in a filter. */
  const label = (row, key) => value(row, key) ?? DASH;

  /** Why a value is a dash; an empty text where it needs no reason. */
  const reason = (row, key) => row.reasons[key] ?? "";

  const groupTitle = (group) => GROUPS[group] ?? group;
  /** [group, its columns] in the order of GROUPS, groups that this page does not know last. */
  function grouped(some) {
    const order = Object.keys(GROUPS);
    const place = (group) => (order.includes(group) ? order.indexOf(group) : order.length);
    return [...d3.group(some, (c) => c.group)].sort(([a], [b]) => place(a) - place(b));
  }

  function setShown(next) {
    shown = next;
    tell();
  }

  /** Rows whose curves are drawn: those ticked, before that the first few of the table. */
  function chosenRows() {
    if (chosen) return rows.filter((row) => chosen.has(row.name));
    return shown.filter((row) => curves.has(row.name)).slice(0, CHOSEN_AT_FIRST);
  }

  function choose(name, on) {
    chosen = chosen ?? new Set(chosenRows().map((row) => row.name));
    if (on) chosen.add(name);
    else chosen.delete(name);
    tell();
  }

  function forgetChoice() {
    chosen = null;
    tell();
  }

  return {
    DASH, payload, board, judged, rows, byName, columns, column, curves, value, text, label, reason,
    grouped, groupTitle, setShown, chosenRows, choose, forgetChoice,
    shown: () => shown,
    onChange: (listener) => listeners.push(listener),
  };
})();
