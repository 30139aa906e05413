#!/usr/bin/env python3
"""Has the pictures of a storyboard generated, follows them to their end and reads the receipts.

usage: publish_storyboard.py [STORYBOARD.json]

Needs pika (Debian: python3-pika) and two settings:
  PIPELINE_BROKER  amqp://user:password@host:port/pipeline
  PIPELINE_API     the publisher's HTTP API, such as http://127.0.0.1:17080
The exit status is 0 only when every picture is saved.
"""
import json
import os
import sys
import urllib.request
import uuid

import pika
import pika.exceptions

EVENTS = ["scenes-defined", "image-generated", "generation-ended", "storyboard-completed", "command-rejected", "command-failed"]
SILENCE_LIMIT_S = 120  # without any event: the pipeline is down, or has nothing for us


class Failed(Exception):
    """What the user should read; no stack."""


class Pipeline:
    """One connection with one channel: publishing with confirms, and a queue of our own for one project's events."""

    def __init__(self, broker, project_id):
        self.project_id = project_id
        self.queue = f"client-python-{project_id}"
        self.channel = pika.BlockingConnection(pika.URLParameters(broker)).channel()
        self.channel.confirm_delivery()
        # A service keeps one durable queue for as long as it lives. This one goes an hour after the last reader.
        self.channel.queue_declare(self.queue, durable=True, arguments={"x-expires": 3_600_000})
        for event in EVENTS:  # Bound before anything is published, or the first events would be missed.
            self.channel.queue_bind(self.queue, event, routing_key=project_id)

    def publish(self, name, **command):
        """Returns the command's id once the broker has the command on disk; raises when it has no queue for it.

        basic_publish waits for the confirm, so the next command is written only when this one is safe. That is what keeps
        their order: after a lost connection, send again from the first unconfirmed one, under the same ids. A repeated
        command takes effect once.
        """
        command |= {"commandId": str(uuid.uuid4()), "projectId": self.project_id}
        about = pika.BasicProperties(
            type=name, message_id=command["commandId"], content_type="application/json", delivery_mode=2
        )
        self.channel.basic_publish(name, self.project_id, json.dumps(command), about, mandatory=True)
        return command["commandId"]

    def events(self):
        """Yields (name, event). An event may come twice; whoever counts them compares their message_id."""
        for method, about, body in self.channel.consume(self.queue, inactivity_timeout=SILENCE_LIMIT_S):
            if method is None:
                raise Failed(f"no event for {SILENCE_LIMIT_S} s")
            yield about.type, json.loads(body)
            self.channel.basic_ack(method.delivery_tag)  # After the work: what is not acknowledged comes again.

    def await_event(self, name, command_id):
        for event, content in self.events():
            if event == "image-generated":
                print(f"  picture {content['imageId']} is saved", flush=True)
            elif event == "generation-ended":
                print(f"  no picture for {content['commandId']}: {content['outcome']}, {content['reason']}", flush=True)
            elif content["commandId"] == command_id and event in ("command-rejected", "command-failed"):
                raise Failed(f"{content['command']} {event}: {content['reason']}")
            elif content["commandId"] == command_id and event == name:
                return content

    def close(self):
        self.channel.cancel()
        self.channel.queue_delete(self.queue)
        self.channel.connection.close()


def read_receipt(api, project_id, command_id):
    with urllib.request.urlopen(f"{api}/projects/{project_id}/receipts/{command_id}", timeout=30) as answer:
        return json.load(answer)


def main(path="samples/storyboard.json"):
    with open(path, encoding="utf-8") as file:
        storyboard = json.load(file)
    broker, api = os.environ["PIPELINE_BROKER"], os.environ["PIPELINE_API"]
    pipeline = Pipeline(broker, str(uuid.uuid4()))
    print(f"project {pipeline.project_id}", flush=True)

    # Lane commands of one project are applied in the order of publishing: the second storyboard stands.
    outline = [{"id": x["id"], "index": x["index"]} for x in storyboard["scenes"]]
    commands = [pipeline.publish("define-scenes", scenes=outline), pipeline.publish("define-scenes", scenes=storyboard["scenes"])]
    # Order holds among lane commands only. generate-storyboard has another queue, so wait until the scenes stand.
    pipeline.await_event("scenes-defined", commands[-1])

    commands.append(
        pipeline.publish(
            "generate-storyboard", imagesPerScene=storyboard["imagesPerScene"], model="offline-painter", width=256, height=256
        )
    )
    end = pipeline.await_event("storyboard-completed", commands[-1])
    for command_id in commands:
        receipt = read_receipt(api, pipeline.project_id, command_id)
        print(f"receipt {command_id}: {receipt['command']} {receipt['outcome']} {receipt['reason'] or ''}".rstrip())
        if receipt["outcome"] != "applied":
            raise Failed(f"{receipt['command']} was not applied")
    pipeline.close()

    print(f"{end['saved']} of {end['requested']} pictures saved")
    if end["missingScenes"]:
        raise Failed(f"scenes without all their pictures: {', '.join(end['missingScenes'])}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyError as e:
        sys.exit(f"error: {e.args[0]} is not set, or the storyboard lacks it")
    except (Failed, OSError, pika.exceptions.AMQPError) as e:
        sys.exit(f"error: {type(e).__name__}: {e}")
