#!/usr/bin/env python3
"""Kills processes of a real cluster, and its Kafka broker, and compares what the jobs have written to Kafka with what they have read.

Numbered records are written to a topic. A job counts and sums them per key and window, and writes the results to another topic, exactly
once; a join of two results that change, the count and the sum of each key, goes to a third. Five more have records that replace each
other: a copy of what was read; which key has a sum with a given remainder, so that keys move from one remainder to another, and leave some to
none, which is read back as a table and written once more; and the record of each key that is the last in an order of the query's own. Meanwhile processes of the cluster are killed
with SIGKILL, the leader included, and now and then the broker, and started again; once, all of the cluster stays down for longer than its
transactions may take, and once the job is rescaled. Afterwards a reader of committed records has to find each result of a window once and
nothing else. Of the join, each record has to be the answer over the first so many records of its key, each number of them at most once and in
order, and the last one that over all. `upserts` says what has to be found of the others. All the while the
sinks are audited, and no answer may contradict what the cluster believes to be committed.

The oracle is computed here, from the topic that was read. Records are written and read by Kafka's own tools.

  tests/kafka_chaos.py --seconds 60         kill for a minute
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

from chaos import Cluster, wait_for
from upserts import TARGETS, wrong_upserts

SERVICE = Path(__file__).with_name("services") / "kafka"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
KEYS, PARTITIONS, WINDOW = 20, 3, 2
PARALLELISM, RESCALED = 2, 3
# Longer than the cluster is down at other times, and shorter than when all of it is.
TRANSACTION_TIMEOUT = 5
JOB = """
CREATE TABLE numbered (
  k STRING, n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'kafka', 'topic' = 'numbered', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
        'scan.startup.mode' = 'earliest-offset', 'scan.watermark.idle-timeout' = '1 h');
CREATE TABLE windows (
  k STRING, window_start TIMESTAMP(3), records BIGINT, total BIGINT
) WITH ('connector' = 'kafka', 'topic' = 'windows', 'properties.bootstrap.servers' = '{servers}', 'value.format' = 'json',
        'key.format' = 'raw', 'key.fields' = 'k', 'properties.transaction.timeout.ms' = '{timeout}');
INSERT INTO windows
SELECT k, window_start, COUNT(*), SUM(n)
FROM TUMBLE(TABLE numbered, DESCRIPTOR(ts), INTERVAL '{window}' SECOND)
GROUP BY window_start, window_end, k;
CREATE TABLE joined (
  k STRING NOT NULL, records BIGINT, total BIGINT, PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'upsert-kafka', 'topic' = 'joined', 'properties.bootstrap.servers' = '{servers}', 'key.format' = 'raw',
        'value.format' = 'json', 'properties.transaction.timeout.ms' = '{timeout}');
CREATE VIEW named AS SELECT COALESCE(k, '') AS k, n FROM numbered;
INSERT INTO joined
SELECT c.k, c.records, s.total
FROM (SELECT k, COUNT(*) AS records FROM named GROUP BY k) AS c
JOIN (SELECT k, SUM(n) AS total FROM named GROUP BY k) AS s ON c.k = s.k;
"""


def text(moment):
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03}"


class Kafka:
    """A broker of its own, and what is written to it and read from it."""

    def __init__(self, folder, port):
        self.folder, self.servers = str(folder), f"127.0.0.1:{port}"
        self.environment = {**os.environ, "KAFKA_PORT": str(port)}
        self("up", self.folder)

    def __call__(self, *arguments):
        done = subprocess.run([SERVICE, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr}")
        return done.stdout

    def records(self, topic):
        """Keys and values of all committed records."""
        return [tuple(line.split("\t", 1)) for line in self("read", topic).splitlines() if "\t" in line]

    def written(self):
        """What is in each topic that the job writes."""
        topics = ["windows", "joined", *TARGETS]
        with ThreadPoolExecutor(3) as readers:
            return dict(zip(topics, readers.map(self.records, topics)))


class Producer(threading.Thread):
    """Numbers, one after the other; event time is an order that they have beside it."""

    def __init__(self, kafka, rate, log):
        super().__init__(daemon=True)
        self.rate, self.stopping, self.number = rate, threading.Event(), 0
        self.child = subprocess.Popen([SERVICE, "write", "numbered"], env=kafka.environment, text=True,
                                      stdin=subprocess.PIPE, stdout=log, stderr=log)
        self.start()

    def write(self, key, number, moment):
        value = json.dumps({"k": key, "n": number, "ts": text(moment)})
        self.child.stdin.write(f"{key}\t{value}\n")

    def run(self):
        while not self.stopping.is_set():
            for _ in range(self.rate // 10):
                self.write(f"key{self.number % KEYS}", self.number, START + timedelta(milliseconds=self.number))
                self.number += 1
            self.child.stdin.flush()
            time.sleep(0.1)
        # So late that all windows close; keys enough for each partition to get some.
        for key in range(200):
            self.write(f"end{key}", 0, START + timedelta(days=1))
        self.child.stdin.close()

    def finish(self):
        self.stopping.set()
        self.join()
        if self.child.wait(timeout=300):
            raise SystemExit("the records could not be written")


class Auditor(threading.Thread):
    """Asks again and again whether the broker has what the cluster believes to be committed. Whenever there is an answer, it has."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.stopping = cluster, threading.Event()
        self.agreed, self.unanswered, self.contradictions = 0, 0, []
        self.start()

    def look(self):
        asked = self.cluster.command("sinks", "audit", "chaos", "--json", "--timeout", "20s", check=False)
        sinks = json.loads(asked.stdout)["sinks"] if asked.returncode in (0, 5) else []
        self.contradictions += [sink for sink in sinks if sink["verdict"] == "disagrees"]
        if asked.returncode:
            self.unanswered += 1
        else:
            self.agreed += 1
        return asked.returncode == 0

    def run(self):
        while not self.stopping.wait(0.5):
            self.look()

    def finish(self):
        self.stopping.set()
        self.join()


