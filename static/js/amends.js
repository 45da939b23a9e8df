// Speeds a page up, never makes it work: every key below has a visible link or button, and without this file nothing is lost.
// A key belongs to the element that carries it: <summary data-key="p">, <a data-key="a">. Off: <html data-keys="off">.
"use strict";

const cases = () => [...document.querySelectorAll(".case")];
const current = () => document.querySelector(".case.at");

function isTyping(target) {
  return target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])");
}

function move(step) {
  const rows = cases();
  if (!rows.length) return false;
  const here = rows.indexOf(current());
  const next = rows[Math.min(Math.max(here + step, 0), rows.length - 1)];
  rows.forEach((row) => row.classList.toggle("at", row === next));
  next.querySelector(".cover")?.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

function select() {
  const box = current()?.querySelector("input[type=checkbox]");
  box?.click();
  return Boolean(box);
}

function open() {
  const link = current()?.querySelector(".cover");
  link?.click();
  return Boolean(link);
}

// Use what carries the key: a field is focused, an act is opened and its first field focused, all else is clicked.
function use(key) {
  const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!target) return false;
  const popover = target.closest("[popover]");
  if (popover && target.matches("input") && !target.checkVisibility()) popover.showPopover();
  if (target.matches("input, textarea, select")) {
    target.focus();
    target.select?.();
  } else if (target.matches("summary")) {
    target.parentElement.open = true;
    (target.parentElement.querySelector("textarea, input:not([type=hidden]), select") ?? target).focus();
  } else {
    target.click();
  }
  return true;
}

function closeWhatIsOpen() {
  const menu = document.querySelector("details.pop[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  return Boolean(menu);
}

const fixed = { j: () => move(1), k: () => move(-1), x: select };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    closeWhatIsOpen();
    return;
  }
  if (document.documentElement.dataset.keys === "off" || isTyping(event.target)) return;
  if (event.key === "Enter") {
    if (event.target === document.body && open()) event.preventDefault();
    return;
  }
  const key = event.key.toLowerCase();
  if (key.length === 1 && (fixed[key]?.() || use(key))) event.preventDefault();
});

document.addEventListener("click", (event) => {
  document.querySelectorAll("details.pop[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});

// A select that only narrows a list applies itself; its button stays for everyone else.
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-apply]")) event.target.form.requestSubmit();
});
