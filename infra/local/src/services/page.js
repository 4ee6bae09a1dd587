"use strict";

// A mail's frame runs no scripts, so it cannot tell its height; measure it from here.
for (const frame of document.querySelectorAll("iframe")) {
  const fit = () => {
    const page = frame.contentDocument?.documentElement;
    if (!page) return;
    // A page is never lower than its frame, so begin low.
    frame.style.height = "0";
    frame.style.height = `${Math.min(page.scrollHeight + 4, 900)}px`;
  };
  frame.addEventListener("load", fit);
  fit();
}

for (const form of document.forms) {
  form.addEventListener("submit", () => {
    // After the press is sent: a disabled button would not send its value.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  });
}

setInterval(async () => {
  try {
    const state = await (await fetch("/page-state")).json();
    document.getElementById("clock").textContent = state.now;
    // Not while someone reads what they have unfolded.
    const reading = document.querySelector("details[open]");
    if (state.revision !== document.body.dataset.revision && !reading) location.reload();
  } catch {
    document.getElementById("clock").textContent = "the stack does not answer";
  }
}, 1500);
