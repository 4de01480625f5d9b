"use strict";
// Text of models and of clients becomes text nodes and values only: nothing here reads it as HTML.
const models = JSON.parse(document.getElementById("models").textContent);
const GRID = 64, SHOWN = 12;

const make = (name, classes, text) => {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
};
const number = (text) => /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text.trim());
// A number goes into the request as it was typed: a whole number beyond 2^53 would lose digits on its way through JavaScript.
const written = (text) => {
  const said = text.trim();
  if (said === "") return "null";
  if (!number(said)) return JSON.stringify(said);
  const [, sign, whole, rest] = said.match(/^([+-]?)0*(\d*)(.*)$/);
  return (sign === "-" ? "-" : "") + (whole || "0") + rest.replace(/^\.(?=$|[eE])/, "");
};
const unit = (tensor) => (tensor.unit ? ` in ${tensor.unit}` : "");
const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
const bytes = (b64) => Uint8Array.from(atob(b64), (one) => one.charCodeAt(0));
const kind = (raw) => (raw[0] === 0x89 && raw[1] === 0x50 ? "image/png" : raw[0] === 0xff && raw[1] === 0xd8 ? "image/jpeg" : "application/octet-stream");

let serial = 0;

// A field: its element, `fill(value)` with an example's, and `json()` for the request; one that takes files has `file()`, too.
function textField(tensor, numbers) {
  const box = make("div", "field"), label = make("label", "", tensor.name), area = make("textarea", numbers ? "numbers" : "");
  area.id = label.htmlFor = `field-${serial++}`;
  area.spellcheck = false;
  label.append(" ", make("small", "", numbers ? `${tensor.text}${unit(tensor)}, as JSON` : "text"));
  box.append(label, area);
  const fill = (value) => (area.value = value === undefined || value === null ? "" : numbers ? JSON.stringify(value) : String(value));
  const json = () => {
    if (!numbers) return JSON.stringify(area.value);
    try { JSON.parse(area.value); } catch (error) { throw new Error(`${tensor.name}: this is no JSON: ${error.message}`); }
    return area.value.trim();
  };
  return { box, fill, json, plain: () => area.value };
}

function oneField(tensor) {
  if (tensor.dtype === "BOOL") {
    const box = make("div", "field"), label = make("label"), input = make("input");
    input.type = "checkbox";
    label.append(input, ` ${tensor.name}`);
    box.append(label);
    return { box, fill: (value) => (input.checked = Boolean(value)), json: () => String(input.checked), plain: () => String(input.checked) };
  }
  const box = make("div", "field"), label = make("label", "", tensor.name), input = make("input");
  input.type = "text";
  input.inputMode = "decimal";
  input.id = label.htmlFor = `field-${serial++}`;
  label.append(" ", make("small", "", `${tensor.dtype}${unit(tensor)}${tensor.missing ? ", may be missing" : ""}`));
  box.append(label, input);
  return { box, fill: (value) => (input.value = value ?? ""), json: () => written(input.value), plain: () => input.value };
}

function gridField(tensor) {
  const box = make("fieldset"), legend = make("legend", "", tensor.name), grid = make("div", "grid"), inputs = [];
  legend.append(" ", make("small", "", `${tensor.text}${unit(tensor)}${tensor.missing ? ", may be missing" : ""}`));
  for (let place = 0; place < tensor.shape[1]; place++) {
    const label = make("label", "", tensor.labels ? tensor.labels[place] : String(place)), input = make("input");
    input.type = "text";
    input.inputMode = "decimal";
    label.append(input);
    grid.append(label);
    inputs.push(input);
  }
  box.append(legend, grid);
  const fill = (value) => inputs.forEach((input, place) => (input.value = value?.[place] ?? ""));
  return { box, fill, json: () => `[${inputs.map((input) => (tensor.dtype === "BYTES" ? JSON.stringify(input.value) : written(input.value))).join(", ")}]` };
}

