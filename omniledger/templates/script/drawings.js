// Draw the page's charts again, of what a filter leaves.

const DEAREST = { Recomputed: "var(--blue)" };
const LIMIT = { "Within the limit": "var(--blue)", "Over the limit": "var(--down)" };
const SPEND = { Recomputed: "var(--blue)", Recorded: "var(--amber)", Billed: "var(--teal)" };
const CALLS = { Succeeded: "var(--blue)", Failed: "var(--down)", Blocked: "var(--amber)" };
const STATES = { Up: "var(--up)", Down: "var(--down)", Unknown: HATCH, Disabled: "var(--quiet)" };
const ROWS_DRAWN = 12;
const SERVERS_DRAWN = 12;
const DOWN_AT_LEAST = 8;

// A chart's own drawing is hidden while a filtered one stands beside it.
function draw(name, drawing) {
  for (const figure of document.querySelectorAll(`figure[data-picture="${name}"]`)) {
    const width = Math.max(Math.floor(figure.clientWidth), 260);
    const live = html("div", { class: "live" }, drawing(width));
    figure.classList.add("filtered");
    figure.prepend(live);
  }
}

function eraseDrawings() {
  for (const live of document.querySelectorAll("figure > .live")) live.remove();
  for (const figure of document.querySelectorAll("figure.filtered")) figure.classList.remove("filtered");
}

function datesOf(cube, cells) {
  return [...new Set(cells.map((cell) => daysOf(cube)[cell]))].map((day) => dayAfter(cube.first, day));
}

// Every day from the first to the last, or the newest of them.
function calendarOf(dates) {
  if (!dates.length) return [];
  const [first, last] = [dates.reduce((a, b) => (a < b ? a : b)), dates.reduce((a, b) => (a > b ? a : b))];
  const steps = (Date.parse(last) - Date.parse(first)) / DAY_MS;
  const start = Math.max(0, steps - DAYS_LISTED + 1);
  return Array.from({ length: steps - start + 1 }, (_, at) => dayAfter(first, start + at));
}

// The bill by day as a series; null where the filter leaves only a part of what was billed.
function billedOf(bill, filter) {
  if (!bill || filter.user !== null || filter.model !== null) return null;
  const { scale } = bill.figures.billed_usd;
  const cells = leftOf(bill, filter).filter((cell) => valuesOf(bill.figures.billed_usd)[cell] !== null);
  return new Map(datesOf(bill, cells).map((day, at) => {
    const units = valuesOf(bill.figures.billed_usd)[cells[at]];
    return [day, { size: Number(units) / 10 ** scale, hover: `${day}: ${usd(units, scale)}` }];
  }));
}

function drawUsage(cube, cells, billed) {
  const days = calendarOf([...datesOf(cube, cells), ...(billed?.keys() ?? [])]);
  const rows = usageRows(cube, cells, "day").filter((row) => !row.isRest);
  const seriesOf = (name, write) => new Map(rows.filter((row) => row[name] !== null).map((row) => {
    const text = write(row[name], cube.figures[name].scale);
    return [row.key, { size: Number(row[name]) / 10 ** cube.figures[name].scale, hover: `${row.key}: ${text}` }];
  }));
  const empty = (width) => drawBars("Nothing is left by the filter.", width, {}, []);
  const spend = {
    Recomputed: seriesOf("cost_recomputed_usd", usd), Recorded: seriesOf("cost_recorded_usd", usd),
    ...(billed?.size ? { Billed: billed } : {}),
  };
  const colors = Object.fromEntries(Object.keys(spend).map((name) => [name, SPEND[name]]));
  if (!spend.Billed) for (const words of document.querySelectorAll("[data-billed]")) leaveOut(words);
  draw("spend-by-day", (width) => days.length
    ? drawColumns("Cost by day, filtered, in US dollars.", width, colors, days, spend, "", 200) : empty(width));
  draw("tokens-by-day", (width) => {
    const box = html("div", {});
    for (const kind of days.length ? ["Input", "Output", "Cached"] : []) {
      const series = { [kind]: seriesOf(`tokens_${kind.toLowerCase()}`, count) };
      const label = `${kind} tokens by day, filtered.`;
      box.append(drawColumns(label, width, { [kind]: "var(--blue)" }, days, series, `${kind} tokens`, 58));
    }
    return box;
  });
  for (const by of ["model", "user", "source"]) drawSpend(cube, by, usageRows(cube, cells, by));
}

