"""Sends events to a Kafka topic: those of JSON lines on standard input, or invented ones. Prints what it sent as JSON.

A line is an object with `value` (text, or an object that becomes JSON) or `base64`, and optionally `key`, `headers`
and `partition`. Invented events are CloudEvents in binary mode; the case id is the key, so the events of one case
share a partition, which Java's partitioner would choose too (murmur2_random). With --transaction all of it is one
transaction.
"""

import argparse
import base64
import collections
import datetime
import json
import os
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from invented import BARRED, uscc

# Each is wrong in its own way, and what can be told of it is told: not JSON, not UTF-8, nothing, a stage that does not
# exist, no id.
POISON = ("not-json", "not-utf8", "empty", "unknown-stage", "no-id")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--create", type=int, default=0, help="first create the topic with so many partitions")
    parser.add_argument("--transaction", metavar="ID", help="transactional id under which all is sent")
    parser.add_argument("--ending", choices=["commit", "abort", "leave"], default="commit", help="of the transaction")
    parser.add_argument("--lines", action="store_true", help="read JSON lines instead of inventing events")
    parser.add_argument("--count", type=int, default=0, help="how many good events")
    parser.add_argument("--start", type=int, default=0, help="number of the first")
    parser.add_argument("--cases", type=int, default=100, help="how many cases they belong to")
    parser.add_argument("--poison", type=int, default=0, help="how many bad messages among them")
    parser.add_argument("--barred-every", type=int, default=10, help="every so many events the bidder is barred; 0: never")
    parser.add_argument("--rate", type=float, default=0, help="events a second; 0: as fast as it goes")
    parser.add_argument("--source", default="python")
    parser.add_argument("--time", default=datetime.datetime.now(datetime.timezone.utc).isoformat())
    return parser.parse_args()


def event(options, n):
    barred = options.barred_every and n % options.barred_every == options.barred_every - 1
    case_id = f"case-{n % options.cases}"
    body = {
        "source": options.source,
        "id": f"{options.source}-{n}",
        "case_id": case_id,
        "scenario": "tender",
        "stage": "evaluate",
        "region": "320505",
        "subjects": [
            {"role": "bidder", "id_type": "USCC", "id": BARRED if barred else uscc(n), "kind": "enterprise"}
        ],
        "attributes": {"mandatory_tender": True},
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": body["id"],
        "ce_source": body["source"],
        "ce_type": "cn.creditgate.event.v1",
        "ce_time": options.time,
        "content-type": "application/json",
    }
    return {"key": case_id, "headers": headers, "value": body}


def poisoned(options, n):
    kind = POISON[n % len(POISON)]
    message = event(options, n)
    # An id of its own, so that no good event can be taken for it.
    name = f"{options.source}-poison-{n}"
    message["headers"] |= {"ce_id": name, "x-poison": kind}
    message["value"]["id"] = name
    match kind:
        case "not-json":
            message["value"] = "{"
        case "not-utf8":
            message["base64"] = base64.b64encode(b'{"id": "\xff\xfe"}').decode()
        case "empty":
            message["value"] = ""
        case "unknown-stage":
            message["value"]["stage"] = "nowhere"
        case "no-id":
            del message["headers"]["ce_id"]
    return message


def invented(options):
    """The good events in their order, the bad ones spread evenly among them."""
    sent = 0
    for n in range(options.count):
        due = (n * options.poison) // max(options.count, 1)
        while sent < due:
            yield poisoned(options, options.start + sent)
            sent += 1
        yield event(options, options.start + n)
    while sent < options.poison:
        yield poisoned(options, options.start + sent)
        sent += 1


def create(options):
    admin = AdminClient({"bootstrap.servers": options.bootstrap})
    topic = NewTopic(options.topic, num_partitions=options.create, replication_factor=1)
    admin.create_topics([topic])[options.topic].result()


def begin(options):
    settings = {
        "bootstrap.servers": options.bootstrap,
        "partitioner": "murmur2_random",
        # Without it a broker that restarts would get some messages twice, and the count would blame others.
        "enable.idempotence": True,
        "linger.ms": 5,
        "reconnect.backoff.max.ms": 500,
        "message.timeout.ms": 300_000,
        # A broker that has fallen silent is given up soon.
        "request.timeout.ms": 5_000,
        "socket.timeout.ms": 10_000,
    }
    if options.transaction:
        del settings["socket.timeout.ms"]
        settings |= {"transactional.id": options.transaction, "transaction.timeout.ms": 5_000, "message.timeout.ms": 5_000}
    producer = Producer(settings)
    if options.transaction:
        producer.init_transactions(30)
        producer.begin_transaction()
    return producer


def end(options, producer):
    producer.flush()
    if options.transaction and options.ending == "commit":
        producer.commit_transaction(30)
    elif options.transaction and options.ending == "abort":
        producer.abort_transaction(30)


def main():
    options = arguments()
    if options.create:
        create(options)
    producer = begin(options)
    partitions = collections.Counter()
    failures = []

    def delivered(error, message):
        if error is None:
            partitions[message.partition()] += 1
        else:
            failures.append(str(error))

    messages = map(json.loads, sys.stdin) if options.lines else invented(options)
    began = time.monotonic()
    for n, message in enumerate(messages):
        if options.rate:
            time.sleep(max(0.0, began + n / options.rate - time.monotonic()))
        value = message.get("value")
        if "base64" in message:
            value = base64.b64decode(message["base64"])
        elif isinstance(value, dict):
            value = json.dumps(value, ensure_ascii=False)
        placed = {"partition": message["partition"]} if "partition" in message else {}
        while True:
            try:
                producer.produce(
                    options.topic,
                    value=value,
                    key=message.get("key"),
                    headers=list(message.get("headers", {}).items()),
                    on_delivery=delivered,
                    **placed,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    end(options, producer)
    report = {
        "sent": partitions.total(),
        "seconds": round(time.monotonic() - began, 3),
        "partitions": {str(partition): count for partition, count in sorted(partitions.items())},
        "failures": failures[:5],
    }
    print(json.dumps(report), flush=True)
    # Without the producer's farewell, which would give up a transaction that is to be left open.
    os._exit(1 if failures else 0)


if __name__ == "__main__":
    main()
