// Write figures as the page itself does (omniledger/report/formats.py), from whole numbers.

const MINUS = "\u2212";

function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}

// Sign, whole part and decimals of a whole number of smallest units.
function partsOf(units, scale) {
  const value = BigInt(units);
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const point = digits.length - scale;
  return [value < 0n, digits.slice(0, point), digits.slice(point)];
}

// As a plain decimal, for CSV.
function decimal(units, scale) {
  if (units === null) return "";
  const [negative, whole, decimals] = partsOf(units, scale);
  return (negative ? "-" : "") + whole + (scale ? `.${decimals}` : "");
}

function usd(units, scale, plus = false) {
  if (units === null) return null;
  const [negative, whole, decimals] = partsOf(units, scale);
  const sign = negative ? MINUS : plus && BigInt(units) > 0n ? "+" : "";
  return `${sign}$${grouped(whole)}.${decimals.replace(/0+$/, "").padEnd(2, "0")}`;
}

function count(units) {
  if (units === null) return null;
  const [negative, whole] = partsOf(units, 0);
  return (negative ? MINUS : "") + grouped(whole);
}

function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function either(names) {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

// A part of a whole in per cent, rounded down to hundredths: 99.999 % is not 100 %.
function share(part, whole) {
  if (part === null || !whole) return null;
  const [, digits, decimals] = partsOf((BigInt(part) * 10000n) / BigInt(whole), 2);
  const rest = decimals.replace(/0+$/, "");
  return `${digits}${rest ? `.${rest}` : ""} %`;
}

function duration(units, scale = 0) {
  if (units === null) return null;
  const value = BigInt(units);
  if (value < 0n) return MINUS + duration(-value, scale);
  const seconds = Number(value / 10n ** BigInt(scale));
  const two = (large, name, small, other) => {
    return small ? `${large} ${name} ${small} ${other}` : `${large} ${name}`;
  };
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.floor(seconds / 60);
  if (seconds < 86400) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.floor(seconds / 3600);
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

// To the millisecond; halves to the even one.
function milliseconds(units, scale) {
  if (units === null) return null;
  const unit = 10n ** BigInt(scale);
  const [whole, rest] = [BigInt(units) / unit, BigInt(units) % unit];
  const up = rest * 2n > unit || (rest * 2n === unit && whole % 2n === 1n);
  return `${count(whole + (up ? 1n : 0n))} ms`;
}

// A cell of CSV: text that a spreadsheet would take for a formula is only text.
function csvCell(text, isFigure) {
  const safe = !isFigure && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
