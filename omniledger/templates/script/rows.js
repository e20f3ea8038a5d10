// Leave out rows that a filter doesn't want, say what it leaves alone, and offer what is shown as CSV.

// Each part says in `data-follows` what it follows; of the rest it says that it doesn't, once.
function markUnfiltered(filter) {
  const chosen = ["dates", "user", "model", "server"].filter((kind) => (
    kind === "dates" ? filter.from !== null || filter.to !== null : filter[kind] !== null));
  const missedBy = (part) => chosen.filter((kind) => !part.dataset.follows.split(" ").includes(kind));
  for (const part of document.querySelectorAll("[data-follows]")) {
    const around = part.parentElement.closest("[data-follows]");
    const missed = missedBy(part).filter((kind) => !around || !missedBy(around).includes(kind));
    if (!missed.length) continue;
    const note = html("p", { class: "left unfiltered" }, `Not filtered by ${either(missed)}.`);
    const heading = part.querySelector(":scope > :is(h2, h3)");
    if (heading) heading.after(note);
    else part.before(note);
  }
}

function leaveOut(row) {
  row.hidden = true;
  row.setAttribute("data-left-out", "");
}

// Rows that are of one day, user or server: those that the filter doesn't want are left out.
function hideRows(filter) {
  for (const row of document.querySelectorAll("tr[data-day], tr[data-user], tr[data-server]")) {
    const { day, until, user, server } = row.dataset;
    const isOut =
      (day !== undefined && filter.to && day > filter.to) ||
      (day !== undefined && filter.from && (until ?? day) < filter.from) ||
      (user !== undefined && filter.user !== null && user !== filter.user) ||
      (server !== undefined && filter.server !== null && server !== filter.server);
    if (isOut) leaveOut(row);
  }
  for (const table of document.querySelectorAll("table:has(tr[data-left-out])")) {
    const rows = [...table.tBodies[0].rows];
    const left = rows.filter((row) => !row.hidden).length;
    const note = html("span", { class: "left" }, ` Filtered: ${left} of ${plural(rows.length, "row")}.`);
    replaceChildren(table.caption, ...table.caption.cloneNode(true).childNodes, note);
  }
}

function csvOf(names, rows) {
  const text = [names, ...rows].map((cells) => `${cells.join(",")}\r\n`).join("");
  return `data:text/csv;charset=utf-8,%EF%BB%BF${encodeURIComponent(text)}`;
}

function offerCsv(table, names, rows) {
  const link = table.closest("[data-csv], article, section").querySelector(".csv");
  if (!link) return;
  const made = link.firstElementChild.cloneNode(true);
  made.href = csvOf(names, rows);
  made.download = made.download.replace(".csv", "-filtered.csv");
  replaceChildren(link, made);
}
