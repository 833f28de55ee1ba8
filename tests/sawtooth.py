#!/usr/bin/env python3
"""Has the load of a real cluster go up and down, and its job with it; compares the results with what was written.

Three coordinators and three workers with two slots each run as processes on this machine. Records are written to a topic, and the rate grows
from --low to --high within --period seconds and then begins anew. A job computes hashes of them, which takes most of its time, and counts
and sums them per key and window; how many slots it has, its load decides (`job.autoscaler.enabled`). When the time is over the windows must
hold each record once and nothing else.

Told for each minute: the rate, the slots, the share of their time that the busiest part is busy, and how far the job is behind. In the end: how many slots it has had
on average, which is to be compared with how many the peak wants; how often it was rescaled, and how long it did not process for that; and
how far it was behind, in records and in seconds. It fails if more slots were not taken and given back in each period, if the job was
rescaled more often than --most times in one, or was ever behind by more than --behind seconds.

Slots are measured by time, so a machine that does much else meanwhile gives the job more of them.

  tests/sawtooth.py                                               an hour, three periods
  tests/sawtooth.py --minutes 12 --period 240 --settle 10         a quick look
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

from broker import Kafka, Producer
from chaos import Cluster, rows, wait_for

KEYS, PARTITIONS, WINDOW = 20, 8, 10
# So late that all windows close; keys enough for each partition to get some.
ENDS, END = 200, "2100-01-01 00:00:00.000"
JOB = """
CREATE TABLE events (
  k STRING, n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'events', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
        'scan.startup.mode' = 'earliest-offset', 'properties.group.id' = 'sawtooth', 'scan.watermark.idle-timeout' = '1 h');
CREATE TABLE windows (
  window_start TIMESTAMP(3), k STRING, records BIGINT, total BIGINT, hashed BIGINT
) WITH ('connector' = 'filesystem', 'path' = '{folder}/windows', 'format' = 'csv');
INSERT INTO windows
SELECT window_start, k, COUNT(*), SUM(n), COUNT(*) FILTER (WHERE CHAR_LENGTH(SHA512(REPEAT(k, {work}))) = 128)
FROM TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '{window}' SECOND)
GROUP BY window_start, window_end, k;
"""


def text(moment):
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.") + f"{int(moment * 1000) % 1000:03}"


class Sawtooth(Producer):
    """Records at a rate that changes, and what their windows are."""

    def __init__(self, kafka, arguments, log):
        super().__init__(kafka, "events", log)
        self.arguments, self.windows = arguments, defaultdict(lambda: [0, 0])
        self.began = time.monotonic()
        self.start()

    def rate(self):
        """Records a second by now."""
        low, high, period = self.arguments.low, self.arguments.high, self.arguments.period
        return low + (high - low) * ((time.monotonic() - self.began) % period) / period

    def run(self):
        owed, last = 0.0, time.monotonic()
        while not self.stopping.wait(0.05):
            now = time.monotonic()
            owed, last = owed + self.rate() * (now - last), now
            moment = time.time()
            window = text(moment // WINDOW * WINDOW)
            for _ in range(int(owed)):
                key = f"key{self.number % KEYS}"
                self.write(key, self.number, text(moment))
                counted = self.windows[window, key]
                counted[0] += 1
                counted[1] += self.number
                self.number += 1
            owed %= 1
            self.child.stdin.flush()
        for key in range(ENDS):
            self.write(f"end{key}", 0, END)
        self.child.stdin.close()


class Watch:
    """What is seen of the job, once a second."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.slots, self.records, self.seconds, self.busy = [], [], [], 0
        self.changes, self.pauses = {}, {}

    def look(self):
        """Whether the job runs."""
        asked = self.cluster.command("jobs", "describe", "sawtooth", "--json", check=False)
        if asked.returncode:
            return False
        job = json.loads(asked.stdout)
        if job["last_failure"]:
            raise SystemExit(f"the job has failed: {job['last_failure']}")
        for decision in job["scaling_decisions"]:
            self.changes[decision["at"]] = decision
        if job["last_pause_ms"] is not None and self.changes:
            self.pauses[job["attempt"]] = job["last_pause_ms"] / 1000
        activities = [(vertex["figures"] or {}).get("activity") or {} for vertex in job["vertices"]]
        lags = [activity for activity in activities if activity.get("lag_records") is not None]
        # While an attempt begins nothing is known yet.
        if job["status"] != "running" or not lags:
            return False
        self.slots.append(job["slots"])
        self.records.append(sum(activity["lag_records"] for activity in lags))
        self.seconds.append(max(activity["lag_ms"] or 0 for activity in lags) / 1000)
        self.busy = (job["load"] or {}).get("busy_percent", 0)
        return True

    def minute(self, rate, number):
        seen = slice(-number, None)
        print(f"{rate:>10.0f} {statistics.mean(self.slots[seen]):>6.1f} {self.busy:>5} % {max(self.records[seen]):>12} {max(self.seconds[seen]):>8.1f}"
              f" {len(self.changes):>9}", flush=True)


