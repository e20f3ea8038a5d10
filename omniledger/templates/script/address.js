// The filter in the address of the page: read, checked, and written so that Back undoes it.

const FIELDS = ["from", "to", "user", "model", "server"];

// By field; what isn't asked for is null. The user of requests that have none is "".
function readAddress() {
  const query = new URLSearchParams(location.search);
  const read = Object.fromEntries(FIELDS.map((name) => [name, query.get(name) || null]));
  return { ...read, user: read.user === "none" ? "" : read.user };
}

function readForm(form) {
  return Object.fromEntries(FIELDS.map((name) => {
    const { value } = form[name];
    return [name, value === "" ? null : name === "user" && value === "none" ? "" : value];
  }));
}

function writeAddress(filter, isStep) {
  const query = new URLSearchParams();
  for (const name of FIELDS) if (filter[name] !== null) query.set(name, filter[name] || "none");
  const text = query.toString() ? `?${query}` : "";
  if (text === location.search) return;
  const write = isStep ? history.pushState : history.replaceState;
  try {
    write.call(history, null, "", `${location.pathname}${text}${location.hash}`);
  } catch {
    // A page opened from a folder may not change its address in every browser.
  }
}

// Put a filter into the form. What can't be chosen there is taken out of it, and told in sentences.
function fillForm(form, filter) {
  const faults = [];
  for (const name of FIELDS) {
    const [field, wanted] = [form[name], filter[name]];
    field.value = wanted === "" ? "none" : wanted ?? "";
    if (wanted === null || field.value !== "") continue;
    field.value = "";
    filter[name] = null;
    faults.push(field.type === "date"
      ? `“${wanted.slice(0, 40)}” is no day: ${name === "from" ? "From" : "To"} is left open.`
      : `No such ${name} here${field.dataset.cut ?? ""}: all ${name}s are shown.`);
  }
  return faults;
}

// Dates that were given the wrong way round are turned.
function turnDates(filter) {
  if (filter.from === null || filter.to === null || filter.from <= filter.to) return [];
  [filter.from, filter.to] = [filter.to, filter.from];
  return ["From was after To: they are taken the other way round."];
}
