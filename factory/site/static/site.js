// Search, copy buttons, the index's address in commands, and the profile for a pasted /proc/cpuinfo.
// The pages have the same content without JavaScript.
"use strict";

const root = new URL("../", document.currentScript.src).href;

// As `trusted_host` of the factory: pip ignores an http index on another machine unless it is told to trust it.
function trustedHost() {
  const { protocol, hostname } = new URL(root);
  return protocol === "http:" && !/^(localhost|127\.[0-9.]+|\[::1\])$/.test(hostname) ? hostname : "";
}

// As `shlex.quote` of Python: a folder's name can have characters that a shell obeys.
function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

function showAddress() {
  if (!root.startsWith("http")) return;
  const host = trustedHost();
  for (const code of document.querySelectorAll(".command code")) {
    const text = code.textContent;
    const places = /(?<![\w/])URL\/((?:simple|static|project)\/[^\s"]*)/g;
    if (text.startsWith("[")) { // a file, not a command
      const line = host && text.startsWith("[global]") ? `\ntrusted-host = ${host}` : "";
      code.textContent = text.replaceAll(places, (_, path) => root + path + line);
    } else {
      code.textContent = text.split("\n").map((line) => {
        const option = host && line.startsWith("pip ") ? ` --trusted-host ${quote(host)}` : "";
        return line.replaceAll(places, (_, path) => quote(root + path) + (path === "simple/" ? option : ""));
      }).join("\n");
    }
  }
}

// Pages over plain http have no navigator.clipboard.
async function copy(code) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  }
  getSelection().selectAllChildren(code);
  return document.execCommand("copy");
}

function addScrollHints() {
  for (const box of document.querySelectorAll(".scroll")) {
    const hint = () => {
      if (box.scrollWidth <= box.clientWidth || box.previousElementSibling?.classList.contains("hint")) return;
      const paragraph = document.createElement("p");
      paragraph.className = "note hint";
      paragraph.textContent = "Scroll the table sideways to see all columns.";
      box.before(paragraph);
    };
    hint();
    box.closest("details")?.addEventListener("toggle", hint);
  }
}

