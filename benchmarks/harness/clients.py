"""Clients' process of `benchmarks/chaos.py`: submits, reviews, waits for the end, judges and prints the result.

Communicates with the process that makes the faults through files in the folder of the run.
"""

import json
import logging
import sys
import threading
from argparse import Namespace
from pathlib import Path

from benchmarks.harness.blows import read
from benchmarks.harness.story import Story, persistent
from benchmarks.harness.verdict import judge
from benchmarks.harness.watchers import Watchers

LAST_EVENTS = 15.0  # seconds after the end of the last task
BOUND = 5.0  # seconds: lease + 2 x sweep, as set for the run


def main(folder: Path, given: Namespace) -> int:
    """Run the clients. Returns 1 if a call was lost or doubled or, with a guard removed, if none was."""
    logging.disable()  # outages of servers are expected here
    story = Story(given.runs, given.seed, folder)
    (folder / "migrated").touch()
    for job in (story.submit, story.review, story.review):
        threading.Thread(target=job, daemon=True).start()
    watchers = Watchers(given.seed + 2, story.over.is_set)
    watchers.start()
    story.wait_for_first()
    (folder / "begun").touch()
    story.wait_for_end(given.patience / 2)
    watchers.join(LAST_EVENTS)
    blows = read(folder / "blows")
    verdict = persistent(lambda: judge(story, blows, folder / "oracle"))
    for recovery in verdict.slowest(given.slowest):
        print(recovery.told(blows))
    faults = persistent(watchers.faults)
    for fault in faults[:5]:
        print(fault)
    print(f"{verdict.line(given, BOUND)}; watched: {watchers.line()}, {len(faults)} faults", flush=True)
    if given.control:
        return int(not (verdict.lost or verdict.doubled))
    return int(bool(verdict.lost or verdict.doubled or faults))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Namespace(**json.loads(sys.argv[2]))))
