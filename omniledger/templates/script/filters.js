// The filter of the page: dates, user, model and server, kept in the address so that what is shown
// can be sent to somebody.

const FIELDS = ["from", "to", "user", "model", "server"];
const SPEND = { Recomputed: "var(--blue)", Recorded: "var(--amber)" };
const CALLS = { Succeeded: "var(--blue)", Failed: "var(--down)", Blocked: "var(--amber)" };
const STATES = { Up: "var(--up)", Down: "var(--down)", Unknown: HATCH, Disabled: "var(--quiet)" };
const ROWS_DRAWN = 12;
const SERVERS_DRAWN = 12;
const DOWN_AT_LEAST = 8;
const CLOCKS_SET = "2000-01-01";

function readAddress() {
  const query = new URLSearchParams(location.search);
  const read = Object.fromEntries(FIELDS.map((name) => [name, query.get(name)]));
  return { ...read, user: read.user === "none" ? "" : read.user };
}

function writeAddress(filter) {
  const query = new URLSearchParams();
  for (const name of FIELDS) if (filter[name] !== null) query.set(name, filter[name] || "none");
  const text = query.toString();
  try {
    history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
  } catch {
    // A page opened from a folder may not change its address in every browser.
  }
}

function options(select, every, members) {
  select.append(new Option(every, ""));
  for (const [value, name] of members) select.append(new Option(name, value === "" ? "none" : value));
}

function unique(names) {
  return [...new Set(names)].sort((one, other) => one.localeCompare(other)).map((name) => [name, name]);
}

function prepare(form, cubes) {
  const { usage, tools, health } = cubes;
  const users = (usage?.members.user ?? []).filter((one) => !one.count);
  users.sort((one, other) => one.name.localeCompare(other.name));
  const name = (one) => (one.detail ? `${one.name} (${one.detail})` : one.name);
  options(form.user, "All users", users.map((one) => [one.key, name(one)]));
  options(form.model, "All models", unique((usage?.members.model ?? []).map((one) => one.name)));
  const servers = [tools, health].flatMap((cube) => cube?.members.server ?? []);
  options(form.server, "All servers", unique(servers.map((one) => one.name)));
  const [first, last] = span(Object.values(cubes));
  for (const field of [form.from, form.to]) Object.assign(field, { min: first, max: last });
}

// A day before clocks were set can still be typed, or said in the address.
function span(cubes) {
  const all = cubes.flatMap((cube) => {
    return [...new Set(daysOf(cube))].map((day) => dayAfter(cube.first, day));
  });
  const set = all.filter((day) => day >= CLOCKS_SET);
  const ends = set.length ? set : all;
  return [ends.reduce((a, b) => (a < b ? a : b)), ends.reduce((a, b) => (a > b ? a : b))];
}

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

function calendarOf(cube, cells) {
  const days = cells.map((cell) => daysOf(cube)[cell]);
  if (!days.length) return [];
  const [first, last] = days.reduce(([a, b], day) => [Math.min(a, day), Math.max(b, day)], [Infinity, 0]);
  const start = Math.max(first, last - DAYS_LISTED + 1);
  return Array.from({ length: last - start + 1 }, (_, at) => dayAfter(cube.first, start + at));
}

function drawUsage(cube, cells) {
  const days = calendarOf(cube, cells);
  const rows = usageRows(cube, cells, "day").filter((row) => !row.isRest);
  const seriesOf = (name, write) => new Map(rows.filter((row) => row[name] !== null).map((row) => {
    const text = write(row[name], cube.figures[name].scale);
    return [row.key, { size: Number(row[name]) / 10 ** cube.figures[name].scale, hover: `${row.key}: ${text}` }];
  }));
  const empty = (width) => drawBars("Nothing is left by the filter.", width, {}, []);
  const spend = {
    Recomputed: seriesOf("cost_recomputed_usd", usd), Recorded: seriesOf("cost_recorded_usd", usd),
  };
  draw("spend-by-day", (width) => days.length
    ? drawColumns("Cost by day, filtered, in US dollars.", width, SPEND, days, spend, "", 200) : empty(width));
  draw("tokens-by-day", (width) => {
    const box = html("div", {});
    for (const kind of days.length ? ["Input", "Output", "Cached"] : []) {
      const series = { [kind]: seriesOf(`tokens_${kind.toLowerCase()}`, count) };
      const label = `${kind} tokens by day, filtered.`;
      box.append(drawColumns(label, width, { [kind]: "var(--blue)" }, days, series, `${kind} tokens`, 58));
    }
    return box;
  });
  for (const by of ["model", "user", "source"]) {
    const scale = cube.figures.cost_recomputed_usd.scale;
    const shown = usageRows(cube, cells, by).slice(0, ROWS_DRAWN).map((row) => {
      const text = usd(row.cost_recomputed_usd, scale) ?? "not known";
      const part = { series: "Recomputed", size: Number(row.cost_recomputed_usd ?? 0), hover: `${row.name}: ${text}` };
      return { name: row.name.slice(0, 24), parts: [part], text };
    });
    draw(`spend-by-${by}`, (width) =>
      drawBars(`Recomputed cost by ${by}, filtered.`, width, { Recomputed: "var(--blue)" }, shown));
  }
}

