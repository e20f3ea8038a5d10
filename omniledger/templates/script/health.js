// Fill the tables of health with what a filter leaves.

// Health tables keep their rows; each cell says in `data-figure` what it holds.
function fillHealth(cube, cells) {
  const servers = membersOf(cube, "server");
  const byKey = new Map(groupsOf(cube, cells, (cell) => servers[cell]).map((group) => {
    return [cube.members.server[group.key].key, group];
  }));
  const scaleOf = (name) => cube.figures[name].scale;
  const seconds = (group, name) => duration(group[name], scaleOf(name));
  const special = {
    uptime: (g) => share(g.up_seconds, BigInt(g.up_seconds) + BigInt(g.down_seconds)),
    coverage: (g) => {
      const known = BigInt(g.up_seconds) + BigInt(g.down_seconds);
      return share(known, known + BigInt(g.unknown_seconds));
    },
    incidents: (g) => count(g.incidents),
    budget_used: (g) => share(
      BigInt(g.down_seconds ?? 0) * 10n ** BigInt(scaleOf("error_budget_seconds")),
      g.error_budget_seconds,
    ),
  };
  const told = new Map();
  const medians = valuesOf(cube.figures.p50_response_ms);
  for (const cell of cells) {
    const { key } = cube.members.server[servers[cell]];
    if (medians[cell] !== null) told.set(key, dayAfter(cube.first, daysOf(cube)[cell]));
  }
  for (const row of document.querySelectorAll("tr[data-health]")) {
    const group = byKey.get(row.dataset.health);
    if (!group) leaveOut(row);
    else for (const cell of row.querySelectorAll("[data-figure]")) {
      const name = cell.dataset.figure;
      if (name === "response_date") {
        replaceChildren(cell, told.get(row.dataset.health) ?? "");
        continue;
      }
      const text = special[name]?.(group) ?? (name.endsWith("_ms")
        ? milliseconds(group[name], scaleOf(name))
        : special[name] ? null : seconds(group, name));
      const isSpent = name === "error_budget_left_seconds" && group[name] < 0;
      const mark = html("span", { class: "mark bad", "aria-hidden": "true" }, "✕");
      const said = text ?? (name.endsWith("_ms") ? "not known" : unknown("not known"));
      replaceChildren(cell, ...(isSpent ? [mark, " "] : []), said);
    }
  }
  orderHealth(byKey);
  offerHealth(cube, cells, byKey);
}

// The least healthy first, on the days that are left.
function orderHealth(byKey) {
  const worse = (one, other) =>
    descending("down_seconds")(one, other) || descending("unknown_seconds")(one, other);
  for (const body of document.querySelectorAll("tbody:has(> tr[data-health])")) {
    const groupOf = (row) => byKey.get(row.dataset.health);
    const rows = [...body.rows];
    const left = rows.filter(groupOf).sort((one, other) => worse(groupOf(one), groupOf(other)));
    replaceChildren(body, ...left, ...rows.filter((row) => !groupOf(row)));
  }
}

const DAYS_CSV = "a[download='omniledger-health-by-day.csv']";

// The table lists the newest days of each server; its CSV has all that the chart shows.
function offerDays(cube) {
  const link = document.querySelector(DAYS_CSV);
  if (link) link.href = csvOf(...dayRecords(cube, [...daysOf(cube).keys()]));
}

function dayRecords(cube, cells) {
  const figures = Object.entries(cube.figures);
  const [servers, days] = [membersOf(cube, "server"), daysOf(cube)];
  return [["server", "day", ...figures.map(([name]) => name)], cells.map((cell) => [
    csvCell(cube.members.server[servers[cell]].name), dayAfter(cube.first, days[cell]),
    ...figures.map(([, figure]) => decimal(valuesOf(figure)[cell], figure.scale)),
  ])];
}

// What is left of the servers and of their days.
function offerHealth(cube, cells, byKey) {
  const figures = Object.entries(cube.figures);
  const rows = [...document.querySelectorAll("tr[data-health][id]")].filter((row) => !row.hidden);
  const table = document.querySelector("table:has(tr[data-health][id])");
  offerCsv(table, ["server_id", "server", ...figures.map(([name]) => name)], rows.map((row) => {
    const group = byKey.get(row.dataset.health);
    const name = csvCell(row.querySelector("bdi").textContent);
    return [row.dataset.health, name, ...figures.map(([figure, { scale }]) => decimal(group[figure], scale))];
  }));
  const days = document.querySelector(DAYS_CSV);
  if (days) offerCsv(days, ...dayRecords(cube, cells));
}
