"use strict";
// Three conveniences; the page is complete without them. Sort the table, show tooltips, open what is linked or printed.

const table = document.querySelector("[data-sortable]");

function sortValue(cell) {
  const raw = cell.dataset.sort;
  return raw === undefined || raw === "" ? null : Number.isNaN(Number(raw)) ? raw : Number(raw);
}

// Kinds are never ranked against each other: rows are grouped by kind first, whatever the direction.
function compareRows(column, sign) {
  return (left, right) => {
    const [a, b] = [left.children[column], right.children[column]];
    const kinds = Number(a.dataset.rank || 0) - Number(b.dataset.rank || 0);
    const [x, y] = [sortValue(a), sortValue(b)];
    if (kinds || x === null || y === null) return kinds || (x === null) - (y === null);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  };
}

function sortBy(head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of table.querySelectorAll("[data-column]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compareRows(Number(head.dataset.column), up ? 1 : -1)));
}

for (const head of table ? table.querySelectorAll("[data-column]") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "sort";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sortBy(head));
  head.append(button);
}

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);

function showTip(target) {
  tip.textContent = target.dataset.tip;
  tip.hidden = false;
  const [at, own] = [target.getBoundingClientRect(), tip.getBoundingClientRect()];
  const width = document.documentElement.clientWidth;
  const left = Math.min(Math.max(at.left + at.width / 2 - own.width / 2, 8), Math.max(width - own.width - 8, 8));
  const above = at.top > own.height + 12;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above ? at.top - own.height - 8 : at.bottom + 8) + scrollY}px`;
}

const hideTip = () => { tip.hidden = true; };
for (const item of document.querySelectorAll("[data-tip]")) {
  item.removeAttribute("title");
  item.querySelector(":scope > title")?.remove();
  for (const event of ["mouseenter", "focus", "click"]) item.addEventListener(event, () => showTip(item));
  for (const event of ["mouseleave", "blur"]) item.addEventListener(event, hideTip);
}
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

function openLinked() {
  const linked = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (linked && linked.tagName === "DETAILS") linked.open = true;
}
addEventListener("hashchange", openLinked);
openLinked();
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