function drawTools(rows) {
  const shown = rows.filter((row) => !row.isRest).slice(0, ROWS_DRAWN).map((row) => {
    const sizes = [row.calls - row.errors - row.blocked, row.errors, row.blocked].map(Number);
    const parts = Object.keys(CALLS).map((series, at) => (
      { series, size: sizes[at], hover: `${row.name}, ${series.toLowerCase()}: ${sizes[at]}` }));
    return { name: `${row.name} · ${row.server}`.slice(0, 24), parts, text: count(row.calls) };
  });
  draw("tool-calls", (width) => drawBars("Calls by tool, filtered.", width, CALLS, shown));
}

function drawHealth(cube, cells) {
  const [servers, dayOf, days] = [membersOf(cube, "server"), daysOf(cube), calendarOf(cube, cells)];
  const strips = new Map();
  for (const cell of cells) {
    if (!strips.has(servers[cell])) {
      if (strips.size === SERVERS_DRAWN) continue;
      strips.set(servers[cell], { name: cube.members.server[servers[cell]].name, parts: new Map() });
    }
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

function apply(filter, cubes, said) {
  restoreAll();
  eraseDrawings();
  const isActive = FIELDS.some((name) => filter[name] !== null);
  document.body.classList.toggle("is-filtered", isActive);
  const missing = said.dataset.missing ?? "";
  delete said.dataset.missing;
  if (!isActive) return void (said.textContent = missing || "Everything is shown.");
  const { usage, tools, health } = cubes;
  const dates = [filter.from, filter.to];
  const isServer = filter.server === null ? {} : { server: (one) => one.name === filter.server };
  let sentence = "";
  if (usage) {
    const isUser = filter.user === null ? {} : { user: (one) => one.key === filter.user };
    const isModel = filter.model === null ? {} : { model: (one) => one.name === filter.model };
    const cells = cellsOf(usage, ...dates, { ...isUser, ...isModel });
    const total = fillUsage(usage, cells);
    drawUsage(usage, cells);
    const cost = usd(total.cost_recomputed_usd, usage.figures.cost_recomputed_usd.scale);
    sentence = `${plural(total.requests ?? 0, "request")}, ${cost ?? "cost not known"}.`;
  }
  if (tools) drawTools(fillTools(tools, cellsOf(tools, ...dates, isServer)));
  if (health) {
    const cells = cellsOf(health, ...dates, isServer);
    fillHealth(health, cells);
    drawHealth(health, cells);
  }
  hideRows(filter);
  said.textContent = `${missing}Filtered: ${sentence}`;
}

async function start() {
  const form = document.querySelector("#filter");
  const template = document.querySelector("#cubes");
  if (!form || !template || !("DecompressionStream" in window)) return;
  const cubes = await unpack(template);
  const said = form.querySelector("output");
  prepare(form, cubes);
  const filter = readAddress();
  for (const name of FIELDS) {
    form[name].value = filter[name] === "" ? "none" : filter[name] ?? "";
    if (form[name].value === "") {
      // What the address asks for isn't here (any more).
      form[name].value = "";
      if (filter[name] !== null) said.dataset.missing = `No such ${name} here: all are shown. `;
      filter[name] = null;
    }
  }
  const change = () => {
    for (const name of FIELDS) {
      const value = form[name].value;
      filter[name] = value === "" ? null : name === "user" && value === "none" ? "" : value;
    }
    writeAddress(filter);
    apply(filter, cubes, said);
  };
  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(change));
  if (cubes.health) offerDays(cubes.health);
  form.hidden = false;
  apply(filter, cubes, said);
}

document.addEventListener("DOMContentLoaded", start);
