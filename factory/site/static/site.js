// Search, copy buttons, the index's address in commands, and the profile for a pasted /proc/cpuinfo.
// The pages have the same content without JavaScript.
"use strict";

const root = new URL("../", document.currentScript.src).href;

function showAddress() {
  if (!root.startsWith("http")) return;
  for (const code of document.querySelectorAll(".command code")) {
    code.textContent = code.textContent.replaceAll(/(?<![\w/])URL\/(?=simple\/|static\/)/g, root);
  }
}

function addCopyButtons() {
  if (!navigator.clipboard) return;
  for (const command of document.querySelectorAll(".command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.classList.add("copyable");
    command.append(button);
  }
}

// The normalized form of a name (PEP 503).
function normalize(name) {
  return name.trim().toLowerCase().replaceAll(/[-_.]+/g, "-");
}

function enableSearch() {
  const input = document.getElementById("search");
  if (!input) return;
  const rows = [...document.querySelectorAll("#packages tr")];
  const found = document.getElementById("found");
  const unknown = document.getElementById("unknown");
  const others = [...document.querySelectorAll("#absent li")];
  input.closest(".search").hidden = false;
  const search = () => {
    const wanted = normalize(input.value);
    let count = 0;
    for (const row of rows) {
      row.hidden = !row.dataset.name.includes(wanted);
      count += row.hidden ? 0 : 1;
    }
    found.textContent = wanted ? `${count || "No"} package${count === 1 ? "" : "s"} with “${wanted}” in the name` : "";
    unknown.hidden = !wanted || count > 0;
    for (const other of others) {
      const name = other.dataset.name;
      other.hidden = !(count ? name === wanted : name.includes(wanted));
    }
    document.getElementById("wanted").textContent = /^[a-z0-9-]+$/.test(wanted) ? wanted : "NAME";
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const wanted = normalize(input.value);
    const visible = rows.filter((row) => !row.hidden);
    const exact = rows.find((row) => row.dataset.name === wanted) || (visible.length === 1 ? visible[0] : null);
    if (exact) location.href = exact.querySelector("a").href;
  });
  search();
}

// The rules of the board finder (board.py); its tables are in the page.
function extensionsOf(isa) {
  const [base, ...longer] = isa.toLowerCase().split("_");
  const letters = new Set(base.replace(/^rv(32|64)/, "").replace(/[sx].*$/s, ""));
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
  if (!cores.length) return null;
  const sets = cores.map((core) => extensionsOf(core.isa));
  const extensions = new Set([...sets[0]].filter((name) => sets.every((set) => set.has(name))));
  const found = cores.map((core) => vectorsOf(core, rules));
  const vectors = ["draft", "", "unknown", "1.0"].find((each) => found.includes(each));
  const known = Object.hasOwn(rules.knownVlen, cores[0].uarch || "") ? rules.knownVlen[cores[0].uarch] : 0;
  return {
    name: cores[0]["model name"] || cores[0].uarch || "",
    bits: /^isa\s*:\s*rv32/m.test(text) ? 32 : 64,
    extensions, vectors, vlen: vectors === "1.0" ? known : 0,
  };
}

function vectorsOf(core, rules) {
  if ((core["cpu-vector"] || "").startsWith("0.")) return "draft";
  if (!extensionsOf(core.isa).has("v")) return core.isa.includes("xtheadvector") ? "draft" : "";
  const name = core.uarch || "";
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
  if (!cpu) return { profile: "", words: "This is not the /proc/cpuinfo of a RISC-V board: it has no “isa” line." };
  if (cpu.bits !== 64) return { profile: "", words: "This is a 32-bit CPU. All wheels need a 64-bit CPU." };
  const profile = profileOf(cpu, rules);
  if (!profile) return { profile, words: "This CPU lacks extensions of rv64gc, which every wheel needs." };
  const vectors = {
    draft: "Its vector extension is draft 0.7.1, which wheels do not use.",
    unknown: "Its vector extension may be RVV 1.0 or draft 0.7.1, so it is not counted.",
    "1.0": "It has the vector extension RVV 1.0.",
  };
  return { profile, words: `${cpu.name || "This CPU"} has the profile ${profile}: the wheels install on it. ${vectors[cpu.vectors] || "It has no vector extension."}` };
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
enableSearch();
enableCpuinfo();
