// Everything about one row: values, runs with their provenance, and its config beside another's.
const details = (() => {
  const { el, byId } = dom;
  const dialog = byId("details");
  let current = null;

  function valueOf(row, column) {
    const why = state.reason(row, column.key);
    const exact = state.value(row, column.key);
    const title = typeof exact === "number" && column.unit ? `${exact} ${column.unit}` : null;
    const linked = column.key === "published_source" && exact !== null;
    return el("div", {}, el("dt", { title: column.about }, column.title),
      el("dd", { title }, linked ? dom.webLink(exact) : state.text(row, column.key), why ? el("small", {}, why) : null));
  }

  function values(row) {
    return state.grouped(state.columns.filter((column) => column.key !== "row")).map(([group, columns]) => el("section", {}, el("h4", {}, state.groupTitle(group)),
      el("dl", { class: "values" }, columns.map((column) => valueOf(row, column)))));
  }

  const code = (text) => (text ? el("code", {}, text) : state.DASH);
  const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

  function commit(run) {
    if (!run.commit) return [state.DASH];
    return [code(run.commit), run.dirty ? el("strong", { class: "warn" }, " with uncommitted changes") : null];
  }

  // W&B's files of the run lie in its folder: wandb sync uploads them.
  const trackedOffline = (run) => (run.tracked === "offline" ? "offline, for wandb sync" : null);

  function runOf(run) {
    return el("article", { class: "run" },
      el("h4", {}, el("span", { class: cells.stateClass(run.state) }, run.state), ` seed ${run.seed}${run.fold == null ? "" : `, fold ${run.fold}`}`,
        run.map50 == null ? null : el("span", { class: "run-map" }, `mAP50 ${state.payload.run_texts[run.run_id]}`)),
      run.validations?.words ? dom.note(`${run.validations.words}.`) : null,
      run.failure ? el("p", { class: "failure" }, el("strong", {}, `${run.failure.kind}: `), run.failure.message) : null,
      run.run_id == null ? null : el("dl", { class: "values" },
        fact("Device", run.device || state.DASH), fact("Finished", run.finished_at || state.DASH),
        fact("W&B", run.url ? dom.webLink(run.url) : trackedOffline(run) ?? "not tracked"),
        fact("Run", code(run.run_id)), fact("Folder", code(run.folder)), fact("Commit", ...commit(run)),
        fact("Config hash", code(run.config_sha256)),
        fact("Training data hash", code(run.train_sha256)), fact("Validation data hash", code(run.val_sha256))));
  }

  const names = (row) => Object.entries(row.names ?? {}).map(([kind, name]) => el("span", {}, `${kind} `, code(name)));

  // What is said of a row in sentences: of each list that has any its place, its title and they.
  const lists = (row) => [["changes", "Changed to fit", row.changes], ["notes", "Notes", row.notes]]
    .filter(([, , sentences]) => sentences?.length);

  // Buttons, not links: a link would change the address that names the row.
  const jumps = (row) => el("div", { class: "jumps" }, [["values", "Values"], ["runs", "Runs"],
    ...lists(row), ["config", "Config difference"]]
    .map(([part, text]) => el("button", { type: "button", class: "link", onclick: () => byId(`details-${part}`).scrollIntoView() }, text)));

  const stale = (row) => (row.stale.length
    ? dom.note(`Left out, made with another config: ${row.stale.join(", ")}.`) : null);

  const listed = ([part, title, sentences]) => [el("h3", { id: `details-${part}` }, title),
    el("ul", { class: `sentences ${part}` }, sentences.map((text) => el("li", {}, text)))];

  function content(row) {
    const at = state.value(row, "state");
    const runs = row.runs.length ? row.runs.map(runOf) : [dom.note("This row has no run yet.")];
    return [
      el("header", {}, el("div", {}, el("h3", { id: "details-title", tabindex: "-1" }, row.name), el("p", { class: "parts" },
        at ? el("span", { class: cells.stateClass(at) }, at) : null, names(row))),
      el("button", { type: "button", class: "quiet", id: "details-close", onclick: close }, "Close")),
      jumps(row),
      el("div", { class: "dialog-body" },
        el("h3", { id: "details-values" }, "Values"), el("div", { class: "value-groups" }, values(row)),
        el("h3", { id: "details-runs" }, dom.plural(row.runs.length, "run")), runs, stale(row),
        lists(row).flatMap(listed),
        el("h3", { id: "details-config" }, "Config difference"), configDiff.section(row.name)),
    ];
  }

  // A page opened from disk may not be allowed to change its address; the dialog works without.
  function setHash(hash) {
    try {
      history.replaceState(null, "", hash || location.pathname + location.search);
    } catch {
      return;
    }
  }

  function open(name) {
    const row = state.byName.get(name);
    if (!row) return;
    figure.hideTip();
    current = name;
    dialog.replaceChildren(...content(row));
    if (!dialog.open) dialog.showModal();
    dialog.querySelector(".dialog-body").scrollTop = 0;
    byId("details-title").focus();
    setHash(`#row=${encodeURIComponent(name)}`);
  }

  function close() {
    dialog.close();
  }

  function fromHash() {
    if (!location.hash.startsWith("#row=")) return;
    let name = null;
    try {
      name = decodeURIComponent(location.hash.slice(5));
    } catch {
      return; // a "%" that is no escape: nobody's row
    }
    if (name !== current || !dialog.open) open(name);
  }

  function start() {
    dialog.addEventListener("close", () => {
      current = null;
      setHash("");
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) close();
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-open]");
      if (button) open(button.dataset.open);
    });
    addEventListener("hashchange", fromHash);
    fromHash();
  }

  return { open, start };
})();
