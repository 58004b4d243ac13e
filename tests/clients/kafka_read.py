"""Accounts for every event: an independent reader of what was committed. Prints one JSON object.

Reads `PREFIX.events`, `PREFIX.verdicts` and `PREFIX.dead-letters` from the beginning to the end that each has when no
transaction is open any more, with isolation.level=read_committed. With --expect it goes on until as many events have a
verdict or a dead letter, at most --within seconds. What it says:

  events, verdicts, dead_letters   records; `events_distinct` and `verdicts_distinct` by source and id
  doubled                          events with more than one verdict for the same cause
  missing                          events with neither verdict nor dead letter
  unasked                          verdicts without an event: checks that came another way
  misplaced                        verdicts in another partition than their event, or under another key than its case
  outcomes, codes, list_versions   how often each occurs
  open                             records beyond the last decided transaction when it ended (0: none is open)
  disordered                       verdicts that lie behind one for a later event of the same case
  late_ms                          longest time from an event to its verdict, by source of the events
  torn                             with --case-state: verdicts without their record in the case state, and the reverse
  pause_ms                         longest time between two verdicts, by partition of the verdicts
  ahead, behind                    with --group: what is settled at or after the group's committed offset, and what is
                                   not settled before it; both are 0 when results and offsets are committed as one
"""

import argparse
import base64
import collections
import json
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

SAMPLES = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--expect", type=int, default=0, help="how many events must have a verdict or a dead letter")
    parser.add_argument("--within", type=float, default=60, help="seconds to wait for them, and for open transactions")
    parser.add_argument("--group", help="compare with the committed offsets of this consumer group")
    parser.add_argument("--case-state", action="store_true", help="compare verdicts with PREFIX.case-state")
    parser.add_argument("--records", action="store_true", help="also print verdicts and dead letters whole")
    return parser.parse_args()


class Reader:
    """One topic, read to the end of what is decided."""

    def __init__(self, bootstrap, admin, topic):
        self.admin = admin
        self.topic = topic
        self.records = []
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                # Never joins this group and commits nothing: it only has to have a name.
                "group.id": "tests-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        known = self.consumer.list_topics(topic, timeout=30).topics[topic]
        if known.error is not None:
            raise SystemExit(f"{topic}: {known.error}")
        self.partitions = sorted(known.partitions)
        self.reached = dict.fromkeys(self.partitions, 0)
        self.consumer.assign([TopicPartition(topic, partition, 0) for partition in self.partitions])

    def ends(self, isolation):
        wanted = {TopicPartition(self.topic, partition): OffsetSpec.latest() for partition in self.partitions}
        for left in reversed(range(60)):
            answers = self.admin.list_offsets(wanted, isolation_level=isolation, request_timeout=30)
            try:
                return {place.partition: answer.result().offset for place, answer in answers.items()}
            except KafkaException:
                # Just after somebody died, brokers may know less than this client does.
                if not left:
                    raise
                time.sleep(0.5)

    def open(self):
        """Records after the last decided transaction."""
        decided = self.ends(IsolationLevel.READ_COMMITTED)
        return sum(end - decided[partition] for partition, end in self.ends(IsolationLevel.READ_UNCOMMITTED).items())

    def read(self, until):
        """Reads to the decided end as it is now; says whether it came there in time."""
        goal = self.ends(IsolationLevel.READ_COMMITTED)
        while any(self.reached[partition] < end for partition, end in goal.items()):
            if time.monotonic() > until:
                return False
            for record in self.consumer.consume(2000, timeout=0.2):
                error = record.error()
                if error is None:
                    self.records.append(record)
                elif error.code() != KafkaError._PARTITION_EOF:
                    continue  # the client tries again by itself
                # The end of a partition counts control records too, which are never handed out.
                after = record.offset() + (1 if error is None else 0)
                self.reached[record.partition()] = max(self.reached[record.partition()], after)
        return True


def text(raw):
    return None if raw is None else raw.decode("utf-8", "replace")


def headers(record):
    return {name: text(value) for name, value in record.headers() or []}


