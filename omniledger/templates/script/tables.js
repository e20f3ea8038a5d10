// Fill the page's tables with what a filter leaves, and put them back as they were.

const NAMED = 25;
const DAYS_LISTED = 92;

const originals = new Map();

// Remember a node's children once, and hand out a way to put other ones in their place.
function replaceChildren(node, ...children) {
  if (!originals.has(node)) originals.set(node, [...node.childNodes]);
  node.replaceChildren(...children);
}

function addTo(place, text) {
  const note = html("span", { class: "left" }, text);
  replaceChildren(place, ...place.cloneNode(true).childNodes, note);
}

function restoreAll() {
  for (const [node, children] of originals) node.replaceChildren(...children);
  originals.clear();
  for (const note of document.querySelectorAll(".unfiltered")) note.remove();
  for (const row of document.querySelectorAll("[data-left-out]")) {
    row.hidden = false;
    row.removeAttribute("data-left-out");
  }
}

function html(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function unknown(word) {
  const dash = html("span", { "aria-hidden": "true" }, "–");
  return html("span", { class: "quiet" }, dash, html("span", { class: "spoken" }, word));
}

function numberCell(text, word) {
  return html("td", { class: "num" }, text ?? unknown(word));
}

const USAGE_COLUMNS = [
  ["requests", count], ["errors", count], ["tokens_input", count], ["tokens_output", count],
  ["tokens_cached", count], ["cost_recomputed_usd", usd], ["cost_recorded_usd", usd],
  ["cost_difference_usd", (units, scale) => usd(units, scale, true)],
];

function usageRow(cube, row) {
  const detail = row.detail ? [" ", html("small", {}, html("bdi", {}, row.detail))] : [];
  const head = html("th", { scope: "row" }, html("bdi", {}, row.name), ...detail);
  const cells = USAGE_COLUMNS.map(([name, write]) => {
    const word = write === count ? "not recorded" : "not known";
    return numberCell(write(row[name], cube.figures[name].scale), word);
  });
  return html("tr", row.isRest ? { class: "rest" } : {}, head, ...cells);
}

function descending(name) {
  return (one, other) => {
    const [a, b] = [one[name], other[name]];
    if (a === null || b === null) return (a === null) - (b === null);
    return a < b ? 1 : a > b ? -1 : 0;
  };
}

function dearer(one, other) {
  return descending("cost_recomputed_usd")(one, other) || descending("requests")(one, other) ||
    (one.key < other.key ? -1 : 1);
}

// The dearest first; what is past the list, or was summed when the page was built, is one row.
function usageRows(cube, cells, by) {
  const days = daysOf(cube);
  const at = by === "day" ? days : membersOf(cube, by);
  const groups = groupsOf(cube, cells, (cell) => at[cell]).map((group) => {
    const day = dayAfter(cube.first, group.key);
    return { ...group, ...(by === "day" ? { name: day, key: day } : cube.members[by][group.key]) };
  });
  const later = (one, other) => (one.key < other.key ? 1 : -1);
  const single = groups.filter((row) => !row.count).sort(by === "day" ? later : dearer);
  const shown = single.slice(0, by === "day" ? DAYS_LISTED : NAMED);
  const rest = [...single.slice(shown.length), ...groups.filter((row) => row.count)];
  if (!rest.length) return shown;
  const members = rest.reduce((sum, row) => sum + (row.count ?? 1), 0);
  const name = plural(members, by === "day" ? "older day" : `other ${by}`);
  return [...shown, { ...sumOf(cube, rest), name, isRest: true }];
}

// The columns of the page's own CSV; what the page doesn't carry day by day is empty.
function offerUsage(cube, table, rows) {
  const { by } = table.dataset;
  const [names] = recordsOf(csvBeside(table));
  const columns = names.trim().split(",");
  offerCsv(table, columns, rows.map((row) => {
    const hasId = !row.isRest && row.key !== "";
    const words = {
      id: hasId ? (by === "user" ? row.key : row.name) : "", name: row.name, detail: row.detail ?? "",
      day: by === "day" && hasId ? row.key : "", is_rest: row.isRest ? "True" : "False",
    };
    return columns.map((name) => {
      const figure = cube.figures[name];
      return figure ? decimal(row[name], figure.scale) : csvCell(words[name] ?? "");
    });
  }));
}

function fillUsage(cube, cells) {
  for (const table of document.querySelectorAll("table[data-by]")) {
    const rows = usageRows(cube, cells, table.dataset.by);
    replaceChildren(table.tBodies[0], ...rows.map((row) => usageRow(cube, row)));
    offerUsage(cube, table, rows);
  }
  const total = sumOf(cube, groupsOf(cube, cells, () => 0));
  // Of no request everything is known: it is nothing.
  if (!cells.length) for (const name of Object.keys(total)) total[name] = 0;
  for (const place of document.querySelectorAll("[data-total]")) {
    const name = place.dataset.total;
    if (name === "cache_share") {
      const [cached, fresh] = [total.tokens_cached, total.tokens_input];
      const isKnown = cached !== null && fresh !== null;
      const part = isKnown ? share(cached, BigInt(cached) + BigInt(fresh)) : null;
      replaceChildren(place, part ?? "not known");
      continue;
    }
    const write = name.endsWith("_usd") ? usd : count;
    const text = write(total[name], cube.figures[name].scale, name === "cost_difference_usd");
    replaceChildren(place, text ?? (write === usd ? "not known" : "not recorded"));
  }
  return total;
}

const SERVER_COLUMNS = [
  ["requests", count], ["requests_shared", count], ["calls", count], ["tokens_total", count],
  ["cost_recomputed_usd", usd], ["cost_recorded_usd", usd], ["requests_cost_unknown", count],
];

// The dearest first and what called no server last, as the page has them. Of several servers together
// the requests are left blank: they would count twice.
function serverRows(cube, cells) {
  const at = membersOf(cube, "server");
  const groups = groupsOf(cube, cells, (cell) => at[cell]);
  const named = groups.map((group) => ({ ...group, ...cube.members.server[group.key] }));
  const single = named.filter((row) => row.key !== "").sort(dearer);
  const rows = single.slice(0, NAMED);
  const rest = single.slice(NAMED);
  const blank = { requests: null, requests_shared: null, requests_cost_unknown: null, isRest: true };
  if (rest.length) {
    rows.push({ ...sumOf(cube, rest), ...blank, name: plural(rest.length, "other server") });
  }
  return [...rows, ...named.filter((row) => row.key === "")];
}

// `requests` are those of all servers, each counted once; null where the filter leaves one server.
function fillServers(cube, cells, requests) {
  const rows = serverRows(cube, cells);
  const total = sumOf(cube, groupsOf(cube, cells, () => 0));
  const all = { ...total, requests, requests_shared: null, calls: null, requests_cost_unknown: null };
  const table = document.querySelector("table[data-servers]");
  const listed = requests === null ? rows : [...rows, { ...all, name: "All", isRest: true }];
  replaceChildren(table.tBodies[0], ...listed.map((row) => html(
    "tr", row.isRest || row.key === "" ? { class: "rest" } : {},
    html("th", { scope: "row" }, html("bdi", {}, row.name)),
    ...SERVER_COLUMNS.map(([name, write]) => {
      const text = write(row[name], cube.figures[name].scale);
      return row.isRest && text === null ? html("td", {}) : numberCell(text, "not known");
    }),
  )));
  const figures = Object.entries(cube.figures);
  offerCsv(table, ["server", ...figures.map(([name]) => name), "is_no_server", "is_rest"], rows.map((row) => [
    csvCell(row.name), ...figures.map(([name, { scale }]) => decimal(row[name], scale)),
    ...[row.key === "", Boolean(row.isRest)].map((is) => (is ? "True" : "False")),
  ]));
  return { rows, total };
}

function fillTools(cube, cells) {
  const table = document.querySelector("table[data-tools]");
  if (!table) return [];
  const [servers, tools] = [membersOf(cube, "server"), membersOf(cube, "tool")];
  const width = cube.members.tool.length;
  const groups = groupsOf(cube, cells, (cell) => servers[cell] * width + tools[cell]);
  const named = groups.map((group) => ({
    ...group,
    server: cube.members.server[Math.floor(group.key / width)].name,
    tool: cube.members.tool[group.key % width],
  }));
  const single = named.filter((row) => row.tool.key !== "...").sort(descending("calls"));
  const rest = named.filter((row) => row.tool.key === "...");
  const rows = single.map((row) => ({ ...row, name: row.tool.name }));
  if (rest.length) {
    const [server, ...others] = new Set(rest.map((row) => row.server));
    const whose = others.length ? "" : server;
    rows.push({ ...sumOf(cube, rest), name: "other tools", server: whose, isRest: true });
    addTo(table.caption, " Only the busiest tools of all servers are told apart: for the others see"
      + " analytics.fct_daily_tool_usage.");
  }
  const scale = (name) => cube.figures[name].scale;
  replaceChildren(table.tBodies[0], ...rows.map((row) => html(
    "tr", row.isRest ? { class: "rest" } : {},
    html("th", { scope: "row" }, html("bdi", {}, row.name)),
    html("td", {}, html("bdi", {}, row.server)),
    ...["calls", "errors", "blocked", "users"].map((name) => numberCell(count(row[name]), "not recorded")),
    ...["p50_duration_ms", "p95_duration_ms"].map((name) => {
      return numberCell(milliseconds(row[name], scale(name)) ?? "not known");
    }),
  )));
  const figures = Object.keys(cube.figures);
  offerCsv(table, ["server", "tool", ...figures], rows.map((row) => [
    csvCell(row.server), csvCell(row.name), ...figures.map((name) => decimal(row[name], scale(name))),
  ]));
  return rows;
}
