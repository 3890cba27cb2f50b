// Making elements. Text always goes in as text nodes, so that no value of the data is ever read as HTML.
const dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, String(value));
    }
    for (const child of children.flat()) if (child != null && child !== false) node.append(child);
    return node;
  }

  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);
  const byId = (id) => document.getElementById(id);

  /** A labelled <select>; options are [value, text] pairs. */
  function select(label, options, value, onChange) {
    const input = el("select", { onchange: () => onChange(input.value) });
    for (const [key, text] of options) input.append(el("option", { value: key }, text));
    input.value = value;
    return { node: el("label", { class: "field" }, el("span", {}, label), input), input };
  }

  /** Buttons of which one is pressed; options are [value, text] pairs. */
  function segments(label, options, value, onChange) {
    const buttons = options.map(([key, text]) =>
      el("button", { type: "button", "aria-pressed": String(key === value), onclick: () => press(key) }, text));
    function press(key) {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", options[i][0] === key));
      onChange(key);
    }
    const group = el("div", { class: "segments", role: "group", "aria-label": label }, buttons);
    return el("div", { class: "field" }, el("span", { "aria-hidden": "true" }, label), group);
  }

  /** A name that may break after its underscores; left alone, browsers break it anywhere or nowhere. */
  const breakable = (name) => String(name).split(/(?<=_)/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));
  /** A name that opens the row's details. */
  const opener = (name) => el("button", { type: "button", class: "link", "data-open": name }, breakable(name));
  /** A link only for an address of the web: data could name "javascript:". */
  function webLink(address) {
    let url = null;
    try {
      url = new URL(address);
    } catch {
      return el("span", {}, address);
    }
    if (!["http:", "https:"].includes(url.protocol)) return el("span", {}, address);
    return el("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, address);
  }
  const note = (text) => el("p", { class: "note" }, text);
  const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
  const plural = (n, word, words = `${word}s`) => `${n.toLocaleString("en")} ${n === 1 ? word : words}`;

  /** A table of rows that scrolls sideways by itself; head and lines are its <tr>s, label its hidden caption. */
  function wideTable(label, className, head, lines) {
    return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label },
      el("table", { class: className }, el("caption", { class: "hidden" }, label),
        el("thead", {}, head), el("tbody", {}, lines)));
  }
  /** The first line of such a table: "Row", then a column for each [title, text or nodes]. */
  const rowHead = (columns) => el("tr", {}, el("th", { scope: "col", class: "first" }, "Row"),
    columns.map(([title, text]) => el("th", { scope: "col", title }, text)));
  /** A line of it: the row's name, which opens its details, and the cells. */
  const rowLine = (row, tds) => el("tr", {}, el("th", { scope: "row", class: "first" }, opener(row.name)), tds);

  return { wideTable, rowHead, rowLine, el, svg, byId, select, segments, opener, webLink, note, shorten, plural };
})();
