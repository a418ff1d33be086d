// Charts say their values on hover and on focus, and menus close. Without it browsers show the values as titles.
(() => {
  "use strict";
  const CHARTS = "svg, table, .forest, .bins, .stack";
  const ARROWS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const tip = document.createElement("div");

  function show(mark) {
    tip.textContent = mark.dataset.words;
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const left = box.left + (box.width - tip.offsetWidth) / 2;
    const above = box.top - tip.offsetHeight - 6;
    tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
  }

  function prepare() {
    tip.className = "tip";
    tip.hidden = true;
    document.body.append(tip);
    const entered = new Set();
    for (const mark of document.querySelectorAll(".mark")) {
      const title = mark.querySelector(":scope > title");
      mark.dataset.words = title ? title.textContent : mark.title;
      mark.setAttribute("aria-label", mark.dataset.words);
      if (title) title.remove();
      else mark.removeAttribute("title");
      const chart = mark.closest(CHARTS);
      if (chart.localName === "svg") chart.setAttribute("role", "group");
      mark.setAttribute("tabindex", entered.has(chart) ? "-1" : "0"); // one stop a chart, arrows go on from there
      entered.add(chart);
    }
  }

  function step(event) {
    if (event.key === "Escape") {
      tip.hidden = true;
      closeMenus();
    }
    const mark = event.target.closest(".mark");
    if (!mark || !(event.key in ARROWS)) return;
    const chart = mark.closest(CHARTS);
    const marks = [...chart.querySelectorAll(".mark")].filter((one) => one.closest(CHARTS) === chart);
    const next = marks[marks.indexOf(mark) + ARROWS[event.key]];
    if (!next) return;
    event.preventDefault();
    mark.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  function closeMenus(except) {
    for (const menu of document.querySelectorAll("nav details[open]")) if (menu !== except) menu.open = false;
  }

  function follow(event) {
    const mark = event.target.closest?.(".mark");
    if (mark) show(mark);
    else tip.hidden = true;
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
  addEventListener("DOMContentLoaded", prepare);
  addEventListener("scroll", () => (tip.hidden = true), { passive: true });
  document.addEventListener("pointerover", follow);
  document.addEventListener("focusin", follow);
  document.addEventListener("keydown", step);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("nav a");
    closeMenus(link ? null : event.target.closest("nav details"));
  });
})();
