#!/usr/bin/env python3
"""Kills processes of a real cluster, and its Kafka broker, and compares what the jobs have written to Kafka and to a bucket with what they
have read.

Numbered records are written to a topic. A job counts and sums them per key and window, and joins some with the next one of their key, in an
interval of time; it writes both to topics and, as Parquet, to a bucket, exactly once. Its checkpoints are in the bucket too. A join of two results that change, the count and the
sum of each key, goes to a topic alone: files take what is only added. Five more topics have records that replace each
other: a copy of what was read; which key has a sum with a given remainder, so that keys move from one remainder to another, and leave some to
none, which is read back as a table and written once more; and the record of each key that is the last in an order of the query's own.

Meanwhile processes of the cluster are killed with SIGKILL, the leader included, and started again: at random, and when they come to a named
point of a checkpoint or its commit, which two proxies see (`points`):

  before prepare               the rows of an epoch are about to be stored
  after prepare                they are stored, or an operator's state, and the leader has not written that the epoch is complete
  between manifest and Raft    it has, and has proposed nothing
  after the manifest           it proposes it; or a worker dies at that time
  mid-commit                   rows go to the broker and to the bucket
  committed, not acknowledged  they are there, and the leader has not been told

Now and then the broker is killed and started again. All of the cluster is killed in the middle of a commit and stays down for longer than
transactions may take; once the job is rescaled.

Afterwards a reader of committed records, and a reader of Parquet that is not Weir's, have to find each result of a window, and each pair, once and
nothing else. The latter looks into the bucket all the while: what shows has to be whole, to stay, and to hold nothing twice. Of the join, each record has to be the answer over the first so many
records of its key, each number of them at most once and in order, and the last one that over all. `upserts` says what has to be found of the
others. All the while the sinks are audited, and no answer may contradict what the cluster believes to be committed.

The oracle is computed here, from the topic that was read. Records are written and read by Kafka's own tools.

  tests/kafka_chaos.py --seconds 60         kill for a minute
  tests/kafka_chaos.py --kills 200          kill so often
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import bucket
from broker import Kafka, Producer
from chaos import Cluster, wait_for
from points import MOMENTS, KafkaProxy, ObjectProxy, Trap
from upserts import TARGETS, wrong_upserts

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
KEYS, PARTITIONS, WINDOW = 20, 3, 2
# Of every so many records the next one of its key is looked for.
PAIRED = 7
# Records that end the input.
ENDS = 200
PARALLELISM, RESCALED = 2, 3
# Longer than the cluster is down at other times, and shorter than when all of it is.
TRANSACTION_TIMEOUT = 5
# Named points at which processes are killed. Whoever comes there is, but where it is said that a worker is killed when the leader does.
STAGES = {
    "before prepare": ["staging asked"],
    "after prepare": ["staging answered", "staging heard", "state answered", "state heard", "manifest asked"],
    "between manifest and Raft": ["manifest answered"],
    "after the manifest": ["manifest heard", "manifest heard by the leader"],
    "mid-commit": [f"{step} {moment}" for step in ("fence", "begin", "rows", "marker", "file") for moment in MOMENTS] + ["commit asked", "end asked"],
    "committed, not acknowledged": ["commit answered", "commit heard", "end answered", "end heard"],
}
# With a transaction open, or in doubt.
OPEN = ["rows answered", "marker answered", "commit asked"]
TOPICS = ["windows", "pairs", "joined", *TARGETS]
JOB = """
CREATE TABLE numbered (
  k STRING, n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts
) WITH ('connector' = 'kafka', 'topic' = 'numbered', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
        'scan.startup.mode' = 'earliest-offset', 'scan.watermark.idle-timeout' = '1 h');
CREATE TABLE windows (
  k STRING, window_start TIMESTAMP(3), records BIGINT, total BIGINT
) WITH ('connector' = 'kafka', 'topic' = 'windows', 'properties.bootstrap.servers' = '{servers}', 'value.format' = 'json',
        'key.format' = 'raw', 'key.fields' = 'k', 'properties.transaction.timeout.ms' = '{timeout}');