function fileField(tensor) {
  const box = make("div", "field"), label = make("label", "", tensor.name), input = make("input"), said = make("p", "soft"), image = make("img", "preview");
  input.type = "file";
  input.id = label.htmlFor = `field-${serial++}`;
  image.alt = "";
  image.hidden = true;
  label.append(" ", make("small", "", "a file"));
  box.append(label, input, said, image);
  let example = null;
  const show = (blob, words) => {
    said.textContent = words;
    if (image.src) URL.revokeObjectURL(image.src);
    image.hidden = !(blob && blob.type.startsWith("image/"));
    if (!image.hidden) image.src = URL.createObjectURL(blob);
  };
  input.addEventListener("change", () => show(input.files[0], input.files[0] ? `${input.files[0].size.toLocaleString("en")} bytes` : ""));
  const fill = (value) => {
    input.value = "";
    const raw = value?.b64 === undefined ? null : bytes(value.b64);
    example = raw && new Blob([raw], { type: kind(raw) });
    show(example, example ? `the example's: ${raw.length.toLocaleString("en")} bytes` : "");
  };
  return { box, fill, file: () => input.files[0] ?? example, chosen: () => input.files[0]?.name ?? "example" };
}

function fieldOf(tensor) {
  if (tensor.shape.length === 1) return tensor.dtype !== "BYTES" ? oneField(tensor) : tensor.files ? fileField(tensor) : textField(tensor, false);
  if (tensor.shape.length === 2 && tensor.shape[1] > 0 && tensor.shape[1] <= GRID) return gridField(tensor);
  return textField(tensor, true);
}

function shownNumber(value) {
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(6)));
}

function bars(pairs) {
  const box = make("div", "bars"), sorted = [...pairs].sort((a, b) => b[1] - a[1]);
  const share = sorted.every(([, value]) => value >= 0 && value <= 1.0001);
  const top = Math.max(...sorted.map(([, value]) => Math.abs(value)), 1e-12);
  for (const [place, [name, value]] of sorted.slice(0, SHOWN).entries()) {
    const track = make("div", "track"), fill = make("div", "fill");
    fill.style.width = `${Math.min(100, (100 * Math.max(0, value)) / (share ? 1 : top))}%`;
    track.append(fill);
    const most = place === 0 ? " most" : "";
    box.append(make("span", `name${most}`, name), track, make("span", most, share ? `${(100 * value).toFixed(1)} %` : shownNumber(value)));
  }
  return sorted.length > SHOWN ? [box, make("p", "soft", `and ${sorted.length - SHOWN} more`)] : [box];
}

function shownOutput(tensor, value, why) {
  const parts = [make("h3", "", tensor.name)];
  if (value === null) return [...parts, make("p", "value", "nothing"), make("p", "soft", why || "")];
  if (typeof value !== "object") {
    const line = make("p", `value${String(value).length > 60 ? " long" : ""}`, shownNumber(value));
    if (tensor.unit) line.append(" ", make("small", "", tensor.unit));
    return [...parts, line];
  }
  if (!Array.isArray(value) && Object.values(value).every((one) => typeof one === "number")) return [...parts, ...bars(Object.entries(value))];
  const numbers = Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "number");
  if (numbers && value.length <= 100) return [...parts, ...bars(value.map((one, place) => [String(place), one]))];
  const text = JSON.stringify(value);
  return [...parts, make("p", "", text.length > 600 ? text.slice(0, 600) + "…" : text)];
}

