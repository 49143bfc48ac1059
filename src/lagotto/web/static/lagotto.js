// Adds to pages that work without it: keys, copying, dropped and pasted pictures, live counts.
"use strict";

document.documentElement.classList.add("js");

const announce = (text) => {
  const place = document.getElementById("announce");
  if (place) place.textContent = text;
};

const toast = (text) => {
  document.querySelector(".toast")?.remove();
  const box = document.createElement("div");
  box.className = "toast";
  box.textContent = text;
  document.body.append(box);
  announce(text);
  setTimeout(() => box.remove(), 1800);
};

const copy = async (text, what) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`Copied ${what}`);
};

// Keys -----------------------------------------------------------------------
const hits = () => [...document.querySelectorAll(".hit")];

const move = (step) => {
  const all = hits();
  if (!all.length) return;
  const here = all.indexOf(document.activeElement?.closest(".hit"));
  const next = here < 0 ? 0 : Math.min(all.length - 1, Math.max(0, here + step));
  all[next].focus();
  all[next].scrollIntoView({ block: "nearest" });
};

const showHelp = () => document.getElementById("help")?.showModal();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (typing) {
    if (event.key === "Escape" && event.target.id === "q") event.target.blur();
    return;
  }
  const hit = document.activeElement?.closest(".hit");
  const onLink = document.activeElement?.closest("a, button, summary");
  const act = {
    "/": () => {
      const box = document.getElementById("q");
      if (box) { box.focus(); box.select(); } else location.assign("/");
    },
    j: () => move(1),
    k: () => move(-1),
    "?": showHelp,
    Enter: hit && !onLink ? () => location.assign(hit.dataset.open) : null,
    m: hit ? () => location.assign(hit.dataset.like) : null,
    c: hit ? () => copy(hit.dataset.command, "the command") : null,
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button.dataset.copy, button.textContent.replace("Copy as ", "as "));
  if (event.target.closest("[data-help]")) showHelp();
});

// Pictures: dropped anywhere, or pasted --------------------------------------
const pictureForm = () => document.querySelector("form.pictures, form[data-pictures]");

const sendPictures = (files) => {
  const form = pictureForm();
  const pictures = [...files].filter((file) => file.type.startsWith("image/")).slice(0, 16);
  if (!form || !pictures.length) return false;
  const transfer = new DataTransfer();
  pictures.forEach((file) => transfer.items.add(file));
  const input = form.querySelector("input[type=file]");
  input.files = transfer.files;
  if (form.dataset.pictures === "wait") { toast(`${pictures.length} picture(s) ready`); return true; }
  announce("Sending the picture");
  form.requestSubmit();
  return true;
};

let inside = 0;
addEventListener("dragenter", (event) => {
  if (pictureForm() && event.dataTransfer?.types.includes("Files")) {
    inside += 1;
    document.body.classList.add("dragging");
  }
});
addEventListener("dragleave", () => {
  inside = Math.max(0, inside - 1);
  if (!inside) document.body.classList.remove("dragging");
});
addEventListener("dragover", (event) => { if (pictureForm()) event.preventDefault(); });
addEventListener("drop", (event) => {
  inside = 0;
  document.body.classList.remove("dragging");
  if (event.dataTransfer?.files.length && pictureForm()) {
    event.preventDefault();
    if (!sendPictures(event.dataTransfer.files)) toast("That is no picture");
  }
});
addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length && sendPictures(event.clipboardData.files)) event.preventDefault();
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("form.pictures");
  if (form && event.target.type === "file" && event.target.files.length) form.requestSubmit();
});

// What changed is said -------------------------------------------------------
const said = () => {
  const count = document.querySelector("[data-announce]");
  if (count) announce(count.textContent.trim().replace(/\s+/g, " "));
};
document.addEventListener("htmx:afterSettle", () => { said(); watch(); });

// Status, live ---------------------------------------------------------------
let stream = null;
const watch = () => {
  const place = document.querySelector("[data-events]");
  if (!place) { stream?.close(); stream = null; return; }
  if (stream) return;
  stream = new EventSource(place.dataset.events);
  stream.addEventListener("status", async () => {
    const answer = await fetch(place.dataset.part);
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const target = document.querySelector("[data-events]");
    if (!target) return;
    target.replaceChildren(...parsed.body.childNodes);
    const line = target.querySelector("[data-line]");
    if (line && line.textContent !== watch.line) { watch.line = line.textContent; announce(line.textContent); }
  });
};
said();
watch();
