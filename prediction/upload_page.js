"use strict";
const drop = document.getElementById("drop");
const example = document.getElementById("example");
const file = document.getElementById("file");
const status = document.getElementById("status");
const result = document.getElementById("result");
const bar = document.getElementById("progress");
const downloads = document.getElementById("downloads");
const limits = JSON.parse(document.getElementById("limits").textContent);
const SILENT = "evolift does not answer: is it still running in its terminal?";
let isBusy = false;

function say(sentence, isError = false) {
  status.textContent = sentence;
  status.classList.toggle("error", isError);
}

async function watch() { // how far the prediction of a video is
  try {
    const { done, total } = await (await fetch("progress")).json();
    if (isBusy && total) {
      bar.max = total;
      bar.value = Math.min(done, total);
      bar.hidden = false;
    }
  } catch { /* what does not answer is said by the prediction itself */ }
}

function offer(files) {
  downloads.replaceChildren(...files.map(({ name, url }) => {
    const [entry, link] = [document.createElement("li"), document.createElement("a")];
    Object.assign(link, { href: url, download: name, textContent: `Download ${name}` });
    entry.append(link);
    return entry;
  }));
  downloads.hidden = files.length === 0;
}

async function predict(chosen) {
  if (isBusy) {
    return;
  }
  if (chosen.size > limits.megabytes * 1e6) {
    say(`${chosen.name} has ${(chosen.size / 1e6).toFixed(1)} MB, at most ${limits.megabytes} are taken: make it smaller`, true);
    return;
  }
  isBusy = true;
  drop.classList.add("busy");
  example.disabled = true;
  result.hidden = true;
  downloads.hidden = true;
  bar.removeAttribute("value");
  const watching = setInterval(watch, 500);
  say(`Looking for the person in ${chosen.name} ...`);
  try {
    const answer = await fetch("predict", {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream", "X-File-Name": encodeURIComponent(chosen.name) },
      body: chosen,
    });
    const told = await answer.json();
    if (told.error) {
      say(told.error, true);
    } else {
      say(told.notes.join(" "), told.notes.length > 0);
      offer(told.files);
      result.src = told.result;
      result.hidden = false;
    }
  } catch {
    say(SILENT, true);
  }
  isBusy = false;
  clearInterval(watching);
  bar.hidden = true;
  drop.classList.remove("busy");
  example.disabled = false;
  file.value = "";
}

// The result is as high as it wants to be, so that there is one scroll bar and not two.
result.addEventListener("load", () => {
  const page = result.contentDocument && result.contentDocument.documentElement;
  if (page) {
    new ResizeObserver(() => { result.style.height = `${Math.ceil(page.getBoundingClientRect().height) + 1}px`; }).observe(page);
  }
});
file.addEventListener("change", () => {
  if (file.files.length > 0) {
    predict(file.files[0]);
  }
});
example.addEventListener("click", async () => {
  try {
    predict(new File([await (await fetch("example")).blob()], "example.jpg"));
  } catch {
    say(SILENT, true);
  }
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length > 0) {
      predict(event.dataTransfer.files[0]);
    }
  });
}
