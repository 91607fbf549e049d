// A photograph and words go to this machine's model; colours and scores come back.
"use strict";

const [form, file, words, opacity, said, drop, hint, stack, photo, colours, legend] = [
  "ask", "file", "words", "opacity", "said", "drop", "hint", "stack", "photo", "colours", "legend",
].map((id) => document.getElementById(id));
let chosen = null;
let answer = null;
let asked = 0;

function say(text, isProblem = false) {
  said.textContent = text;
  said.classList.toggle("problem", isProblem);
}

function choose(picture) {
  if (!picture) return;
  chosen = picture;
  answer = null;
  URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(picture);
  colours.hidden = legend.hidden = hint.hidden = true;
  stack.hidden = false;
  ask();
}

async function ask() {
  if (chosen === null) return say("Choose a photograph first.");
  if (words.value.trim() === "") return say("Now type words, with commas between them.");
  const number = ++asked;
  say("Looking …");
  let found;
  try {
    const reply = await fetch(`segment?${new URLSearchParams({ words: words.value })}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: chosen,
    });
    found = await reply.json();
  } catch {
    found = { problem: "No answer: has the command ended?" };
  }
  if (number !== asked) return;
  if (found.problem) return say(found.problem, true);
  show(found);
}

function show(found) {
  const bytes = Uint8Array.from(atob(found.scores), (letter) => letter.charCodeAt(0));
  answer = { ...found, scores: new Float32Array(bytes.buffer) };
  colours.src = found.colours;
  colours.hidden = legend.hidden = false;
  legend.tBodies[0].replaceChildren(
    ...found.words.map(({ word, colour, share }) => {
      const row = document.createElement("tr");
      const name = document.createElement("th");
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.backgroundColor = colour;
      name.scope = "row";
      name.append(swatch, word);
      row.append(name);
      for (const text of [`${(100 * share).toFixed(1)} %`, ""]) {
        const cell = document.createElement("td");
        cell.className = "number";
        cell.textContent = text;
        row.append(cell);
      }
      return row;
    }),
  );
  say("Point at the picture for the scores of the words there.");
}

// The place of the pointer within the picture, which `object-fit` may have made narrower than its box.
function placeOf(event) {
  const box = photo.getBoundingClientRect();
  const scale = Math.min(box.width / photo.naturalWidth, box.height / photo.naturalHeight);
  const [width, height] = [scale * photo.naturalWidth, scale * photo.naturalHeight];
  const x = (event.clientX - box.left - (box.width - width) / 2) / width;
  const y = (event.clientY - box.top - (box.height - height) / 2) / height;
  return x < 0 || y < 0 || x >= 1 || y >= 1 ? null : [x, y];
}

function point(event) {
  if (answer === null) return;
  const place = placeOf(event);
  const { rows, columns } = answer;
  const here = place && Math.floor(place[1] * rows) * columns + Math.floor(place[0] * columns);
  const scores = answer.words.map((_, word) => (place ? answer.scores[word * rows * columns + here] : null));
  const best = scores.indexOf(Math.max(...scores));
  [...legend.tBodies[0].rows].forEach((row, word) => {
    row.cells[2].textContent = place ? scores[word].toFixed(3) : "";
    row.classList.toggle("best", place !== null && word === best);
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
file.addEventListener("change", () => choose(file.files[0]));
opacity.addEventListener("input", () => (colours.style.opacity = opacity.value / 100));
stack.addEventListener("pointermove", point);
drop.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