function show(article, model) {
  const form = article.querySelector("form"), answer = article.querySelector(".answer"), line = article.querySelector("pre.curl");
  const fields = model.inputs.map(fieldOf), uploads = model.inputs.some((tensor) => tensor.files);
  const holder = article.querySelector(".fields"), token = article.querySelector(".token input");
  const address = `/predict/${encodeURIComponent(model.name)}`;
  fields.forEach((field) => holder.append(field.box));

  const rowOf = () => `{${model.inputs.map((tensor, place) => `${JSON.stringify(tensor.name)}: ${fields[place].json()}`).join(", ")}}`;
  const request = () => {
    if (!uploads) return { body: `{"rows": [${rowOf()}]}`, headers: { "content-type": "application/json" } };
    const body = new FormData();
    model.inputs.forEach((tensor, place) => {
      const field = fields[place];
      if (!field.file) body.append(tensor.name, field.plain ? field.plain() : field.json());
      else if (!field.file()) throw new Error(`${tensor.name}: choose a file`);
      else body.append(tensor.name, field.file(), field.chosen());
    });
    return { body, headers: {} };
  };
  const curl = () => {
    const parts = [`curl ${quoted(location.origin + address)}`];
    if (model.token) parts.push('-H "Authorization: Bearer $TOKEN"');
    try {
      if (uploads) model.inputs.forEach((tensor, place) => parts.push(fields[place].file ? `-F ${quoted(`${tensor.name}=@${fields[place].chosen()}`)}` : `-F ${quoted(`${tensor.name}=${fields[place].plain()}`)}`));
      else parts.push(`-H 'Content-Type: application/json'`, `-d ${quoted(request().body)}`);
      line.textContent = parts.join(" \\\n  ");
    } catch (error) {
      line.textContent = error.message;
    }
  };
  const reset = () => {
    fields.forEach((field, place) => field.fill(model.example?.[model.inputs[place].name]));
    curl();
  };
  const failed = (said, name) => answer.replaceChildren(make("p", "error", said), make("p", "soft", name || ""));

  form.addEventListener("input", curl);
  form.addEventListener("change", curl);
  form.querySelector(".reset").addEventListener("click", reset);
  article.querySelector(".copy").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(line.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(line); // over plain http a page may not write to the clipboard
      button.textContent = "selected";
    }
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector(".main");
    let asked;
    try { asked = request(); } catch (error) { failed(error.message); return; }
    if (token?.value) asked.headers.authorization = `Bearer ${token.value}`;
    button.disabled = true;
    answer.setAttribute("aria-busy", "true");
    const begun = performance.now();
    try {
      const got = await fetch(address, { method: "POST", ...asked });
      const text = await got.text(), took = performance.now() - begun;
      let said;
      try { said = JSON.parse(text); } catch { said = { error: text.slice(0, 500) || got.statusText }; }
      if (!got.ok) return failed(said.error || `the server answered ${got.status}`, `${got.status}${said.name ? ` ${said.name}` : ""}`);
      const row = said.rows ? said.rows[0] : Array.isArray(said) ? said[0] : said;
      const parts = model.outputs.filter((tensor) => tensor.name in row).flatMap((tensor) => shownOutput(tensor, row[tensor.name], row.nulls?.[tensor.name]));
      const details = make("details"), raw = make("pre");
      raw.textContent = text.length > 20000 ? text.slice(0, 20000) + "…" : text;
      raw.tabIndex = 0;
      details.append(make("summary", "", "the answer as it came"), raw);
      answer.replaceChildren(...parts, make("p", "soft", `answered in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms, the network included`), details);
    } catch (error) {
      failed("the server cannot be reached", String(error.message || error));
    } finally {
      button.disabled = false;
      answer.removeAttribute("aria-busy");
    }
  });
  reset();
  article.querySelector(".try").hidden = false;
}

const articles = [...document.querySelectorAll("article")];
articles.forEach((article, place) => { if (models[place].inputs) show(article, models[place]); });

const links = [...document.querySelectorAll("nav a")];
function choose() {
  const wanted = links.findIndex((link) => link.hash === location.hash);
  articles.forEach((article, place) => (article.hidden = links.length > 1 && place !== Math.max(0, wanted)));
  links.forEach((link, place) => (place === Math.max(0, wanted) ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")));
}
addEventListener("hashchange", choose);
choose();

const state = document.getElementById("state");
async function look() {
  if (document.hidden) return;
  try {
    const got = await fetch("/v2/health/ready");
    const said = got.ok ? {} : await got.json();
    state.className = `state ${got.ok ? "ready" : "trouble"}`;
    state.textContent = got.ok ? "ready" : said.error || "not ready";
  } catch {
    state.className = "state trouble";
    state.textContent = "cannot be reached";
  }
}
look();
setInterval(look, 15000);