function addCopyButtons() {
  for (const command of document.querySelectorAll(".command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy");
    button.addEventListener("click", async () => {
      button.textContent = await copy(command.querySelector("code")) ? "Copied" : "Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.classList.add("copyable");
    command.append(button);
  }
}

// The normalized form of a name (PEP 503), for which spaces count as separators too.
function normalize(name) {
  return name.trim().toLowerCase().replaceAll(/[-_.\s]+/g, "-");
}

function entryOf(element) {
  const { name, also } = element.dataset;
  return { element, name, also: (also || "").split(" "), text: normalize((element.querySelector("th") || element).textContent) };
}

// 0 for the name, 1 for a part of it, 2 for a module or keyword, 3 for words of the summary, -1 if the entry does not fit.
function rankOf(entry, wanted) {
  if (entry.name === wanted) return 0;
  if (entry.name.includes(wanted)) return 1;
  if (entry.also.includes(wanted)) return 2;
  return wanted.split("-").every((word) => entry.text.includes(word)) ? 3 : -1;
}

function enableSearch() {
  const input = document.getElementById("search");
  if (!input) return;
  const entries = [...document.querySelectorAll("#packages tr")].map(entryOf);
  const others = [...document.querySelectorAll("#absent li")].map(entryOf);
  const found = document.getElementById("found");
  const unknown = document.getElementById("unknown");
  const visible = () => entries.filter((entry) => !entry.element.hidden);
  input.closest(".search").hidden = false;
  const search = () => {
    const wanted = normalize(input.value);
    for (const entry of entries) {
      entry.rank = wanted ? rankOf(entry, wanted) : 0;
      entry.element.hidden = entry.rank < 0;
    }
    // A sort keeps the order of equals, so an empty search restores the order by name.
    const sorted = [...entries].sort((one, two) => one.rank - two.rank);
    document.getElementById("packages")?.append(...sorted.map((entry) => entry.element));
    const count = visible().length;
    found.textContent = wanted ? `${count || "No"} package${count === 1 ? "" : "s"} for “${input.value.trim()}”` : "";
    unknown.hidden = !wanted || count > 0;
    for (const other of others) {
      const rank = wanted ? rankOf(other, wanted) : -1;
      other.element.hidden = rank < 0 || rank === 3 || (count > 0 && rank === 1);
    }
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const wanted = normalize(input.value);
    const left = visible();
    const chosen = entries.find((entry) => entry.name === wanted) || (left.length === 1 ? left[0] : null);
    if (wanted && chosen) location.href = chosen.element.querySelector("a").href;
  });
  search();
}

// The rules of the board finder (board.py); its tables are in the page.
function extensionsOf(isa) {
  const [base, ...longer] = isa.toLowerCase().split("_");
  const letters = new Set(base.replace(/^rv[0-9]*/, "").replace(/[sx].*$/s, ""));
  if (letters.has("g")) for (const letter of "imafd") letters.add(letter);
  if (letters.has("b")) for (const name of ["zba", "zbb", "zbs"]) letters.add(name);
  return new Set([...letters, ...longer]);
}

function readCpuinfo(text, rules) {
  const cores = text.trim().split(/\n\s*\n/).map((paragraph) => {
    const core = {};
    for (const line of paragraph.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) core[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
    }
    return core;
  }).filter((core) => core.isa !== undefined);
  const widths = cores.map((core) => /^rv([0-9]{1,4})/i.exec(core.isa)?.[1]);
  if (!cores.length || widths.includes(undefined)) return null;
  const sets = cores.map((core) => knownExtensionsOf(core, rules));
  const extensions = new Set([...sets[0]].filter((name) => sets.every((set) => set.has(name))));
  const found = cores.map((core) => vectorsOf(core, rules));
  const vectors = ["draft", "", "unknown", "1.0"].find((each) => found.includes(each));
  const known = valueOf(rules.knownVlen, coreName(cores[0], rules)) || 0;
  return {
    name: cores[0]["model name"] || cores[0].uarch || "",
    bits: Number(widths.find((width) => width !== "64") || 64),
    extensions, vectors, vlen: vectors === "1.0" ? known : 0,
  };
}

function valueOf(table, key) {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function coreName(core, rules) {
  const vendor = numberOf(core.mvendorid);
  const architecture = numberOf(core.marchid);
  const numbers = vendor === null || architecture === null ? "" : `${vendor.toString(16)},${architecture.toString(16)}`;
  const name = core.uarch || "";
  if (Object.hasOwn(rules.knownVlen, name) || new RegExp(rules.draftCores).test(name)) return name;
  return valueOf(rules.coresByModel, core["model name"] || "") || valueOf(rules.coresByNumbers, numbers) || name;
}

function knownExtensionsOf(core, rules) {
  const listed = extensionsOf(core.isa);
  const known = listed.has("v") ? valueOf(rules.knownExtensions, coreName(core, rules)) || [] : [];
  return new Set([...listed, ...known]);
}

function vectorsOf(core, rules) {
  if ((core["cpu-vector"] || "").startsWith("0.")) return "draft";
  if (!extensionsOf(core.isa).has("v")) return core.isa.includes("xtheadvector") ? "draft" : "";
  const name = coreName(core, rules);
  const named = new RegExp(rules.draftCores).test(name) ? "draft" : Object.hasOwn(rules.knownVlen, name) ? "1.0" : "";
  const vendor = numberOf(core.mvendorid);
  const architecture = numberOf(core.marchid);
  if (vendor === null) return named || "unknown";
  if (vendor !== BigInt(rules.thead)) return (vendor === 0n && named) || "1.0";
  if (architecture === null) return named || "draft";
  return architecture === BigInt(rules.draftArchitecture) ? "draft" : "1.0";
}

function numberOf(text) {
  return /^0x[0-9a-fA-F]+$/.test(text || "") ? BigInt(text) : null;
}

function profileOf(cpu, rules) {
  const has = (names) => names.every((name) => cpu.extensions.has(name));
  if (!has(rules.base)) return "";
  if (cpu.vectors === "1.0") {
    for (const [name, vlen, needed] of rules.vectorProfiles) {
      if ((cpu.vlen || 128) >= vlen && has(needed)) return name;
    }
  }
  return has(rules.rva22) ? "rva22" : "rv64gc";
}

function judge(text, rules) {
  const cpu = readCpuinfo(text, rules);
  if (!cpu) return { profile: "", words: "This is not the /proc/cpuinfo of a RISC-V board: it has no “isa” line, or one that does not begin with rv64." };
  if (cpu.bits !== 64) return { profile: "", words: `This is a ${cpu.bits}-bit CPU. All wheels need a 64-bit CPU.` };
  const profile = profileOf(cpu, rules);
  if (!profile) return { profile, words: "This CPU lacks extensions of rv64gc, which every wheel needs." };
  const vectors = {
    draft: "Its vector extension is draft 0.7.1, which wheels do not use.",
    unknown: "Its vector extension may be RVV 1.0 or draft 0.7.1, so it is not counted.",
    "1.0": "It has the vector extension RVV 1.0.",
  };
  const system = `Wheels run on it. Which of them install depends on the system: glibc ${rules.glibc} suffices for all, and Python ${rules.pythons.join(" or ")}.`;
  return { profile, words: `${cpu.name || "This CPU"} has the profile ${profile}. ${vectors[cpu.vectors] || "It has no vector extension."} ${system}` };
}

function enableCpuinfo() {
  const rules = document.getElementById("rules");
  if (!rules) return;
  const tables = JSON.parse(rules.textContent);
  const input = document.getElementById("cpuinfo");
  const output = document.getElementById("verdict");
  const line = document.getElementById("verdict-line");
  document.getElementById("paste").hidden = false;
  input.addEventListener("input", () => {
    output.replaceChildren();
    output.dataset.profile = "";
    line.hidden = true;
    if (!input.value.trim()) return;
    const verdict = judge(input.value, tables);
    const paragraph = document.createElement("p");
    paragraph.textContent = verdict.words;
    output.append(paragraph);
    output.dataset.profile = verdict.profile;
    if (!verdict.profile) return;
    line.hidden = false;
    const link = document.createElement("a");
    link.href = `${verdict.profile}.html`;
    link.textContent = `Packages checked on ${verdict.profile}`;
    output.append(link);
  });
}

showAddress();
addCopyButtons();
addScrollHints();
enableSearch();
enableCpuinfo();