CREATE TABLE window_files (
  k STRING, window_start TIMESTAMP(3), records BIGINT, total BIGINT
) WITH ('connector' = 'filesystem', 'path' = 's3://weir/windows', 'format' = 'parquet');
CREATE VIEW counted AS
SELECT k, window_start, COUNT(*) AS records, SUM(n) AS total
FROM TUMBLE(TABLE numbered, DESCRIPTOR(ts), INTERVAL '{window}' SECOND)
GROUP BY window_start, window_end, k;
INSERT INTO windows SELECT * FROM counted;
INSERT INTO window_files SELECT * FROM counted;
CREATE TABLE pairs (
  k STRING, n BIGINT, following BIGINT
) WITH ('connector' = 'kafka', 'topic' = 'pairs', 'properties.bootstrap.servers' = '{servers}', 'value.format' = 'json',
        'key.format' = 'raw', 'key.fields' = 'k', 'properties.transaction.timeout.ms' = '{timeout}');
CREATE TABLE pair_files (
  k STRING, n BIGINT, following BIGINT
) WITH ('connector' = 'filesystem', 'path' = 's3://weir/pairs', 'format' = 'parquet');
CREATE VIEW paired AS
SELECT a.k, a.n, b.n AS following
FROM numbered AS a
JOIN numbered AS b ON a.k = b.k AND b.ts BETWEEN a.ts + INTERVAL '0.001' SECOND AND a.ts + INTERVAL '{step}' SECOND
WHERE a.n % {paired} = 0;
INSERT INTO pairs SELECT * FROM paired;
INSERT INTO pair_files SELECT * FROM paired;
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


class Numbers(Producer):
    """Numbers, one after the other; event time is an order that they have beside it."""

    def __init__(self, kafka, rate, log):
        super().__init__(kafka, "numbered", log)
        self.rate = rate
        self.start()

    def run(self):
        while not self.stopping.is_set():
            for _ in range(self.rate // 10):
                self.write(f"key{self.number % KEYS}", self.number, text(START + timedelta(milliseconds=self.number)))
                self.number += 1
            self.child.stdin.flush()
            time.sleep(0.1)
        # So late that all windows close; keys enough for each partition to get some.
        for key in range(ENDS):
            self.write(f"end{key}", 0, text(START + timedelta(days=1)))
        self.child.stdin.close()

    def finish(self):
        """How many records were written."""
        super().finish()
        return self.number + ENDS


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


def found(records, columns):
    rows = [(key, json.loads(value)) for key, value in records]
    if any(key != row["k"] for key, row in rows):
        raise SystemExit("a record has the key of another one")
    return Counter(tuple(row[column] for column in columns) for _, row in rows)


def paired(records):
    """Of some records of each key, the next one."""
    last, pairs = {}, Counter()
    for key, value in records:
        number = json.loads(value)["n"]
        if key in last and last[key] % PAIRED == 0 and not key.startswith("end"):
            pairs[key, last[key], number] += 1
        last[key] = number
    return pairs


class Faults:
    """One process after the other, a moment down each; the broker, the leader and all at once have their turns, and so have named points.
    The job is rescaled meanwhile. That goes on for so many seconds, or until there were so many kills. `log` is told what was done when."""

    def __init__(self, cluster, kafka, trap, rng, log, seconds, kills):
        self.cluster, self.kafka, self.trap, self.rng, self.log = cluster, kafka, trap, rng, log
        self.began, self.seconds, self.wanted = time.monotonic(), seconds, kills
        self.kills, self.points, self.missed, self.processes = Counter(), Counter(), 0, [*cluster.coordinators.values(), *cluster.workers.values()]
        self.turns = {stage: self.shuffled(points) for stage, points in STAGES.items()}
        self.stages = self.shuffled(list(STAGES))
        self.is_rescaled = False

    def shuffled(self, what):
        """For ever, in another order each time."""
        while True:
            yield from self.rng.sample(what, len(what))

    def note(self, *what):
        print(datetime.now(timezone.utc).isoformat(timespec="milliseconds"), *what, file=self.log, flush=True)

    def kill(self, victims, kind):
        for victim in victims:
            victim.kill()
        self.kills[kind] += len(victims)
        self.note("killed", kind, *(victim.name for victim in victims))

    def done(self):
        """The share of what is to be done."""
        if self.wanted:
            return self.kills.total() / self.wanted
        return (time.monotonic() - self.began) / self.seconds

    def run(self):
        outages = [0.4] if not self.wanted else [0.15, 0.3, 0.45, 0.6, 0.75]
        while (done := self.done()) < 1:
            time.sleep(self.rng.uniform(0.3, 1.5))
            if not self.is_rescaled and done > 0.2:
                self.is_rescaled = self.rescale()
            chance = self.rng.random()
            if outages and done > outages[0]:
                outages.pop(0)
                self.outage()
            elif chance < 0.04:
                self.restart_broker()
            elif chance < 0.4:
                self.kill_at_a_point()
            else:
                self.kill_at_random()
        if not self.is_rescaled:
            wait_for("the job cannot be rescaled", self.rescale, 60)

    def rescale(self):
        """Whether the job has another parallelism from now on: that takes a leader, and the slots."""
        return self.cluster.command("jobs", "rescale", "chaos", "-p", str(RESCALED), check=False).returncode == 0

    def restart_broker(self):
        self.kafka.kill()
        self.kills["broker"] += 1
        self.note("killed the broker")
        time.sleep(self.rng.choice([0, 1, 3]))
        self.kafka.up()
        self.note("the broker is back")

    def start_again(self, process):
        time.sleep(self.rng.choice([0, 0.2, 1, 2]))
        process.start()

    def kill_at_random(self):
        chance = self.rng.random()
        if chance < 0.3:
            victim, kind = self.cluster.coordinators[self.cluster.leader(patience=60)], "leader"
        elif chance < 0.5:
            victim, kind = self.rng.choice([*self.cluster.coordinators.values()]), "coordinator"
        else:
            # One that has sources, state and sinks of the job.
            placed = ((self.cluster.job() or {}).get("placement") or {}).get("workers") or []
            names = [worker["worker"] for worker in placed] or [f"w{i}" for i in self.cluster.workers]
            victim, kind = self.cluster.workers[int(self.rng.choice(names)[1:])], "worker"
        self.kill([victim], kind)
        self.start_again(victim)

    def trapped(self, point, victims):
        """Whoever died at a point, if anybody came there."""
        died = []

        def kill(process):
            process.kill()
            died.append(process)

        self.trap.arm(point, {pid: lambda victim=victim: kill(victim) for pid, victim in victims.items()})
        self.trap.hit.wait(8)
        return died[0] if self.trap.disarm() else None

    def kill_at_a_point(self):
        stage = next(self.stages)
        point = next(self.turns[stage])
        victims = {process.child.pid: process for process in self.processes}
        if by_leader := point.endswith(" by the leader"):
            worker = self.rng.choice([*self.cluster.workers.values()])
            victims = {pid: worker for pid in victims}
        died = self.trapped(point.removesuffix(" by the leader"), victims)
        if died is None:
            self.missed += 1
            self.note("nobody came to", point)
            return
        self.note("killed at", point, died.name)
        self.kills[stage] += 1
        self.points[f"{point}: {'a worker' if by_leader else died.name.split('-')[0]}"] += 1
        self.start_again(died)

    def outage(self):
        """All are down for longer than a transaction may take that is left open."""
        self.trapped(self.rng.choice(OPEN), {process.child.pid: process for process in self.processes})
        self.kill(self.processes, "all for a while")
        time.sleep(TRANSACTION_TIMEOUT + 5)
        for process in self.processes:
            process.start()

    def tell(self):
        print(f"killed {self.kills.total()} in {time.monotonic() - self.began:.0f} s:",
              ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items())))
        print(f"at {len(self.points)} points:", ", ".join(f"{point} {count}" for point, count in sorted(self.points.items())) + ";",
              f"{self.missed} more times nobody came to the point")


