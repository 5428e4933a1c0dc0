"use strict";
const drop = document.getElementById("drop");
const file = document.getElementById("file");
const status = document.getElementById("status");
const result = document.getElementById("result");
const limits = JSON.parse(document.getElementById("limits").textContent);
let isBusy = false;

function say(sentence, isError = false) {
  status.textContent = sentence;
  status.classList.toggle("error", isError);
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
  result.hidden = true;
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
      result.src = told.result;
      result.hidden = false;
    }
  } catch {
    say("evolift does not answer: is it still running in its terminal?", true);
  }
  isBusy = false;
  drop.classList.remove("busy");
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
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length > 0) {
      predict(event.dataTransfer.files[0]);
    }
  });
}
