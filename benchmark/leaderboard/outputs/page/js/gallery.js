// Validation images with the true boxes and those that one row, or two beside each other, predicted.
const gallery = (() => {
  const { el, svg, byId } = dom;
  const THRESHOLD = 0.3; // the scores of a well trained model: below it are mostly second guesses
  const BEST = 5; // boxes an image, where the scores of a hardly trained model tell none from another
  const NONE = "none"; // names stand after "=", so that a row called "none" is another value
  const data = state.payload.gallery ?? { images: [], predictions: {}, missing: "This page was made without images." };
  const named = Object.keys(data.predictions ?? {}).filter((name) => state.byName.has(name));
  const view = { picks: [null, null], truth: true, labels: false, threshold: THRESHOLD, best: false };
  const KINDS = [["hit", "hit: an object of its class, IoU from 0.5 on"], ["wrong", "wrong class"],
    ["false", "false: no object there, or one that is found already"], ["found", "true box, found"], ["missed", "true box, missed"]];
  let redraw = () => {};
  data.images = (data.images ?? []).map((image, index) => ({ ...image, index }));
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

  /** Intersection over union of two boxes, left, top, right and bottom in pixels. */
  function iou([l, t, r, b], [left, top, right, bottom]) {
    const both = Math.max(0, Math.min(r, right) - Math.max(l, left)) * Math.max(0, Math.min(b, bottom) - Math.max(t, top));
    const all = (r - l) * (b - t) + (right - left) * (bottom - top) - both;
    return all > 0 ? both / all : 0;
  }

  /** What became of each box, best scores first: as in COCO's evaluation at IoU 0.5, each takes the free true box of its
      class that it overlaps most. "false" where it overlaps none, "wrong" where only one of another class. */
  function judge(image, boxes) {
    const taken = new Set();
    const kinds = boxes.map((box) => {
      const near = image.truth.map((truth, i) => ({ i, truth, overlap: iou(box.xyxy, truth.xyxy) }))
        .filter(({ overlap }) => overlap >= 0.5).sort((a, b) => b.overlap - a.overlap);
      const own = near.find(({ i, truth }) => truth.label === box.label && !taken.has(i));
      if (own) taken.add(own.i);
      if (own) return "hit";
      return near.length && near.every(({ truth }) => truth.label !== box.label) ? "wrong" : "false";
    });
    return { kinds, found: image.truth.map((_, i) => taken.has(i)) };
  }

  /** AP50 within an image, the mean over the classes in it, as `detboard compare` has it; of the kept boxes alone. */
  function precision(image, name) {
    const boxes = [...(data.predictions[name]?.[image.index] ?? [])].sort((a, b) => b.score - a.score);
    const { kinds } = judge(image, boxes);
    const labels = [...new Set(image.truth.map((box) => box.label))];
    return d3.mean(labels, (label) => {
      const hits = kinds.filter((_, i) => boxes[i].label === label).map((kind) => kind === "hit");
      return averagePrecision(hits, image.truth.filter((box) => box.label === label).length);
    }) ?? 1;
  }

  /** From hits and misses, best scores first: the mean of the best precision at each recall of 0, 0.01 ... 1. */
  function averagePrecision(hits, objects) {
    const found = d3.cumsum(hits, Number);
    const points = [...found].map((n, i) => [n / objects, n / (i + 1)]);
    return d3.mean(d3.range(101), (k) => d3.max(points.filter(([recall]) => recall >= k / 100 - 1e-9), ([, value]) => value) ?? 0);
  }

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
    const ofTruth = kind.startsWith("truth");
    const y = ofTruth ? bottom : top;
    tag.style.top = `${Math.max(0, Math.min((y / image.height) * 100, 100))}%`;
    tag.classList.add(ofTruth ? (y > image.height * 0.93 ? "above" : "below") : (y < image.height * 0.07 ? "below" : "above"));
    return tag;
  }

  function panel(image, name, predictions) {
    const enough = predictions.filter((box) => box.score >= view.threshold).sort((a, b) => b.score - a.score);
    const boxes = view.best ? enough.slice(0, BEST) : enough;
    const { kinds, found } = judge(image, boxes);
    const shapes = [];
    const tags = [];
    const add = (box, kind, outcome, words) => {
      shapes.push(boxOf(image, box, `${kind} ${outcome}`, `${words}${outcome ? `: ${outcome === "wrong" ? "wrong class" : outcome}` : ""}`));
      if (view.labels) tags.push(labelOf(image, box, `${kind} ${outcome}`, words));
    };
    const outcome = (i) => (name ? (found[i] ? "found" : "missed") : "");
    if (view.truth) image.truth.forEach((box, i) => add(box, "truth", outcome(i), box.label));
    boxes.forEach((box, i) => add(box, "prediction", kinds[i], `${box.label} ${score(box)}`));
    const words = `${image.file}: ${dom.plural(image.truth.length, "true box", "true boxes")}` +
      (name ? `; ${name} predicts ${boxes.map((box) => `${box.label} ${score(box)}`).join(", ") || "nothing"} from ${view.threshold.toFixed(2)} on` : "");
    const counted = KINDS.slice(0, 3).map(([kind]) => [kind, kinds.filter((other) => other === kind).length]).filter(([, n]) => n)
      .map(([kind, n]) => `${n} ${kind === "wrong" ? "of a wrong class" : kind === "hit" && n > 1 ? "hits" : kind}`);
    const missed = found.filter((one) => !one).length;
    const told = [...counted, missed ? `${missed} missed` : ""].filter(Boolean).join(", ");
    return el("div", { class: "panel" },
      el("div", { class: "photo" }, el("img", { src: image.src, alt: words, width: image.width, height: image.height, loading: "lazy", decoding: "async" }),
        svg("svg", { "aria-hidden": "true" }, shapes), tags),
      el("p", { class: "panel-name" }, name ? `${name}: ${boxes.length < enough.length ? `the best ${boxes.length} of ` : ""}${dom.plural(enough.length, "box", "boxes")}${told ? `; ${told}` : ""}` : "no row chosen"));
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

  const panels = (image, names) => el("div", { class: "panels" }, (names.length ? names : [""]).map((name) =>
    panel(image, name, data.predictions[name]?.[image.index] ?? [])));

  const figureOf = (image, names) => el("figure", { class: names.length > 1 ? "pair" : "single" },
    el("div", { class: "enlarges", onclick: () => enlarge(image) }, panels(image, names)),
    el("figcaption", {}, el("button", { type: "button", class: "link", title: "Enlarge", onclick: () => enlarge(image) }, image.file)));

  /** The image over the whole window, with its labels. */
  function enlarge(image) {
    const dialog = byId("enlarged");
    const names = picked();
    const shown = view.labels;
    view.labels = true;
    dialog.replaceChildren(el("header", {}, el("h3", {}, image.file),
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close")),
    el("div", { class: names.length > 1 ? "dialog-body pair" : "dialog-body single" }, panels(image, names)));
    view.labels = shown;
    // No larger than the window lets it be seen as a whole.
    dialog.style.setProperty("--shape", image.width / image.height);
    dialog.showModal();
    moveTags(dialog);
  }

  /** Those that the first row chosen does worst on come first. */
  const worstFirst = () => (view.picks[0]
    ? d3.sort(data.images, (image) => precision(image, view.picks[0])) : data.images);

  function legend() {
    const sample = (kind) => svg("svg", { width: 28, height: 16, "aria-hidden": "true" },
      svg("g", { class: kind }, svg("rect", { class: "under", x: 3, y: 3, width: 22, height: 10 }), svg("rect", { class: "over", x: 3, y: 3, width: 22, height: 10 })));
    const ofTruth = (kind) => ["found", "missed"].includes(kind);
    const kinds = picked().length ? KINDS : [["", "true box"]];
    return el("p", { class: "legend" }, kinds.map(([kind, words]) =>
      el("span", {}, sample(`${ofTruth(kind) || !kind ? "truth" : "prediction"} ${kind}`), words)),
    picked().map((name) => data.seed?.[name] != null ? el("span", {}, `${name}: seed ${data.seed[name]}${data.fold == null ? "" : `, fold ${data.fold}`}`) : null));
  }

  function draw(node) {
    if (!data.images.length) {
      node.replaceChildren(dom.note(data.missing || "There are no images to show."));
      return;
    }
    const names = picked();
    node.replaceChildren(...[legend(), data.missing ? dom.note(data.missing) : null,
      el("div", { class: names.length > 1 ? "photos two" : "photos" }, worstFirst().map((image) => figureOf(image, names)))].filter(Boolean));
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
    if (data.images.length) {
      const best = state.shown().map((row) => row.name).find((name) => named.includes(name));
      view.picks[0] = best ?? null;
      view.threshold = firstThreshold(best);
      view.best = view.threshold < THRESHOLD;
      const truth = el("input", { type: "checkbox", id: "gallery-truth", checked: true, onchange: () => {
        view.truth = truth.checked;
        redraw();
      } });
      const labels = el("input", { type: "checkbox", id: "gallery-labels", onchange: () => {
        view.labels = labels.checked;
        redraw();
      } });
      byId("gallery-controls").append(picker("gallery-row", "Row", best, 0), picker("gallery-other", "Beside it", null, 1),
        slider(), dom.segments("Boxes", [["best", `Best ${BEST}`], ["all", "All"]], view.best ? "best" : "all", (key) => {
          view.best = key === "best";
          redraw();
        }), el("label", { class: "check" }, truth, el("span", {}, "True boxes")),
        el("label", { class: "check" }, labels, el("span", {}, "Labels")));
    }
    redraw = figure.register(byId("gallery-figure"), draw);
  }

  return { start };
})();
