"use strict";

const refreshMilliseconds = 2000;
const troublesMilliseconds = 10000; // Counting the dead letters asks the broker for each queue.
const rowsShown = 25;
const good = new Set(["applied", "unchanged"]);
const bad = new Set(["rejected", "failed"]);

// Text only: what a scene or a reason says is never read as HTML.
function cell(text, className, link) {
  const td = document.createElement("td");
  if (className) td.className = className;
  if (link) {
    const a = document.createElement("a");
    a.href = link;
    a.textContent = text;
    td.append(a);
  } else {
    td.textContent = text ?? "–";
  }
  return td;
}

function fill(id, rows, columns) {
  const filled = rows.map(row => {
    const tr = document.createElement("tr");
    tr.append(...columns(row));
    return tr;
  });
  document.getElementById(id).replaceChildren(...filled);
}

const time = text => (text ? new Date(text).toLocaleTimeString() : null);

async function read(path) {
  const answer = await fetch(path);
  const body = await answer.json();
  if (!answer.ok && !body.checks) throw new Error(body.detail ?? answer.statusText);
  return body;
}

async function refresh() {
  const health = document.getElementById("health");
  try {
    const [ready, projects, work, receipts] = await Promise.all([
      read("/health/ready"),
      read(`/projects?limit=${rowsShown}`),
      read("/lanes"),
      read(`/receipts?limit=${rowsShown}`),
    ]);
    const broken = ready.checks.filter(x => !x.ok);
    health.textContent = broken.length === 0 ? "Ready: broker, database and every lane." : broken.map(x => `${x.name}: ${x.reason}`).join(" · ");
    health.className = broken.length === 0 ? "good" : "bad";

    fill("projects", projects.projects, x => [
      cell(x.id, "id", `/projects/${x.id}/view`),
      cell(x.version, "number"),
      cell(x.scenes, "number"),
      cell(x.images, "number"),
      cell(x.waiting, x.waiting > 0 ? "number bad" : "number"),
      cell(x.receipts, "number"),
      cell(time(x.updatedAt)),
    ]);
    const alive = work.workers.filter(x => x.alive);
    document.getElementById("lanes-summary").textContent =
      `${alive.length} workers: ${alive.map(x => `${x.name} (${work.lanes.filter(l => l.held && l.workerId === x.id).length})`).join(", ") || "none"}. ` +
      `Outbox: ${work.outbox.waiting} waiting${work.outbox.oldest ? `, the oldest since ${time(work.outbox.oldest)}` : ""}.`;
    fill("lanes", work.lanes, x => [
      cell(x.queue),
      cell(x.held ? (x.worker ?? x.workerId) : "nobody", x.held ? "" : "bad"),
      cell(x.epoch, "number"),
      cell(time(x.leaseUntil)),
    ]);
    fill("receipts", receipts.receipts, x => [
      cell(time(x.at)),
      cell(x.command),
      cell(x.commandId, "id"),
      cell(x.projectId, "id", `/projects/${x.projectId}/view`),
      cell(x.outcome, good.has(x.outcome) ? "good" : bad.has(x.outcome) ? "bad" : ""),
      cell(x.reason ?? ""),
    ]);
  } catch (error) {
    health.textContent = `The publisher does not answer: ${error.message}`;
    health.className = "bad";
  } finally {
    setTimeout(refresh, refreshMilliseconds);
  }
}

// What nobody but a person can mend, with the verb that shows more.
async function refreshTroubles() {
  const state = document.getElementById("troubles-state");
  try {
    const [letters, deletions, urls] = await Promise.all([
      read("/dead-letters"),
      read("/deletions?failed=true"),
      read("/urls/health"),
    ]);
    const troubles = [
      ...letters.queues.map(x => [`Messages in ${x.queue}`, x.messages, "publisher dead-letters list"]),
      ["Deletions that were given up", `${deletions.deletions.length}${deletions.next ? " and more" : ""}`, "publisher deletions --failed"],
      ["URLs of pictures that cannot be renewed", urls.health.failing, "publisher urls"],
      ["URLs of pictures that are expired", urls.health.expired, "publisher urls"],
    ].filter(([, count]) => count !== 0 && count !== "0");
    state.textContent = troubles.length === 0 ? "Nothing waits for a person." : "";
    state.className = "good";
    fill("troubles", troubles, ([what, count, verb]) => [cell(what), cell(count, "number bad"), cell(verb, "id")]);
  } catch (error) {
    state.textContent = `Cannot be read: ${error.message}`;
    state.className = "bad";
  } finally {
    setTimeout(refreshTroubles, troublesMilliseconds);
  }
}

refresh();
refreshTroubles();
