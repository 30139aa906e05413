"use strict";

const refreshMilliseconds = 1000;
const generationsShown = 200;
const project = location.pathname.split("/")[2];
const state = document.getElementById("state");
const scenes = document.getElementById("scenes");
let etag = null;

document.getElementById("project").textContent = project;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// A picture that is on the page already keeps its element, so that nothing flickers.
function picture(url, label) {
  const known = scenes.querySelector(`img[src="${CSS.escape(url)}"]`);
  if (known) return known;
  const image = element("img");
  image.src = url;
  image.alt = label;
  image.loading = "lazy";
  return image;
}

function section(title, text, urls) {
  const made = element("section", "scene");
  made.append(element("h2", "", title));
  if (text) made.append(element("p", "muted", text));
  const row = element("div", "pictures");
  row.append(...urls.map((url, i) => picture(url, `${title}, picture ${i + 1}`)));
  if (urls.length === 0) row.append(element("span", "bad", "no picture yet"));
  made.append(row);
  return made;
}

function show(storyboard) {
  const images = storyboard.scenes.reduce((sum, x) => sum + x.imageUrls.length, storyboard.imageUrls.length);
  state.textContent = `Version ${storyboard.version}: ${storyboard.scenes.length} scenes, ${images} pictures` +
    (storyboard.missing.length > 0 ? `; without a picture: ${storyboard.missing.join(", ")}` : "");
  state.className = storyboard.missing.length > 0 ? "bad" : "good";
  const sections = storyboard.scenes.map(x => section(`${x.index}. ${x.id}`, x.prompt, x.imageUrls));
  if (storyboard.imageUrls.length > 0) sections.push(section("The project itself", "", storyboard.imageUrls));
  scenes.replaceChildren(...sections);
}

// What is asked for and not there yet, or failed; what is saved is among the pictures below.
function showGeneration(generations) {
  const total = Object.values(generations.counts).reduce((sum, x) => sum + x, 0);
  document.getElementById("generation").hidden = total === 0;
  if (total === 0) return;
  const saved = (generations.counts.applied ?? 0) + (generations.counts.unchanged ?? 0);
  const storyboard = generations.storyboards[0];
  const text = document.getElementById("generation-state");
  text.textContent = `${saved} of ${total} requested pictures saved: ` +
    Object.entries(generations.counts).map(([phase, count]) => `${count} ${phase}`).join(", ") +
    (storyboard ? `. Storyboard: ${storyboard.saved} of ${storyboard.requested}` +
      (storyboard.missingScenes.length > 0 ? `, missing ${storyboard.missingScenes.join(", ")}` : ", complete") : "") +
    generations.closedProviders.map(x => `. Provider ${x.provider} is closed until ${new Date(x.closedUntil).toLocaleTimeString()}: ${x.reason}`).join("");
  text.className = (generations.counts.failed ?? 0) + (generations.counts.rejected ?? 0) > 0 ? "bad" : "";
  const bar = document.getElementById("generation-progress");
  bar.max = total;
  bar.value = saved;
  const rows = generations.requests.filter(x => x.outcome !== "applied" && x.outcome !== "unchanged").map(x => {
    const row = element("tr");
    row.append(
      element("td", "", x.sceneId ?? x.sceneIndex ?? "–"),
      element("td", "number", x.slot),
      element("td", x.outcome ? "bad" : "", x.outcome ?? x.state ?? "Requested"),
      element("td", "number", x.attempt ?? "–"),
      element("td", "", x.dueAt ? new Date(x.dueAt).toLocaleTimeString() : "–"),
      element("td", "", x.failureReason ?? ""),
    );
    return row;
  });
  document.getElementById("generation-rows").replaceChildren(...rows);
  document.getElementById("generation-table").hidden = rows.length === 0;
}

async function refreshGeneration() {
  try {
    const answer = await fetch(`/projects/${project}/generations?limit=${generationsShown}`, { cache: "no-store" });
    if (answer.ok) showGeneration(await answer.json());
  } catch {
    // The server is away, which the other refresh tells.
  } finally {
    setTimeout(refreshGeneration, refreshMilliseconds);
  }
}

async function refresh() {
  try {
    const answer = await fetch(`/projects/${project}`, etag ? { headers: { "If-None-Match": etag }, cache: "no-store" } : { cache: "no-store" });
    if (answer.status !== 304) {
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
      etag = answer.headers.get("ETag");
      show(body);
    }
  } catch (error) {
    etag = null;
    state.textContent = error.message;
    state.className = "bad";
  } finally {
    setTimeout(refresh, refreshMilliseconds);
  }
}

refresh();
refreshGeneration();
