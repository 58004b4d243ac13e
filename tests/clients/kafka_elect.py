"""Gives every partition of a cluster back to its preferred leader, and prints how many changed hands."""

import argparse
import json
import sys
import time

from confluent_kafka import ElectionType, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--within", type=float, default=60, help="seconds")
    options = parser.parse_args()
    admin = AdminClient({"bootstrap.servers": options.bootstrap})
    until = time.monotonic() + options.within
    while True:
        try:
            answers = admin.elect_leaders(ElectionType.PREFERRED).result()
            break
        except KafkaException as failed:
            # Without a time limit of its own: this version of the client does not take one here. A controller that was just chosen needs a moment.
            if time.monotonic() > until:
                sys.exit(str(failed))
            time.sleep(0.5)
    # Those that have their preferred leader already are named with an error of their own, or not at all.
    changed = [place for place, error in answers.items() if error is None]
    refused = [
        f"{place.topic}/{place.partition}: {error}"
        for place, error in answers.items()
        if error is not None and error.code() != KafkaError.ELECTION_NOT_NEEDED
    ]
    if refused:
        sys.exit("; ".join(refused[:5]))
    print(json.dumps(len(changed)))


if __name__ == "__main__":
    main()
