// Draw what a filter leaves, in the manner of the page's own charts: bars, columns and strips.
// Lengths may be rounded; the figures beside them never are.

const SVG = "http://www.w3.org/2000/svg";
const HATCH = "url(#live-hatch)";
const LETTER = 7.5;
const LONGEST_NAME = 20;

function element(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function canvas(label, width, height) {
  const stripe = element("rect", { width: 2.5, height: 6, fill: "var(--unknown)" });
  const ground = element("rect", { width: 6, height: 6, fill: "var(--unknown-ground)" });
  const hatch = { id: "live-hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" };
  const pattern = element("pattern", { ...hatch, patternTransform: "rotate(45)" }, ground, stripe);
  const box = { viewBox: `0 0 ${width} ${height}`, width, height, role: "img" };
  return element("svg", { ...box, "aria-label": label }, element("defs", {}, pattern));
}

function bar(x, y, width, height, fill, hover) {
  const box = { x, y, width: Math.max(width, 0), height: Math.max(height, 0), fill };
  return element("rect", box, element("title", {}, hover));
}

function words(x, y, text, { anchor = "start", fill = "var(--ink-soft)" } = {}) {
  return element("text", { x, y, fill, "font-size": 12, "text-anchor": anchor }, text);
}

// Names short enough for a chart, and each different, as on the page's own.
function shortNames(names) {
  const shown = [];
  for (const name of names) {
    const letters = [...name];
    const cut = `${letters.slice(0, LONGEST_NAME - 1).join("")}…`;
    const short = letters.length <= LONGEST_NAME ? name : cut;
    const again = shown.filter((one) => one === short || one.startsWith(`${short} (`)).length;
    shown.push(again ? `${short} (${again + 1})` : short);
  }
  return shown;
}

// The names of the colours, above a drawing; returns the height that they take.
function legend(svg, colors) {
  let x = 0;
  for (const [name, fill] of Object.entries(colors)) {
    svg.append(element("rect", { x, y: 2, width: 10, height: 10, fill }), words(x + 15, 12, name));
    x += 15 + name.length * LETTER + 20;
  }
  return 26;
}

// One labelled bar a row, of parts that add up. Rows: {name, parts: [{series, size, hover}], text}.
function drawBars(label, width, colors, rows) {
  const top = Object.keys(colors).length > 1 ? 26 : 4;
  const svg = canvas(label, width, top + 28 * rows.length);
  if (top > 4) legend(svg, colors);
  const longest = (texts) => Math.max(0, ...texts.map((text) => text.length));
  const names = shortNames(rows.map((row) => row.name));
  const room = Math.min(longest(names) * LETTER + 10, width / 2);
  const side = longest(rows.map((row) => row.text)) * LETTER + 10;
  const sizes = rows.map((row) => row.parts.reduce((sum, part) => sum + Math.max(part.size, 0), 0));
  const unit = Math.max(width - room - side, 20) / (Math.max(...sizes) || 1);
  rows.forEach((row, at) => {
    const y = top + 28 * at;
    let x = room;
    for (const part of row.parts) {
      svg.append(bar(x, y + 3, part.size * unit, 20, colors[part.series], part.hover));
      x += Math.max(part.size, 0) * unit;
    }
    svg.append(words(room - 8, y + 17, names[at], { anchor: "end", fill: "var(--ink)" }));
    svg.append(words(x + 6, y + 17, row.text, { fill: "var(--ink)" }));
  });
  return svg;
}

// A column a day for the first series, and a line across it for each other.
// Series: {name: Map of day to {size, hover}}.
function drawColumns(label, width, colors, days, series, title, height) {
  const names = Object.keys(series);
  const svg = canvas(label, width, height + 70);
  const top = names.length > 1 ? legend(svg, colors) : 30;
  if (title) svg.append(words(0, 12, title));
  const every = names.flatMap((name) => [...series[name].values()].map((one) => one.size));
  const least = Math.min(0, ...every);
  const reach = Math.max(0, ...every) - least || 1;
  const left = 58;
  const step = (width - left) / days.length;
  const heightOf = (size) => top + height * (1 - (size - least) / reach);
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  for (const part of [0, 0.5, 1]) {
    const y = top + height * (1 - part);
    const line = { x1: left, x2: width, y1: y, y2: y, stroke: "var(--line)" };
    svg.append(element("line", line), words(left - 6, y + 4, short.format(least + reach * part), { anchor: "end" }));
  }
  days.forEach((day, at) => {
    names.forEach((name, nth) => {
      const one = series[name].get(day);
      if (!one) return;
      const x = left + step * (at + 0.12);
      const y = nth ? heightOf(one.size) - 1.25 : heightOf(Math.max(one.size, 0));
      const tall = nth ? 2.5 : heightOf(Math.min(one.size, 0)) - y;
      svg.append(bar(x, y, step * 0.76, tall, colors[name], one.hover));
    });
  });
  const apart = Math.ceil(days.length / Math.max(Math.floor((width - left) / 70), 1));
  let before = null;
  days.forEach((day, at) => {
    if (at % apart) return;
    const [x, y] = [left + step * (at + 0.5), top + height + 22];
    const year = day.slice(0, 4);
    svg.append(words(x, y, shortDay(day), { anchor: "middle" }));
    if (year !== before) svg.append(words(x, y + 14, year, { anchor: "middle" }));
    before = year;
  });
  return svg;
}

// A strip for each name, a column of shares for each day. Parts: name -> day -> [[series, size]].
function drawStrips(label, width, colors, days, strips) {
  const svg = canvas(label, width, 26 + 62 * strips.length + 18);
  legend(svg, colors);
  const step = width / days.length;
  const names = shortNames(strips.map(({ name }) => name));
  strips.forEach(({ name, parts }, nth) => {
    const y = 26 + 62 * nth;
    svg.append(words(0, y + 12, names[nth], { fill: "var(--ink)" }));
    days.forEach((day, at) => {
      const of_day = parts.get(day) ?? [];
      const whole = of_day.reduce((sum, [, size]) => sum + size, 0) || 1;
      let bottom = y + 54;
      for (const [series, size, hover] of of_day) {
        const tall = (size / whole) * 36;
        bottom -= tall;
        svg.append(bar(step * at, bottom, Math.max(step * 0.8, step - 4), tall, colors[series], `${name}, ${hover}`));
      }
    });
  });
  const y = 26 + 62 * strips.length + 10;
  const [first, last] = [days[0], days.at(-1)].map((day) => `${shortDay(day)} ${day.slice(0, 4)}`);
  svg.append(words(0, y, first));
  if (last !== first) svg.append(words(width, y, last, { anchor: "end" }));
  return svg;
}

function shortDay(day) {
  const at = new Date(day);
  return `${at.getUTCDate()} ${at.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
}
