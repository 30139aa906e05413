#!/usr/bin/env node
// Has the pictures of a storyboard generated, follows them to their end and reads the receipts.
//
// usage: npm ci; node publish-storyboard.js [STORYBOARD.json]
//
// Needs two settings:
//   PIPELINE_BROKER  amqp://user:password@host:port/pipeline
//   PIPELINE_API     the publisher's HTTP API, such as http://127.0.0.1:17080
// The exit status is 0 only when every picture is saved.
import { randomUUID } from "node:crypto";
import { EventEmitter, on } from "node:events";
import { readFile } from "node:fs/promises";
import amqp from "amqplib";

const EVENTS = ["scenes-defined", "image-generated", "generation-ended", "storyboard-completed", "command-rejected", "command-failed"];
const SILENCE_LIMIT_S = 120; // without any event: the pipeline is down, or has nothing for us

/** One channel with confirms, and a queue of our own for one project's events. */
class Pipeline {
  #returned = new Map(); // message id → why the broker had no queue for it
  #inbox = new EventEmitter();
  #messages = on(this.#inbox, "message"); // keeps what comes while nobody waits

  async connect(broker, projectId) {
    this.projectId = projectId;
    this.queue = `client-javascript-${projectId}`;
    this.connection = await amqp.connect(broker);
    this.connection.on("error", (e) => this.#inbox.emit("error", e));
    this.channel = await this.connection.createConfirmChannel();
    this.channel.on("error", (e) => this.#inbox.emit("error", e));
    this.channel.on("return", ({ properties, fields }) => this.#returned.set(properties.messageId, fields.replyText));

    // A service keeps one durable queue for as long as it lives. This one goes an hour after the last reader.
    await this.channel.assertQueue(this.queue, { durable: true, expires: 3_600_000 });
    // Bound before anything is published, or the first events would be missed.
    for (const event of EVENTS) await this.channel.bindQueue(this.queue, event, projectId);
    await this.channel.prefetch(100);
    await this.channel.consume(this.queue, (message) =>
      message ? this.#inbox.emit("message", message) : this.#inbox.emit("error", new Error("the queue is gone")),
    );
  }

  /**
   * Resolves to the command's id once the broker has the command on disk; rejects when it has no queue for it.
   *
   * Await it before the next one: that is what keeps their order. After a lost connection, send again from the first
   * unconfirmed one, under the same ids. A repeated command takes effect once.
   */
  async publish(name, command) {
    const id = randomUUID();
    const body = Buffer.from(JSON.stringify({ ...command, commandId: id, projectId: this.projectId }));
    const about = { type: name, messageId: id, contentType: "application/json", persistent: true, mandatory: true };
    await new Promise((resolve, reject) =>
      this.channel.publish(name, this.projectId, body, about, (refused) => (refused ? reject(refused) : resolve())),
    );
    // What has no queue is returned first and confirmed then.
    if (this.#returned.has(id)) throw new Error(`${name} reaches no queue: ${this.#returned.get(id)}`);
    return id;
  }

  /** Resolves to the event of this name that answers this command. Events may come twice; whoever counts them compares their messageId. */
  async awaitEvent(name, commandId) {
    for (;;) {
      const message = await this.#nextMessage();
      const [type, event] = [message.properties.type, JSON.parse(message.content)];
      if (type === "image-generated") console.log(`  picture ${event.imageId} is saved`);
      if (type === "generation-ended") console.log(`  no picture for ${event.commandId}: ${event.outcome}, ${event.reason}`);
      this.channel.ack(message); // After the work: what is not acknowledged comes again.
      if (event.commandId !== commandId) continue;
      if (type === "command-rejected" || type === "command-failed") throw new Error(`${event.command} ${type}: ${event.reason}`);
      if (type === name) return event;
    }
  }

  async close() {
    await this.channel.deleteQueue(this.queue);
    await this.connection.close();
  }

  async #nextMessage() {
    const silence = setTimeout(() => this.#inbox.emit("error", new Error(`no event for ${SILENCE_LIMIT_S} s`)), SILENCE_LIMIT_S * 1000);
    try {
      return (await this.#messages.next()).value[0];
    } finally {
      clearTimeout(silence);
    }
  }
}

function setting(name) {
  if (!process.env[name]) throw new Error(`${name} is not set`);
  return process.env[name];
}

async function main(path = "samples/storyboard.json") {
  const { scenes, imagesPerScene } = JSON.parse(await readFile(path, "utf8"));
  const api = setting("PIPELINE_API");
  const pipeline = new Pipeline();
  await pipeline.connect(setting("PIPELINE_BROKER"), randomUUID());
  console.log(`project ${pipeline.projectId}`);

  // Lane commands of one project are applied in the order of publishing: the second storyboard stands.
  const outline = await pipeline.publish("define-scenes", { scenes: scenes.map(({ id, index }) => ({ id, index })) });
  const whole = await pipeline.publish("define-scenes", { scenes });
  // Order holds among lane commands only. generate-storyboard has another queue, so wait until the scenes stand.
  await pipeline.awaitEvent("scenes-defined", whole);

  const request = { imagesPerScene, model: "offline-painter", width: 256, height: 256 };
  const generation = await pipeline.publish("generate-storyboard", request);
  const end = await pipeline.awaitEvent("storyboard-completed", generation);
  for (const id of [outline, whole, generation]) {
    const answer = await fetch(`${api}/projects/${pipeline.projectId}/receipts/${id}`);
    if (!answer.ok) throw new Error(`the receipt of ${id}: ${answer.status} ${await answer.text()}`);
    const { command, outcome, reason } = await answer.json();
    console.log(`receipt ${id}: ${command} ${outcome} ${reason ?? ""}`.trimEnd());
    if (outcome !== "applied") throw new Error(`${command} was not applied`);
  }
  await pipeline.close();

  console.log(`${end.saved} of ${end.requested} pictures saved`);
  if (end.missingScenes.length > 0) throw new Error(`scenes without all their pictures: ${end.missingScenes.join(", ")}`);
}

try {
  await main(...process.argv.slice(2));
} catch (e) {
  console.error(`error: ${e.message}`);
  process.exit(1);
}