def name_of_event(record):
    """Source and id of a CloudEvent, or None where there is none."""
    attributes = headers(record)
    if (attributes.get("content-type") or "").startswith("application/cloudevents+json"):
        try:
            outer = json.loads(record.value())
            return outer["source"], outer["id"]
        except (ValueError, KeyError, TypeError):
            return None
    try:
        return attributes["ce_source"], attributes["ce_id"]
    except KeyError:
        return None


class Account:
    """Everything read, brought together."""

    def __init__(self, topic, events, verdicts, dead_letters):
        self.topic = topic
        self.events = events
        self.verdicts = [(record, json.loads(record.value())) for record in verdicts]
        self.dead_letters = [(record, headers(record)) for record in dead_letters]
        self.judged = collections.Counter(
            (verdict["source"], verdict["event_id"]) for _, verdict in self.verdicts if by_event(verdict)
        )
        # With the topic: reports of measures have letters too, and places of their own.
        self.buried = {
            (
                attributes.get("creditgate-topic", topic),
                int(attributes["creditgate-partition"]),
                int(attributes["creditgate-offset"]),
            )
            for _, attributes in self.dead_letters
        }

    def settled(self, record):
        place = (self.topic, record.partition(), record.offset())
        return name_of_event(record) in self.judged or place in self.buried

    def settled_count(self):
        return sum(map(self.settled, self.events))

    def against(self, committed):
        """What is settled although the group has not passed it, and what is not although it has."""
        ahead, behind = [], []
        for record in self.events:
            passed = record.offset() < committed.get(record.partition(), 0)
            if passed != self.settled(record):
                (behind if passed else ahead).append(f"{record.partition()}/{record.offset()}")
        return ahead, behind

    def report(self):
        places = {}
        for record in self.events:
            # The first of its id is the one judged; a later one with other content is a conflict.
            places.setdefault(name_of_event(record), (record.partition(), text(record.key())))
        places.pop(None, None)
        slots = collections.Counter(verdict["verdict_id"] for _, verdict in self.verdicts)
        misplaced, unasked = [], 0
        for record, verdict in self.verdicts:
            place = places.get((verdict["source"], verdict["event_id"]))
            if place is None:
                unasked += 1
            elif by_event(verdict) and place != (record.partition(), text(record.key())):
                misplaced.append(verdict["event_id"])
        missing = [f"{r.partition()}/{r.offset()}" for r in self.events if not self.settled(r)]
        doubled = {
            "/".join((verdict["source"], verdict["event_id"]))
            for _, verdict in self.verdicts
            if slots[verdict["verdict_id"]] > 1
        } | {"/".join(name) for name, count in self.judged.items() if count > 1}
        return {
            "events": len(self.events),
            "events_distinct": len(places),
            "verdicts": len(self.verdicts),
            "verdicts_distinct": len(self.judged),
            "dead_letters": len(self.dead_letters),
            "dead_letters_distinct": len(self.buried),
            "doubled": len(doubled),
            "missing": len(missing),
            "misplaced": len(misplaced),
            "samples": {
                "doubled": sorted(doubled)[:SAMPLES],
                "missing": missing[:SAMPLES],
                "misplaced": misplaced[:SAMPLES],
            },
            "unasked": unasked,
            "outcomes": counted(verdict["outcome"] for _, verdict in self.verdicts),
            "list_versions": counted(verdict.get("list_version", "") for _, verdict in self.verdicts),
            "disordered": self.disordered(),
            "late_ms": self.late(),
            "codes": counted(attributes.get("creditgate-code", "") for _, attributes in self.dead_letters),
            "pause_ms": self.pauses(),
        }

    def pauses(self):
        times = collections.defaultdict(list)
        for record, _ in self.verdicts:
            times[record.partition()].append(record.timestamp()[1])
        longest = {}
        for partition, stamps in sorted(times.items()):
            stamps.sort()
            longest[str(partition)] = max((after - before for before, after in zip(stamps, stamps[1:])), default=0)
        return longest

    def by_event(self):
        """Verdicts in their order, each with the first event of its id."""
        events = {}
        for record in self.events:
            events.setdefault(name_of_event(record), record)
        for record, verdict in self.verdicts:
            event = events.get((verdict["source"], verdict["event_id"]))
            if event is not None and by_event(verdict):
                yield record, verdict, event

    def disordered(self):
        reached, count = {}, 0
        for record, _, event in self.by_event():
            count += event.offset() < reached.get(record.key(), -1)
            reached[record.key()] = max(event.offset(), reached.get(record.key(), -1))
        return count

    def late(self):
        longest = {}
        for record, verdict, event in self.by_event():
            took = record.timestamp()[1] - event.timestamp()[1]
            longest[verdict["source"]] = max(took, longest.get(verdict["source"], 0))
        return longest

    def torn(self, states):
        """Verdicts and their records in the case state lie in one transaction, so each has the other."""
        # The key is the case, which may hold anything, the verdict's id, and the beginning of its digest.
        kept = {
            tuple(text(record.key()).rsplit("/", 2)[1:]) for record in states if headers(record).get("kind") == "verdict"
        }
        told = {(verdict["verdict_id"], verdict["verdict_digest"][:16]) for _, verdict in self.verdicts}
        return sorted("/".join(name) for name in kept ^ told)

    def whole(self):
        def placed(record, **more):
            return {
                "partition": record.partition(),
                "offset": record.offset(),
                "key": text(record.key()),
                "headers": headers(record),
                **more,
            }

        return {
            "verdict_records": [placed(record, verdict=verdict) for record, verdict in self.verdicts],
            "dead_letter_records": [
                placed(record, base64=base64.b64encode(record.value() or b"").decode())
                for record, _ in self.dead_letters
            ],
        }