def oracle(records):
    """What the windows must be, but for those of the last records, which stay open."""
    windows = defaultdict(lambda: [0, 0])
    for _, value in records:
        row = json.loads(value)
        if row["k"].startswith("end"):
            continue
        moment = datetime.fromisoformat(row["ts"]).replace(tzinfo=timezone.utc)
        start = START + timedelta(seconds=int((moment - START).total_seconds()) // WINDOW * WINDOW)
        window = windows[row["k"], text(start)]
        window[0] += 1
        window[1] += row["n"]
    return Counter({(k, start, count, total): 1 for (k, start), (count, total) in windows.items()})


def running(records):
    """For each key the sums of its first, first two, … numbers."""
    sums, last = defaultdict(list), {}
    for key, value in records:
        number = json.loads(value)["n"]
        if number <= last.get(key, -1):
            raise SystemExit(f"the producer wrote {number} behind {last[key]}: what is late is in no window")
        last[key] = number
        sums[key].append(number + (sums[key][-1] if sums[key] else 0))
    return sums


def wrong_joins(records, sums):
    """What is wrong with the results of the join, and whether the last ones are there."""
    wrong, last = [], {}
    for key, value in records:
        row = json.loads(value)
        if row is None:
            wrong.append(f"{key} was taken back")
        elif row["records"] <= last.get(key, 0):
            wrong.append(f"{key}: {row['records']} records came behind {last[key]}")
        elif row["total"] != sums[key][row["records"] - 1]:
            wrong.append(f"{key}: the first {row['records']} have the sum {sums[key][row['records'] - 1]}, not {row['total']}")
        if row is not None:
            last[key] = row["records"]
    return wrong, all(last.get(key) == len(numbers) for key, numbers in sums.items())


def found(records):
    rows = [(key, json.loads(value)) for key, value in records]
    if any(key != row["k"] for key, row in rows):
        raise SystemExit("a record has the key of another one")
    return Counter((row["k"], row["window_start"], row["records"], row["total"]) for _, row in rows)


def rescale(cluster):
    """Whether the job has another parallelism from now on: that takes a leader, and the slots."""
    return cluster.command("jobs", "rescale", "chaos", "-p", str(RESCALED), check=False).returncode == 0


def faults(cluster, kafka, seconds, rng):
    """One process after the other, a moment down each; the broker, the leader and all at once have their turns. The job is rescaled
    meanwhile."""
    kills = Counter()
    end = time.monotonic() + seconds
    outage = time.monotonic() + seconds * 0.4
    is_rescaled, rescaling = False, time.monotonic() + seconds * 0.2
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.3, 1.5))
        if not is_rescaled and time.monotonic() > rescaling:
            is_rescaled = rescale(cluster)
        if time.monotonic() > outage:
            outage = float("inf")
            processes = [*cluster.coordinators.values(), *cluster.workers.values()]
            for process in processes:
                process.kill()
            kills["all for a while"] += len(processes)
            time.sleep(TRANSACTION_TIMEOUT + 5)
            for process in processes:
                process.start()
            continue
        chance = rng.random()
        if chance < 0.15:
            kafka("kill", kafka.folder)
            kills["broker"] += 1
            time.sleep(rng.choice([0, 1, 3]))
            kafka("up", kafka.folder)
            continue
        if chance < 0.3 and (leader := cluster.leader()) is not None:
            victim, kind = cluster.coordinators[leader], "leader"
        else:
            victim = rng.choice([*cluster.coordinators.values(), *cluster.workers.values(), *cluster.workers.values()])
            kind = victim.name.split("-")[0]
        victim.kill()
        kills[kind] += 1
        time.sleep(rng.choice([0, 0.2, 1, 2]))
        victim.start()
    if not is_rescaled:
        wait_for("the job cannot be rescaled", lambda: rescale(cluster), 60)
    print(f"killed {sum(kills.values())}:", ", ".join(f"{kind} {count}" for kind, count in sorted(kills.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=2000, help="records a second (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults (default: random)")
    parser.add_argument("--port", type=int, default=19292, help="of the broker (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    folder = Path(tempfile.mkdtemp(prefix="weir-kafka-chaos-"))
    kafka = Kafka(folder / "kafka", arguments.port)
    with ThreadPoolExecutor(2) as makers:
        list(makers.map(lambda topic: kafka("make", topic, str(PARTITIONS)), ["numbered", "windows", "joined", *TARGETS]))
    cluster = Cluster(str(Path(arguments.weir).resolve()), folder, False)
    good, producer = False, None
    try:
        cluster.leader()
        script = "".join([JOB, *TARGETS.values()])
        script = script.format(servers=kafka.servers, window=WINDOW, timeout=TRANSACTION_TIMEOUT * 1000)
        (folder / "job.sql").write_text(script)
        cluster.command("submit", str(folder / "job.sql"), "--name", "chaos", "-p", str(PARALLELISM), "--detach",
                        "-D", "execution.checkpointing.interval=300ms")
        wait_for("the job does not run", lambda: (cluster.job() or {}).get("status") == "running", 60)
        with open(folder / "producer.log", "ab") as log:
            producer = Producer(kafka, arguments.rate, log)
        auditor = Auditor(cluster)
        faults(cluster, kafka, arguments.seconds, rng)
        producer.finish()
        read = kafka.records("numbered")
        expected, sums = oracle(read), running(read)

        written = {}

        def complete():
            nonlocal written
            written = kafka.written()
            is_whole = found(written["windows"]).total() >= expected.total() and wrong_joins(written["joined"], sums)[1]
            return is_whole and all(wrong_upserts(topic, written, read)[1] for topic in TARGETS)

        wait_for("the results are not complete", complete, 240)
        # What should not be there would come with the next checkpoints.
        before = cluster.job()["last_checkpoint"]["epoch"]
        wait_for("no checkpoint comes", lambda: ((cluster.job() or {}).get("last_checkpoint") or {}).get("epoch", 0) > before + 1, 60)
        # A reader that is slow to begin ends without having read all.
        wait_for("results are not there any more", complete, 120)
        rows = found(written["windows"])
        lost, more = expected - rows, rows - expected
        job = cluster.job()
        parallelism = job["parallelism"]
        print(f"{len(read)} records, {expected.total()} results, attempt {job['attempt']}, parallelism {parallelism}: {lost.total()} lost, {more.total()} doubled or wrong")
        for what, which in [("lost", lost), ("too many", more)]:
            for row in list(which)[:5]:
                print(f"{what}: {row}")
        wrong, is_whole = wrong_joins(written["joined"], sums)
        print(f"the join of {len(sums)} keys: {len(wrong)} wrong, {'all' if is_whole else 'not all'} of the last results")
        print(*wrong[:5], sep="\n", end="\n" if wrong else "")
        good = not lost and not more and not wrong and is_whole and parallelism == RESCALED
        auditor.finish()
        wait_for("the sinks cannot be audited", auditor.look, 60)
        print(f"{auditor.agreed} audits, {len(auditor.contradictions)} contradictions; {auditor.unanswered} more had no answer")
        print(*auditor.contradictions[:3], sep="\n", end="\n" if auditor.contradictions else "")
        good = good and not auditor.contradictions and auditor.agreed > 1
        for topic in TARGETS:
            wrong, is_whole = wrong_upserts(topic, written, read)
            gone = sum(value == "null" for _, value in written[topic])
            print(f"{topic}: {len(written[topic])} records, {gone} of them without a value, {len(wrong)} wrong,",
                  f"{'all' if is_whole else 'not all'} of the last results")
            print(*wrong[:5], sep="\n", end="\n" if wrong else "")
            good = good and not wrong and is_whole
        return 0 if good else 1
    finally:
        cluster.end()
        if producer and producer.child.poll() is None:
            producer.child.kill()
        kafka("kill", kafka.folder)
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