def wrong_windows(folder, windows):
    """What is not as it was written."""
    wrong, seen = [], set()
    for start, key, records, total, hashed in rows(folder / "windows"):
        if key.startswith("end"):
            continue
        at = start.replace("T", " ").rstrip("Z")
        found = (text(datetime.fromisoformat(at).replace(tzinfo=timezone.utc).timestamp()), key)
        if found in seen:
            wrong.append(f"twice: {found}")
        seen.add(found)
        expected = windows.get(found)
        if expected is None or [int(records), int(total), int(hashed)] != [*expected, expected[0]]:
            wrong.append(f"{found}: {records}, {total}, {hashed} instead of {expected}")
    return wrong, windows.keys() - seen


def wrong_scaling(watch, arguments):
    """What is not as it should be of how the job was rescaled."""
    periods = arguments.minutes * 60 / arguments.period
    ups = sum(change["to"] > change["from"] for change in watch.changes.values())
    downs = len(watch.changes) - ups
    if min(ups, downs) < int(periods) - 1:
        yield f"slots were taken {ups} times and given back {downs} times in {periods:.0f} periods"
    if len(watch.changes) > arguments.most * periods:
        yield f"the job was rescaled {len(watch.changes)} times in {periods:.0f} periods"
    if max(watch.seconds) > arguments.behind:
        yield f"the job was behind by {max(watch.seconds):.0f} s"


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--minutes", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--period", type=int, default=1200, metavar="SECONDS", help="from one fall of the rate to the next (default: %(default)s)")
    parser.add_argument("--low", type=int, default=200, metavar="RECORDS", help="a second, where the rate is least (default: %(default)s)")
    parser.add_argument("--high", type=int, default=2400, metavar="RECORDS", help="a second, where it is greatest (default: %(default)s)")
    parser.add_argument("--work", type=int, default=40_000, help="how often a key is repeated before it is hashed (default: %(default)s)")
    parser.add_argument("--target", type=int, default=30, metavar="PERCENT", help="how busy the job shall be (default: %(default)s)")
    parser.add_argument("--settle", type=int, default=60, metavar="SECONDS", help="for how long there has to be a reason (default: %(default)s)")
    parser.add_argument("--most", type=int, default=8, help="changes in a period (default: %(default)s)")
    parser.add_argument("--behind", type=int, default=120, metavar="SECONDS", help="that the job may be behind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=19792, help="of the broker, and one behind it (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and results")
    return parser.parse_args()


def run(cluster, kafka, folder, arguments):
    """The windows as they must be, and what was seen."""
    cluster.leader()
    script = JOB.format(servers=kafka.servers, folder=folder, work=arguments.work, window=WINDOW)
    settings = {"job.autoscaler.enabled": "true", "job.autoscaler.max-parallelism": 6, "job.autoscaler.utilization.target": arguments.target / 100,
                "job.autoscaler.stabilization.interval": f"{arguments.settle}s", "execution.checkpointing.interval": "5s"}
    settings = [word for name, value in settings.items() for word in ("-D", f"{name}={value}")]
    cluster.command("submit", "-e", script, "--name", "sawtooth", "-p", "1", "--detach", *settings)
    watch = Watch(cluster)
    wait_for("the job does not run", watch.look, 60)
    with open(folder / "producer.log", "wb") as log:
        producer = Sawtooth(kafka, arguments, log)
    print("  records/s  slots   busy records behind  seconds  rescaled", flush=True)
    for _ in range(arguments.minutes):
        end, looks = time.monotonic() + 60, 0
        while time.monotonic() < end:
            looks += watch.look()
            time.sleep(1)
        watch.minute(producer.rate(), max(looks, 1))
    producer.finish()
    wait_for("not all windows have been closed", lambda: not wrong_windows(folder, producer.windows)[1], 300)
    cluster.command("jobs", "stop", "sawtooth", timeout=120)
    return producer, watch


def main():
    arguments = options()
    folder = Path(tempfile.mkdtemp(prefix="weir-sawtooth-"))
    kafka = Kafka(folder / "broker", arguments.port)
    cluster = None
    good = False
    try:
        kafka.up()
        kafka.make(["events"], PARTITIONS)
        cluster = Cluster(str(Path(arguments.weir).resolve()), folder, False, port=17720)
        producer, watch = run(cluster, kafka, folder, arguments)
        slots, most = statistics.mean(watch.slots), max(watch.slots)
        changes = [f"{change['from']}→{change['to']}" for _, change in sorted(watch.changes.items())]
        behind = statistics.quantiles(watch.seconds, n=100)
        print(f"{producer.number} records; slots: {slots:.2f} on average, {most} at most, so {1 - slots / most:.0%} less than {most} all the time")
        print(f"rescaled {len(changes)} times: {', '.join(changes)}; did not process for {sum(watch.pauses.values()):.1f} s in all, "
              f"{max(watch.pauses.values(), default=0):.1f} s at most")
        print(f"behind: median {behind[49]:.1f} s, 99 of 100 looks below {behind[98]:.1f} s, at most {max(watch.seconds):.1f} s and {max(watch.records)} records")
        wrong, missing = wrong_windows(folder, producer.windows)
        wrong += [f"missing: {window}" for window in missing]
        print(f"WRONG: {len(wrong)}, such as {wrong[:5]}" if wrong else f"right: {len(producer.windows)} windows, each once")
        unwanted = list(wrong_scaling(watch, arguments))
        print("\n".join(f"WRONG: {what}" for what in unwanted), end="\n" if unwanted else "")
        good = not wrong and not unwanted
        return 0 if good else 1
    finally:
        if cluster is not None:
            cluster.end()
        kafka.kill()
        if good and not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs and results are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
