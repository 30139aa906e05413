"use strict";

const refreshMilliseconds = 1000;
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
