// A page that is read long after it was built takes back the answers that time has made untrue.

function age() {
  for (const answer of document.querySelectorAll("[data-good-until]")) {
    if (Date.now() <= Date.parse(answer.dataset.goodUntil)) continue;
    answer.className = "warn";
    const mark = answer.querySelector(".mark");
    mark.className = "mark warn";
    mark.textContent = "!";
    answer.querySelector("small").textContent = answer.dataset.stale;
  }
}

document.addEventListener("DOMContentLoaded", age);
