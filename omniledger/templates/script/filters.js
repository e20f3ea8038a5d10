// The filter of the page: dates, user, model and server, kept in the address so that what is shown
// can be sent to somebody.

const CLOCKS_SET = "2000-01-01";

function options(select, every, members) {
  select.append(new Option(every, ""));
  for (const [value, name] of members) select.append(new Option(name, value === "" ? "none" : value));
}

function unique(names) {
  return [...new Set(names)].sort((one, other) => one.localeCompare(other)).map((name) => [name, name]);
}

function prepare(form, cubes) {
  const { usage, costs, tools, health } = cubes;
  const users = (usage?.members.user ?? []).filter((one) => !one.count);
  users.sort((one, other) => one.name.localeCompare(other.name));
  const name = (one) => (one.detail ? `${one.name} (${one.detail})` : one.name);
  options(form.user, "All users", users.map((one) => [one.key, name(one)]));
  sayCut(form.user, users.length, usage?.members.user.find((one) => one.count)?.count);
  options(form.model, "All models", unique((usage?.members.model ?? []).map((one) => one.name)));
  const called = (costs?.members.server ?? []).filter((one) => one.key !== "");
  const servers = [tools, health].flatMap((cube) => cube?.members.server ?? []).concat(called);
  options(form.server, "All servers", unique(servers.map((one) => one.name)));
  const [first, last] = span(Object.values(cubes));
  for (const field of [form.from, form.to]) Object.assign(field, { min: first, max: last });
}

// The page carries so many users one by one, the dearest; the others can't be told apart.
function sayCut(select, chosen, others) {
  if (!others) return;
  const only = `only the ${chosen} dearest of ${count(chosen + others)} can be chosen`;
  const option = new Option(`O${only.slice(1)}`, "");
  option.disabled = true;
  select.append(option);
  select.dataset.cut = `, where ${only}`;
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

const TESTS = {
  user: (wanted) => (one) => one.key === wanted,
  model: (wanted) => (one) => one.name === wanted,
  server: (_, filter) => (one) => filter.servers.has(one.name),
};

// Requests say of a server no more than its name. Where several have that name, the page tells them
// apart: one of them is known by its name too, and the name means each of them.
function knownAs(members, wanted) {
  const called = members.find((one) => one.name === wanted)?.called ?? wanted;
  const alike = members.filter((one) => one.called === wanted).map((one) => one.name);
  return new Set([called, wanted, ...alike]);
}

// The cells of a cube that the filter leaves, by its dates and by the dimensions named here.
function leftOf(cube, filter, ...dimensions) {
  const chosen = dimensions.filter((name) => filter[name] !== null);
  const wanted = Object.fromEntries(chosen.map((name) => [name, TESTS[name](filter[name], filter)]));
  return cellsOf(cube, filter.from, filter.to, wanted);
}

function requestsOf(cube, sum) {
  if (!sum.requests) return "0 requests";
  const cost = usd(sum.cost_recomputed_usd, cube.figures.cost_recomputed_usd.scale);
  return `${plural(sum.requests, "request")}, ${cost ?? "cost not known"}`;
}

function showUsage(usage, bill, filter) {
  const cells = leftOf(usage, filter, "user", "model");
  const total = fillUsage(usage, cells);
  drawUsage(usage, cells, billedOf(bill, filter));
  return FIELDS.some((name) => name !== "server" && filter[name] !== null)
    ? `Filtered: ${requestsOf(usage, total)}.` : "";
}

// Usage has no server, so what a server's filter leaves of it is told from the cost by server.
function showCosts(costs, usage, filter) {
  const { server } = filter;
  const [called] = filter.servers;
  const alone = called === server ? `tools and health are of ${server} alone, usage is of all servers.`
    : `tools are of all servers called ${called}, health is of ${server} alone, usage is of all servers.`;
  if (!costs) return server === null ? "" : `By server: ${alone}`;
  const every = usage ? groupsOf(usage, leftOf(usage, filter, "model"), () => 0) : [];
  const requests = server === null && usage ? sumOf(usage, every).requests ?? 0 : null;
  const { rows, total } = fillServers(costs, leftOf(costs, filter, "model", "server"), requests);
  drawSpend(costs, "server", rows);
  if (server === null) return "";
  const whose = filter.user === null ? "" : " of all users";
  if (!total.requests) {
    const isMet = costs.members.server.some((one) => one.name === called);
    const renamed = isMet ? "" : " (if it was renamed, those before bear its old name)";
    return `No request called ${called}${renamed}; ${alone}`;
  }
  const share = usd(total.cost_recomputed_usd, costs.figures.cost_recomputed_usd.scale);
  const cost = share === null ? "their cost is not known" : `${share} is its share of their cost`;
  return `${plural(total.requests, "request")}${whose} called ${called}: ${cost}; ${alone}`;
}

function apply(filter, cubes, said, faults) {
  restoreAll();
  eraseDrawings();
  const isActive = FIELDS.some((name) => filter[name] !== null);
  document.body.classList.toggle("is-filtered", isActive);
  if (!isActive) return void (said.textContent = [...faults, "Everything is shown."].join(" "));
  const { usage, bill, costs, tools, health } = cubes;
  filter.servers = knownAs(health?.members.server ?? [], filter.server);
  const sentences = [usage ? showUsage(usage, bill, filter) : "", showCosts(costs, usage, filter)];
  if (tools) drawTools(fillTools(tools, leftOf(tools, filter, "server")));
  if (health) {
    const cells = leftOf(health, filter, "server");
    fillHealth(health, cells);
    drawHealth(health, cells);
  }
  hideRows(filter);
  if (filter.user !== null) drawLimits();
  markUnfiltered(filter);
  said.textContent = [...faults, ...sentences].filter(Boolean).join(" ");
}

async function start() {
  const form = document.querySelector("#filter");
  const template = document.querySelector("#cubes");
  if (!form || !template || !("DecompressionStream" in window)) return;
  const cubes = await unpack(template);
  const said = form.querySelector("output");
  prepare(form, cubes);
  if (cubes.health) offerDays(cubes.health);
  form.hidden = false;
  obey(form, (filter, faults) => apply(filter, cubes, said, faults));
}

// Show what the address asks for, and whatever is chosen from then on.
function obey(form, show) {
  let [shown, moved] = [null, null];
  const follow = () => {
    if (location.search === shown) return;
    const filter = readAddress();
    const faults = [...fillForm(form, filter), ...turnDates(filter)];
    fillForm(form, filter);
    writeAddress(filter, false);
    [shown, moved] = [location.search, null];
    show(filter, faults);
  };
  // A date that is typed or stepped through changes many times: all of them are one step for Back.
  const change = (event) => {
    const filter = readForm(form);
    const faults = turnDates(filter);
    writeAddress(filter, event === undefined || event.target !== moved);
    moved = event?.target.type === "date" ? event.target : null;
    shown = location.search;
    show(filter, faults);
  };
  const settle = () => (moved = null);
  form.addEventListener("change", change);
  form.addEventListener("focusout", settle);
  form.addEventListener("submit", (event) => { event.preventDefault(); settle(); });
  form.addEventListener("reset", () => setTimeout(change));
  window.addEventListener("popstate", follow);
  follow();
}

document.addEventListener("DOMContentLoaded", start);
