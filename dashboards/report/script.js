// Tables sort, boxes say that they hide something, pictures enlarge, and a link opens what is folded where it leads.
"use strict";

function sortValue(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === "" || text === "—") return null;
  const number = Number(text.replaceAll(",", ""));
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sortRows(table, column, descending) {
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    const keyed = rows.map((row) => ({ row, value: sortValue(row, column) }));
    keyed.sort((a, b) => {
      // What has no value stands last, whatever the direction.
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
      return descending ? compare(b.value, a.value) : compare(a.value, b.value);
    });
    body.append(...keyed.map(({ row }) => row));
  }
}

// Every heading of a table.sortable becomes a button that sorts its rows, group by group.
function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const notes = [...heading.querySelectorAll("sup")];
    const button = document.createElement("button");
    button.type = "button";
    notes.forEach((note) => note.remove());
    button.append(...heading.childNodes);
    heading.append(button, ...notes);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      // Figures are wanted from the top, names from the first letter.
      const first = heading.classList.contains("number") ? "descending" : "ascending";
      const next = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", next);
      sortRows(table, column, next === "descending");
    });
  });
}

function cue(box) {
  const tell = () => box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  box.addEventListener("scroll", tell, { passive: true });
  new ResizeObserver(tell).observe(box);
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// The picture in full, and with a photograph the maps that belong to it over it, as strong as one likes.
function enlarge(event) {
  event.preventDefault();
  const link = event.currentTarget;
  const views = [...link.closest(".views").querySelectorAll("a.enlarges")];
  const below = element("img", { src: views[0].href, alt: "" });
  const above = element("img", { src: link.href, alt: link.firstElementChild.alt });
  const strength = element("input", { type: "range", min: 0, max: 100, value: 100 });
  strength.addEventListener("input", () => (above.style.opacity = strength.value / 100));
  const choice = element(
    "select",
    {},
    ...views.map((view) => element("option", { value: view.href, selected: view === link }, view.firstElementChild.alt)),
  );
  choice.addEventListener("change", () => {
    above.src = choice.value;
    above.alt = choice.selectedOptions[0].text;
  });
  const form = element(
    "form",
    { method: "dialog" },
    element("label", {}, "Shown ", choice),
    element("label", {}, "over the image, opacity ", strength),
    element("button", {}, "Close"),
  );
  const dialog = element("dialog", { className: "enlarged" }, element("div", { className: "stack" }, below, above), form);
  dialog.setAttribute("aria-label", above.alt);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function unfold() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place === null) return;
  const within = place.matches("details") ? place : place.querySelector(":scope > details");
  for (let fold = within ?? place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place.scrollIntoView();
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll(".scroll").forEach(cue);
document.querySelectorAll("a.enlarges").forEach((link) => link.addEventListener("click", enlarge));
addEventListener("hashchange", unfold);
unfold();