function drawSpend(cube, by, rows) {
  const scale = cube.figures.cost_recomputed_usd.scale;
  const shown = rows.slice(0, ROWS_DRAWN).map((row) => {
    const text = usd(row.cost_recomputed_usd, scale) ?? "not known";
    const part = { series: "Recomputed", size: Number(row.cost_recomputed_usd ?? 0), hover: `${row.name}: ${text}` };
    return { name: row.name, parts: [part], text };
  });
  draw(`spend-by-${by}`, (width) => drawBars(`Recomputed cost by ${by}, filtered.`, width, DEAREST, shown));
}

// The users whose rows are left in the table beside the chart.
function drawLimits() {
  const rows = [...document.querySelectorAll("tr[data-used]")].filter((row) => !row.hidden);
  const shown = rows.slice(0, ROWS_DRAWN).map((row) => {
    const name = row.cells[0].querySelector("bdi").textContent;
    const text = row.cells[3].textContent;
    const series = `${"over" in row.dataset ? "Over" : "Within"} the limit`;
    const part = { series, size: Number(row.dataset.used), hover: `${name}: ${text}` };
    return { name, parts: [part], text };
  });
  draw("quota", (width) => drawBars("The used part of each user's limit, filtered.", width, LIMIT, shown));
}

function drawTools(rows) {
  const shown = rows.filter((row) => !row.isRest).slice(0, ROWS_DRAWN).map((row) => {
    const sizes = [row.calls - row.errors - row.blocked, row.errors, row.blocked].map(Number);
    const parts = Object.keys(CALLS).map((series, at) => (
      { series, size: sizes[at], hover: `${row.name}, ${series.toLowerCase()}: ${sizes[at]}` }));
    return { name: `${row.name} · ${row.server}`, parts, text: count(row.calls) };
  });
  draw("tool-calls", (width) => drawBars("Calls by tool, filtered.", width, CALLS, shown));
}

function drawHealth(cube, cells) {
  const [servers, dayOf] = [membersOf(cube, "server"), daysOf(cube)];
  const days = calendarOf(datesOf(cube, cells));
  // As many as are drawn, in the order of the table.
  const listed = [...document.querySelectorAll("tr[data-health][id]")].filter((row) => !row.hidden);
  const keys = listed.slice(0, SERVERS_DRAWN).map((row) => row.dataset.health);
  const strips = new Map(keys.map((key) => {
    const at = cube.members.server.findIndex((one) => one.key === key);
    return [at, { name: cube.members.server[at].name, parts: new Map() }];
  }));
  for (const cell of cells) {
    if (!strips.has(servers[cell])) continue;
    const day = dayAfter(cube.first, dayOf[cell]);
    const times = Object.keys(STATES).map((state) => (
      [state, Number(valuesOf(cube.figures[`${state.toLowerCase()}_seconds`])[cell] ?? 0)]));
    const least = times.reduce((sum, [, seconds]) => sum + seconds, 0) / DOWN_AT_LEAST;
    strips.get(servers[cell]).parts.set(day, times.map(([state, seconds]) => {
      const drawn = state === "Down" && seconds ? Math.max(seconds, least) : seconds;
      return [state, drawn, `${day}: ${state.toLowerCase()} ${duration(seconds)}`];
    }).filter(([, drawn]) => drawn));
  }
  const label = "Time that each server was up, down, unknown or disabled, by day, filtered.";
  draw("health", (width) => days.length
    ? drawStrips(label, width, STATES, days, [...strips.values()]) : drawBars(label, width, {}, []));
}
