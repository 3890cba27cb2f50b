// What the figures share: drawn when they come into view, tips for pointer and keyboard, line styles.
const figure = (() => {
  const { el, svg, byId } = dom;
  const REACH = 28; // px from the pointer within which a point answers
  const DASHES = [null, "6 3", "2 3", "8 3 2 3"];
  const COLOURS = 8;
  const figures = [];

  /** Style of the n-th series: colours first, then the same with other dashes. */
  const series = (n) => ({
    stroke: `var(--c${n % COLOURS})`,
    dash: DASHES[Math.floor(n / COLOURS) % DASHES.length],
  });

  // A figure out of view waits: with many rows, drawing all five on every key of the search would stutter.
  function register(node, draw) {
    const item = { node, draw, stale: true, near: false };
    const observer = new IntersectionObserver((entries) => {
      item.near = entries[entries.length - 1].isIntersecting;
      refresh(item);
    }, { rootMargin: "600px" });
    observer.observe(node);
    figures.push(item);
    return () => {
      item.stale = true;
      refresh(item);
    };
  }

  function refresh(item, always) {
    if (!item.stale || !(item.near || always)) return;
    item.stale = false;
    item.draw(item.node);
  }

  // After the table has been painted, and once for many changes: the figures may take their time.
  let waiting = false;
  function later() {
    for (const item of figures) item.stale = true;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => setTimeout(() => {
      waiting = false;
      figures.forEach((item) => refresh(item));
    }));
  }

  function widen(width) {
    for (const item of figures) item.stale = true;
    for (const item of figures) refresh(item);
    return width;
  }

  function start() {
    state.onChange(later);
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) width = widen(innerWidth);
    });
    tellReasons();
    addEventListener("beforeprint", () => figures.forEach((item) => refresh(item, true)));
  }

  const widthOf = (node) => Math.max(280, Math.min(node.clientWidth || 960, 1480));

  function showTip(lines, left, top) {
    const tip = byId("tip");
    tip.replaceChildren(...lines.map((line, i) => el(i ? "div" : "strong", {}, line)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(left + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${top - box.height - 12 < 8 ? top + 16 : top - box.height - 12}px`;
  }

  const hideTip = () => { byId("tip").hidden = true; };

  // A pointer sees the title of a dash; keys and fingers see it here.
  function tellReasons() {
    document.addEventListener("focusin", (event) => {
      if (!event.target.matches("abbr.dash")) return;
      const box = event.target.getBoundingClientRect();
      showTip([event.target.title], box.left, box.top);
    });
    document.addEventListener("focusout", (event) => {
      if (event.target.matches("abbr.dash")) hideTip();
    });
  }

  function nearest(points, x, y) {
    let best = null;
    let least = REACH * REACH;
    for (const point of points) {
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  }

  function tipAt(plot, point) {
    const box = plot.getBoundingClientRect();
    const scale = box.width / (plot.viewBox.baseVal.width || box.width);
    showTip(point.lines, box.left + point.x * scale, box.top + point.y * scale);
  }

  /** Tips for points {x, y, lines, row?} in the plot's own coordinates; a point with a row opens its details. */
  function hover(plot, points) {
    const marker = svg("circle", { class: "marker", r: 8, visibility: "hidden" });
    plot.append(marker);
    function at(event) {
      const box = plot.getBoundingClientRect();
      const scale = (plot.viewBox.baseVal.width || box.width) / box.width;
      return nearest(points, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
    }
    function mark(point) {
      marker.setAttribute("visibility", point ? "visible" : "hidden");
      plot.style.cursor = point?.row ? "pointer" : "";
      if (!point) return hideTip();
      marker.setAttribute("cx", point.x);
      marker.setAttribute("cy", point.y);
      return tipAt(plot, point);
    }
    plot.addEventListener("pointermove", (event) => mark(at(event)));
    plot.addEventListener("pointerleave", () => mark(null));
    plot.addEventListener("click", (event) => {
      const point = at(event);
      if (point?.row) details.open(point.row);
    });
    return mark;
  }

  // One stop of the Tab key for the whole figure; the arrow keys go from point to point.
  function keys(nodes, points, mark) {
    nodes.forEach((node, i) => {
      node.setAttribute("tabindex", i ? "-1" : "0");
      node.setAttribute("role", points[i].row ? "button" : "img");
      node.setAttribute("aria-label", points[i].lines.join(", "));
      node.addEventListener("focus", () => mark(points[i]));
      node.addEventListener("blur", () => mark(null));
      node.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (step) nodes[(i + step + nodes.length) % nodes.length].focus();
        else if (["Enter", " "].includes(event.key) && points[i].row) details.open(points[i].row);
        else return;
        event.preventDefault();
      });
    });
  }

  return { register, start, widthOf, hover, keys, series, hideTip };
})();