def compare(what, expected, found):
    """Whether each result is there once, and nothing else."""
    lost, more = expected - found, found - expected
    print(f"{what}: {expected.total()} results: {lost.total()} lost, {more.total()} doubled or wrong")
    for kind, which in [("lost", lost), ("too many", more)]:
        for row in list(which)[:5]:
            print(f"{kind}: {row}")
    return not lost and not more


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--kills", type=int, help="how often, instead")
    parser.add_argument("--rate", type=int, default=2000, help="records a second (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults (default: random)")
    parser.add_argument("--port", type=int, default=19292, help="of the broker, and twenty behind it (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    arguments = parser.parse_args()
    bucket.be_able_to_read()
    rng, port = random.Random(arguments.seed), arguments.port
    print(f"seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="weir-kafka-chaos-"))
    trap = Trap()
    kafka, store = Kafka(folder / "kafka", port, port + 2), bucket.Store(folder / "s3", port + 4, port + 5)
    KafkaProxy(trap, port + 2, port)
    ObjectProxy(trap, port + 5, port + 4)
    good, producer, cluster, reader = False, None, None, None
    try:
        kafka.up()
        kafka.make(["numbered", *TOPICS], PARTITIONS)
        store.up()
        os.environ.update(store.environment)
        cluster = Cluster(str(Path(arguments.weir).resolve()), folder, False, "s3://weir/checkpoints", port + 10)
        cluster.leader()
        script = "".join([JOB, *TARGETS.values()])
        script = script.format(servers=kafka.servers, window=WINDOW, timeout=TRANSACTION_TIMEOUT * 1000, paired=PAIRED, step=KEYS / 1000)
        (folder / "job.sql").write_text(script)
        cluster.command("submit", str(folder / "job.sql"), "--name", "chaos", "-p", str(PARALLELISM), "--detach",
                        "-D", "execution.checkpointing.interval=300ms", "-D", "restart-strategy.exponential-delay.max-backoff=1s")
        wait_for("the job does not run", lambda: (cluster.job() or {}).get("status") == "running", 60)
        with open(folder / "producer.log", "ab") as log:
            producer = Numbers(kafka, arguments.rate, log)
        auditor, reader = Auditor(cluster), bucket.Reader(store, ["windows", "pairs"])
        with open(folder / "faults.log", "a") as log:
            faults = Faults(cluster, kafka, trap, rng, log, arguments.seconds, arguments.kills)
            faults.run()
        count = producer.finish()
        faults.tell()
        good = judge(cluster, kafka, count, auditor, reader)
        return 0 if good else 1
    finally:
        if cluster:
            cluster.end()
        if producer and producer.child.poll() is None:
            # With what the script has started: it would write to the next broker on this port.
            os.killpg(producer.child.pid, signal.SIGKILL)
        kafka.kill()
        if reader:
            reader.finish()
        store.down()
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs are in {folder}")


def judge(cluster, kafka, count, auditor, reader):
    """Whether all results come of so many records, and nothing else."""
    read = []

    def all_read():
        # A reader that is slow to begin ends without having read all, and one that falls out of its group reads from the beginning again.
        nonlocal read
        read = kafka.records("numbered")
        return len(read) == count

    wait_for("the records that were written are not there, each once", all_read, 120)
    expected, pairs, sums = oracle(read), paired(read), running(read)
    written = {}

    def windows():
        return found(written["windows"], ["k", "window_start", "records", "total"])

    def window_files():
        return Counter({(k, text(start), *rest): count for (k, start, *rest), count in reader.rows["windows"].items()})

    def complete():
        nonlocal written
        # That takes no time, beside what Kafka's tools take.
        reader.look()
        if window_files().total() < expected.total() or reader.rows["pairs"].total() < pairs.total():
            return False
        written = kafka.written(TOPICS)
        is_whole = windows().total() >= expected.total() and len(written["pairs"]) >= pairs.total()
        is_whole = is_whole and wrong_joins(written["joined"], sums)[1]
        return is_whole and all(wrong_upserts(topic, written, read)[1] for topic in TARGETS)

    try:
        wait_for("the results are not complete", complete, 600)
        # What should not be there would come with the next checkpoints.
        before = cluster.job()["last_checkpoint"]["epoch"]
        wait_for("no checkpoint comes", lambda: ((cluster.job() or {}).get("last_checkpoint") or {}).get("epoch", 0) > before + 1, 60)
        wait_for("results are not there any more", complete, 600)
    except SystemExit as error:
        # What is missing is said below.
        print(error)
        written = kafka.written(TOPICS)
    job = cluster.job()
    print(f"{len(read)} records, attempt {job['attempt']}, parallelism {job['parallelism']}")
    good = job["parallelism"] == RESCALED
    good &= compare("windows in Kafka", expected, windows())
    good &= compare("windows in the bucket", expected, window_files())
    good &= compare("pairs in Kafka", pairs, found(written["pairs"], ["k", "n", "following"]))
    good &= compare("pairs in the bucket", pairs, reader.rows["pairs"])
    reader.finish()
    print(f"{len(reader.seen)} files, looked for {reader.looks} times: {len(reader.wrong)} not whole, changed, gone or with a row of another")
    print(*reader.wrong[:5], sep="\n", end="\n" if reader.wrong else "")
    good = good and not reader.wrong and reader.seen
    wrong, is_whole = wrong_joins(written["joined"], sums)
    print(f"the join of {len(sums)} keys: {len(wrong)} wrong, {'all' if is_whole else 'not all'} of the last results")
    print(*wrong[:5], sep="\n", end="\n" if wrong else "")
    good = good and not wrong and is_whole
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
    return good


if __name__ == "__main__":
    sys.exit(main())
