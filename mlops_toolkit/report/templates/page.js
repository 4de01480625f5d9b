"use strict";
(() => {
  const root = document.documentElement, get = (id) => document.getElementById(id);
  root.classList.add("js");

  get("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], first = [...body.rows];
    heads.forEach((head, column) => {
      if (head.hasAttribute("data-fixed") || !head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const now = was === "ascending" ? "descending" : was === "descending" ? null : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (now) head.setAttribute("aria-sort", now);
        const sign = now === "descending" ? -1 : 1;
        body.append(...(now ? [...first].sort((a, b) => compare(a.cells[column], b.cells[column], sign)) : first));
      });
    });
  }

  // Cells without a number stay last in either direction.
  function compare(a, b, sign) {
    const numeric = a.hasAttribute("data-v") && b.hasAttribute("data-v");
    if (!numeric) return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
    const x = a.dataset.v, y = b.dataset.v;
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (Number(x) - Number(y));
  }

  const cards = [...document.querySelectorAll(".card")], size = 50;
  if (!cards.length) return;
  let kind = "", page = 0, found = cards;

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / size));
    page = Math.min(Math.max(page, 0), pages - 1);
    const visible = new Set(found.slice(page * size, (page + 1) * size));
    for (const card of cards) card.hidden = !visible.has(card);
    const start = found.length ? page * size + 1 : 0;
    get("where").textContent = `${start}–${Math.min((page + 1) * size, found.length)} of ${found.length}`;
    get("previous").disabled = page === 0;
    get("next").disabled = page === pages - 1;
    get("none").hidden = found.length > 0;
  }

  function choose() {
    const words = get("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    found = cards.filter((card) => (!kind || card.dataset.kind === kind) && words.every((word) => card.dataset.text.includes(word)));
    page = 0;
    show();
  }

  for (const button of document.querySelectorAll(".choice button")) {
    button.addEventListener("click", () => {
      kind = button.dataset.kind;
      for (const other of document.querySelectorAll(".choice button")) other.setAttribute("aria-pressed", String(other === button));
      choose();
    });
  }
  get("search").addEventListener("input", choose);
  get("previous").addEventListener("click", () => { page -= 1; show(); });
  get("next").addEventListener("click", () => { page += 1; show(); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const step = event.key === "j" || event.key === "ArrowRight" ? 1 : event.key === "k" || event.key === "ArrowLeft" ? -1 : 0;
    const inside = event.target.closest && event.target.closest(".card");
    if (!step || (event.key.startsWith("Arrow") && !inside) || event.target.tagName === "AUDIO") return;
    const at = found.indexOf(inside || document.activeElement), next = at < 0 ? page * size : at + step;
    if (next < 0 || next >= found.length) return;
    page = Math.floor(next / size);
    show();
    found[next].focus();
    event.preventDefault();
  });
  choose();
})();
