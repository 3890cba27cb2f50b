// Light, dark, or what the system says. Colours are CSS light-dark() pairs, so that nothing is drawn again.
const theme = (() => {
  const KEY = "detboard-theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };

  // Some browsers refuse storage to a page opened from disk; the choice then lasts as long as the page.
  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function remember(name) {
    try {
      localStorage.setItem(KEY, name);
    } catch {
      return;
    }
  }

  function apply(name) {
    document.documentElement.dataset.theme = name;
    dom.byId("theme").textContent = `Theme: ${name}`;
  }

  function start() {
    const saved = remembered();
    apply(saved in NEXT ? saved : "auto");
    dom.byId("theme").addEventListener("click", () => {
      const name = NEXT[document.documentElement.dataset.theme];
      apply(name);
      remember(name);
    });
  }

  return { start };
})();
