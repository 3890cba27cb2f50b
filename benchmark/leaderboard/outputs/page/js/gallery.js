// Validation images with the true boxes and those that one row, or two beside each other, predicted.
const gallery = (() => {
  const { el, svg, byId } = dom;
  const THRESHOLD = 0.3; // the scores of a well trained model: below it are mostly second guesses
  const BEST = 5; // boxes an image, where the scores of a hardly trained model tell none from another
  const NONE = "none"; // names stand after "=", so that a row called "none" is another value
  const data = state.payload.gallery ?? { images: [], predictions: {}, missing: "This page was made without images." };
  const named = Object.keys(data.predictions ?? {}).filter((name) => state.byName.has(name));
  const view = { picks: [null, null], truth: true, threshold: THRESHOLD, best: false };
  let redraw = () => {};
  /** The rows that the two selects name, in their order; a select may say none. */
  const picked = () => view.picks.filter(Boolean);

  /** The usual threshold, or with low scores the one that leaves as many boxes as there are true ones. */
  function firstThreshold(name) {
    const scores = (data.predictions[name] ?? []).flat().map((box) => box.score).sort(d3.descending);
    const objects = d3.sum(data.images, (image) => image.truth.length);
    const least = scores[Math.min(objects, scores.length) - 1] ?? THRESHOLD;
    return Math.min(THRESHOLD, Math.floor(least * 100) / 100);
  }

  const score = (box) => box.score.toFixed(box.score < 0.1 ? 3 : 2);

  // Percentages of the image, so that the boxes follow its size while lines and text keep theirs.
  function boxOf(image, box, kind, words) {
    const [left, top, right, bottom] = box.xyxy;
    const [x, y] = [(left / image.width) * 100, (top / image.height) * 100];
    const rect = (className) => svg("rect", { class: className, x: `${x}%`, y: `${y}%`,
      width: `${(Math.max(right - left, 0) / image.width) * 100}%`, height: `${(Math.max(bottom - top, 0) / image.height) * 100}%` });
    return svg("g", { class: kind }, svg("title", {}, words), rect("under"), rect("over"));
  }

  // A label near the right or the bottom edge would be cut off: it then hangs from its box's other side.
  function labelOf(image, box, kind, words) {
    const [left, top, right, bottom] = box.xyxy;
    const tag = el("span", { class: `tag ${kind}` }, dom.shorten(words, 28));
    const atRight = left > image.width * 0.6;
    if (atRight) tag.style.right = `${Math.max(0, (1 - right / image.width) * 100)}%`;
    else tag.style.left = `${Math.max(0, (left / image.width) * 100)}%`;
    const y = kind === "truth" ? bottom : top;
    tag.style.top = `${Math.max(0, Math.min((y / image.height) * 100, 100))}%`;
    tag.classList.add(kind === "truth" ? (y > image.height * 0.93 ? "above" : "below") : (y < image.height * 0.07 ? "below" : "above"));
    return tag;
  }

  function panel(image, name, predictions) {
    const enough = predictions.filter((box) => box.score >= view.threshold).sort((a, b) => b.score - a.score);
    const boxes = view.best ? enough.slice(0, BEST) : enough;
    const shapes = [];
    const tags = [];
    const add = (box, kind, words) => {
      shapes.push(boxOf(image, box, kind, words));
      tags.push(labelOf(image, box, kind, words));
    };
    if (view.truth) for (const box of image.truth) add(box, "truth", box.label);
    for (const box of boxes) add(box, "prediction", `${box.label} ${score(box)}`);
    const words = `${image.file}: ${dom.plural(image.truth.length, "true box", "true boxes")}` +
      (name ? `; ${name} predicts ${boxes.map((box) => `${box.label} ${score(box)}`).join(", ") || "nothing"} from ${view.threshold.toFixed(2)} on` : "");
    return el("div", { class: "panel" },
      el("div", { class: "photo" }, el("img", { src: image.src, alt: words, width: image.width, height: image.height, loading: "lazy", decoding: "async" }),
        svg("svg", { "aria-hidden": "true" }, shapes), tags),
      el("p", { class: "panel-name" }, name ? `${name}: ${boxes.length < enough.length ? `the best ${boxes.length} of ` : ""}${dom.plural(enough.length, "box", "boxes")}` : "no row chosen"));
  }

  // Boxes that lie on each other have labels that do: each moves to the nearest free place, or goes, and the
  // image's text still names it. All places are read before any is changed, for one layout instead of many.
  function tidy(photo) {
    const tags = [...photo.querySelectorAll(".tag")].reverse(); // predictions first
    const frame = photo.getBoundingClientRect();
    const places = tags.map((tag) => tag.getBoundingClientRect());
    const taken = [];
    return tags.map((tag, i) => {
      const { left, right, top, bottom } = places[i];
      const height = bottom - top;
      const shift = [0, height, -height, 2 * height, -2 * height].find((dy) =>
        top + dy >= frame.top - 1 && bottom + dy <= frame.bottom + 1 && !taken.some((other) =>
          left < other.right && other.left < right && top + dy < other.bottom - 1 && other.top + 1 < bottom + dy));
      if (shift !== undefined) taken.push({ left, right, top: top + shift, bottom: bottom + shift });
      return [tag, shift];
    });
  }

  function moveTags(node) {
    for (const [tag, shift] of [...node.querySelectorAll(".photo")].flatMap(tidy)) {
      if (shift === undefined) tag.remove();
      else if (shift) tag.style.marginTop = `${shift}px`;
    }
  }

  const figureOf = (image, i, names) => el("figure", { class: names.length > 1 ? "pair" : "single" },
    el("div", { class: "panels" }, (names.length ? names : [""]).map((name) =>
      panel(image, name, data.predictions[name]?.[i] ?? []))),
    el("figcaption", {}, image.file));

  function legend() {
    const sample = (kind) => svg("svg", { width: 28, height: 16, "aria-hidden": "true" },
      svg("g", { class: kind }, svg("rect", { class: "under", x: 3, y: 3, width: 22, height: 10 }), svg("rect", { class: "over", x: 3, y: 3, width: 22, height: 10 })));
    return el("p", { class: "legend" }, el("span", {}, sample("truth"), "truth, dashed"), el("span", {}, sample("prediction"), "prediction with its score"),
      picked().map((name) => data.seed?.[name] != null ? el("span", {}, `${name}: seed ${data.seed[name]}`) : null));
  }

  function draw(node) {
    if (!data.images?.length) {
      node.replaceChildren(dom.note(data.missing || "There are no images to show."));
      return;
    }
    const names = picked();
    node.replaceChildren(...[legend(), data.missing ? dom.note(data.missing) : null,
      el("div", { class: names.length > 1 ? "photos two" : "photos" }, data.images.map((image, i) => figureOf(image, i, names)))].filter(Boolean));
    moveTags(node);
  }

  function setRow(place, value) {
    view.picks[place] = value === NONE ? null : value.slice(1);
    redraw();
  }

  function slider() {
    const shown = el("output", {}, view.threshold.toFixed(2));
    const input = el("input", { type: "range", id: "gallery-threshold", min: 0, max: 1, step: 0.01, value: view.threshold, oninput: () => {
      view.threshold = Number(input.value);
      shown.textContent = view.threshold.toFixed(2);
      redraw();
    } });
    return el("label", { class: "field" }, el("span", {}, "Score from ", shown), input);
  }

  function picker(id, label, value, place) {
    const made = dom.select(label, [[NONE, "None"], ...named.map((name) => [`=${name}`, dom.shorten(name, 48)])],
      value ? `=${value}` : NONE, (chosen) => setRow(place, chosen));
    made.input.id = id;
    return made.node;
  }

  function start() {
    if (data.images?.length) {
      const best = state.shown().map((row) => row.name).find((name) => named.includes(name));
      view.picks[0] = best ?? null;
      view.threshold = firstThreshold(best);
      view.best = view.threshold < THRESHOLD;
      const truth = el("input", { type: "checkbox", id: "gallery-truth", checked: true, onchange: () => {
        view.truth = truth.checked;
        redraw();
      } });
      byId("gallery-controls").append(picker("gallery-row", "Row", best, 0), picker("gallery-other", "Beside it", null, 1),
        slider(), dom.segments("Boxes", [["best", `Best ${BEST}`], ["all", "All"]], view.best ? "best" : "all", (key) => {
          view.best = key === "best";
          redraw();
        }), el("label", { class: "check" }, truth, el("span", {}, "True boxes")));
    }
    redraw = figure.register(byId("gallery-figure"), draw);
  }

  return { start };
})();
