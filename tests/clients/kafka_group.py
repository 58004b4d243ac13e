"""Waits until a consumer group has a number of members that all have partitions, and prints how many each has."""

import argparse
import json
import sys
import time

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--members", type=int, required=True)
    parser.add_argument("--within", type=float, default=60, help="seconds")
    options = parser.parse_args()
    admin = AdminClient({"bootstrap.servers": options.bootstrap})
    until = time.monotonic() + options.within
    while True:
        group = admin.describe_consumer_groups([options.group], request_timeout=10)[options.group].result()
        shares = sorted(len(member.assignment.topic_partitions) for member in group.members)
        if group.state == ConsumerGroupState.STABLE and len(shares) == options.members and all(shares):
            print(json.dumps(shares))
            return
        if time.monotonic() > until:
            sys.exit(f"{options.group} is {group.state.name} with partitions {shares}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
