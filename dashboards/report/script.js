// Every heading of a table.sortable becomes a button that sorts its rows, group by group.
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

document.querySelectorAll("table.sortable").forEach(makeSortable);
