// Leave out rows that a filter doesn't want, say what it leaves alone, and offer what is shown as CSV.

function kindsOf(filter) {
  return ["dates", "user", "model", "server"].filter((kind) => (
    kind === "dates" ? filter.from !== null || filter.to !== null : filter[kind] !== null));
}

// Each part says in `data-follows` what it follows; of the rest it says that it doesn't, once.
function markUnfiltered(filter) {
  const chosen = kindsOf(filter);
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

// How many rows a filter leaves of a table, and since when it lists any where that matters: what is
// older is in no list, which is not to say that nothing was.
function leftIn(part, filter) {
  const { since, older, more } = part.dataset;
  const follows = (part.closest("[data-follows]")?.dataset.follows ?? "").split(" ");
  if (!kindsOf(filter).some((kind) => follows.includes(kind))) return "";
  if (since && filter.to !== null && filter.to < since) {
    return ` this begins on ${since}: the dates you chose are older, see ${older}.`;
  }
  const rows = [...(part.tBodies?.[0].rows ?? [])];
  const left = rows.filter((row) => !row.hidden).length;
  const others = more ? ` For ${more}.` : "";
  const listed = rows.length ? ` ${left} of ${plural(rows.length, "row")}.${others}` : "";
  const isCut = since && (filter.from === null || filter.from <= since);
  return listed + (isCut ? ` This begins on ${since}: for older ones see ${older}.` : "");
}

// Rows that are of one day, user or server: those that the filter doesn't want are left out. What
// lasts has an empty `until`.
function hideRows(filter) {
  for (const row of document.querySelectorAll("tr[data-day], tr[data-user], tr[data-server]")) {
    const { day, until, user, server } = row.dataset;
    const isOut =
      (day !== undefined && filter.to && day > filter.to) ||
      (day !== undefined && filter.from && until !== "" && (until ?? day) < filter.from) ||
      (user !== undefined && filter.user !== null && user !== filter.user) ||
      (server !== undefined && filter.server !== null && !filter.servers.has(server));
    if (isOut) leaveOut(row);
  }
  for (const part of document.querySelectorAll("[data-since], table:has(tr[data-left-out])")) {
    const said = leftIn(part, filter);
    if (said) addTo(part.caption ?? part, ` Filtered:${said}`);
  }
  for (const table of document.querySelectorAll("table:has(tr[data-left-out])")) offerRows(table);
}

function csvLink(lines) {
  return `data:text/csv;charset=utf-8,%EF%BB%BF${encodeURIComponent(lines.join(""))}`;
}

function csvOf(names, rows) {
  return csvLink([names, ...rows].map((cells) => `${cells.join(",")}\r\n`));
}

function csvBeside(table) {
  return table.closest("[data-csv], details, article, section").querySelector(".csv");
}

// The lines of the CSV that the page itself has there.
function recordsOf(place) {
  const text = decodeURIComponent(place.firstElementChild.href.split(/,(.*)/s)[1]).slice(1);
  return text.match(/(?:"[^"]*"|[^"\r\n])*\r\n/g);
}

function offer(place, href) {
  const made = place.firstElementChild.cloneNode(true);
  made.href = href;
  made.download = made.download.replace(".csv", "-filtered.csv");
  replaceChildren(place, made);
}

function offerCsv(table, names, rows) {
  const place = csvBeside(table);
  if (place) offer(place, csvOf(names, rows));
}

// Of the CSV beside a table, the lines of the rows that are left; tables of health make their own.
function offerRows(table) {
  const place = csvBeside(table);
  if (!place || originals.has(place) || table.querySelector("[data-health]")) return;
  const [names, ...lines] = recordsOf(place);
  const left = lines.filter((_, at) => !table.tBodies[0].rows[at].hidden);
  offer(place, csvLink([names, ...left]));
}
