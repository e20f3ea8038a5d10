// Unpack the cubes of the page and group their cells. Figures are whole numbers of the smallest
// unit, as numbers where every sum is exact and as big integers elsewhere: money is never rounded.

const DAY_MS = 86400000;

async function unpack(template) {
  const packed = atob(template.content.textContent.trim());
  const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function dayAfter(first, steps) {
  return new Date(Date.parse(first) + steps * DAY_MS).toISOString().slice(0, 10);
}

// The day of each cell, as steps from the cube's first day.
function daysOf(cube) {
  if (!cube.days) {
    let at = 0;
    cube.days = cube.day.split(" ").map((step) => (at += Number(step)));
  }
  return cube.days;
}

// The member of each cell in one dimension, as its place in the list of members.
function membersOf(cube, dimension) {
  if (typeof cube.at[dimension] === "string") {
    cube.at[dimension] = cube.at[dimension].split(" ").map(Number);
  }
  return cube.at[dimension];
}

function valuesOf(figure) {
  if (figure.line !== null) {
    const read = figure.big ? BigInt : Number;
    figure.values = figure.line.split(" ").map((text) => (text === "" ? null : read(text)));
    figure.line = null;
  }
  return figure.values;
}

// The cells that the filter leaves; `wanted` has a test of a member for some dimensions.
function cellsOf(cube, from, to, wanted) {
  const days = daysOf(cube);
  const first = from ? (Date.parse(from) - Date.parse(cube.first)) / DAY_MS : -Infinity;
  const last = to ? (Date.parse(to) - Date.parse(cube.first)) / DAY_MS : Infinity;
  const tests = Object.entries(wanted).map(([dimension, test]) => {
    return [membersOf(cube, dimension), cube.members[dimension].map(test)];
  });
  const cells = [];
  for (let cell = 0; cell < days.length; cell++) {
    if (days[cell] < first || days[cell] > last) continue;
    if (tests.every(([at, passes]) => passes[at[cell]])) cells.push(cell);
  }
  return cells;
}

function joined(op, before, value) {
  if (before === null || op === "last") return value;
  if (op === "max") return value > before ? value : before;
  return before + value;
}

// The cells joined by a key, each group with all its figures; what no cell knows is null.
function groupsOf(cube, cells, keyOf) {
  const names = Object.keys(cube.figures);
  const columns = names.map((name) => valuesOf(cube.figures[name]));
  const ops = names.map((name) => cube.figures[name].op);
  const groups = new Map();
  for (const cell of cells) {
    const key = keyOf(cell);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = names.map(() => null)));
    for (let at = 0; at < names.length; at++) {
      const value = columns[at][cell];
      if (value !== null) group[at] = joined(ops[at], group[at], value);
    }
  }
  const named = ([key, group]) => ({ key, ...Object.fromEntries(names.map((n, i) => [n, group[i]])) });
  return [...groups].map(named);
}

// Several groups as one.
function sumOf(cube, groups) {
  const sum = {};
  for (const [name, { op }] of Object.entries(cube.figures)) {
    sum[name] = groups.reduce((before, group) => {
      return group[name] === null ? before : joined(op, before, group[name]);
    }, null);
  }
  return sum;
}