def by_event(verdict):
    """Not a verdict that a change of lists, book or time brought about."""
    return verdict.get("cause", "event") == "event"


def counted(names):
    return dict(sorted(collections.Counter(names).items()))


def committed_offsets(admin, group, topic, partitions, until):
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition) for partition in partitions])]
    while True:
        (answer,) = admin.list_consumer_group_offsets(wanted, require_stable=True, request_timeout=30).values()
        try:
            places = answer.result().topic_partitions
        except KafkaException as failed:
            error = failed.args[0]
        else:
            error = next((place.error for place in places if place.error), None)
        if error is None:
            return {place.partition: max(place.offset, 0) for place in places}
        # The topics may know the end of a transaction a moment before the group does.
        if time.monotonic() > until:
            raise SystemExit(f"{group}: {error}")
        time.sleep(0.2)


def account_of(readers):
    return Account(readers[0].topic, *(reader.records for reader in readers))


def main():
    options = arguments()
    until = time.monotonic() + options.within
    admin = AdminClient({"bootstrap.servers": options.bootstrap})
    readers = [
        Reader(options.bootstrap, admin, f"{options.prefix}.{name}") for name in ("events", "verdicts", "dead-letters")
    ]
    _, verdicts, dead_letters = readers
    while True:
        # Results before events: every result then finds its event.
        in_time = all([reader.read(until) for reader in reversed(readers)])
        undecided = sum(reader.open() for reader in readers)
        if not in_time or time.monotonic() > until:
            break
        # The account is dear; the plain number of results says whether it is worth drawing up.
        if undecided == 0 and len(verdicts.records) + len(dead_letters.records) >= options.expect:
            if account_of(readers).settled_count() >= options.expect:
                break
        time.sleep(0.2)
    account = account_of(readers)
    report = account.report() | {"open": undecided, "in_time": in_time}
    if options.case_state:
        states = Reader(options.bootstrap, admin, f"{options.prefix}.case-state")
        report["in_time"] &= states.read(until + 30)
        torn = account.torn(states.records)
        report["torn"] = len(torn)
        report["samples"]["torn"] = torn[:SAMPLES]
    if options.group:
        events = readers[0]
        committed = committed_offsets(admin, options.group, events.topic, events.partitions, until + 10)
        ahead, behind = account.against(committed)
        report |= {"ahead": len(ahead), "behind": len(behind), "committed": sum(committed.values())}
        report["samples"] |= {"ahead": ahead[:SAMPLES], "behind": behind[:SAMPLES]}
    if options.records:
        report |= account.whole()
    print(json.dumps(report, ensure_ascii=False))


if __name__ == "__main__":
    main()
