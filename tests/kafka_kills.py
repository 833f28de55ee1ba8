#!/usr/bin/env python3
"""Kills a job at each named point of its commits to Kafka, and looks whether each record is there once afterwards.

The job copies numbers from one topic to another, exactly once. Its process is killed with SIGKILL when it comes to a point. The next
process has another point, and so on; the last one is left alone. strace tells, and holds up for a moment, when the job
puts a file in its place, and a checkpoint is made of such files:

  staging          the rows of an epoch, which its sinks have handed over
  manifest         what decides that the epoch is complete
  acknowledgement  the note that it has been committed

`asked`: the file is not there yet. `done`: it is, and the job has not gone on. In a cluster another step is between a manifest and the
decision: the leader has written it, and its peers have not heard of it. So coordinators are killed there too, while a cluster copies the numbers
to a third topic.

A proxy stands between the job and a real broker. When the request or the answer comes that a point names, the job is killed, and the
message goes no further. `points` says which there are: before, in and behind the transaction, until the job writes down that the epoch is
committed.

  tests/kafka_kills.py --rounds 1           each point once
  tests/kafka_kills.py --at-least-once      a sink without transactions: the same kills have to be seen in what it writes
"""

import argparse
import json
import os
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from broker import Kafka
from chaos import Cluster, wait_for
from points import MOMENTS, REQUESTS, KafkaProxy, Trap

FILES = {"staging": r"runs/[^/]*-staged-[^/]*", "manifest": r"checkpoints/[^/]*", "acknowledgement": r"commits/[^/]*"}
POINTS = [f"{step} {moment}" for step in FILES for moment in ("asked", "done")]
POINTS += [f"{step} {moment}" for step in REQUESTS for moment in MOMENTS]
LEADER_POINTS = ["manifest asked", "manifest done"]
# Objects are linked to their names from where they have been written, and that name is taken away: nothing is done in between.
STRACE = ["strace", "--follow-forks", "--quiet=all", "--trace=linkat,unlink", "--inject=linkat,unlink:delay_enter=100ms"]
LINK = re.compile(r'(\d+) +linkat\(AT_FDCWD, "([^"]+)", AT_FDCWD, "([^"]+)"')
UNLINK = re.compile(r'(\d+) +unlink\("([^"]+)"')
RECORDS, PARTITIONS, RATE = 60_000, 3, 6000
JOB = """
CREATE TABLE numbers (n BIGINT) WITH (
  'connector' = 'kafka', 'topic' = 'numbers', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
  'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'scan.records-per-second.limit' = '{rate}');
CREATE TABLE copies (n BIGINT) WITH (
  'connector' = 'kafka', 'topic' = '{target}', 'properties.bootstrap.servers' = '{servers}', 'format' = 'json',
  'sink.delivery-guarantee' = '{guarantee}');
INSERT INTO copies SELECT n FROM numbers;
"""


class Trace(threading.Thread):
    """Kills a process at a point of its files. `arguments` are strace's: a command, or a process that runs."""

    def __init__(self, point, *arguments, **streams):
        super().__init__(daemon=True)
        step, self.moment = point.split(" ")
        self.point, self.target = point, re.compile(f"/{FILES[step]}$")
        # Where each file was written first, and where it is to be; and the one of them that the process was killed at.
        self.written, self.hit = {}, None
        self.text, told = os.pipe()
        self.child = subprocess.Popen([*STRACE, f"--output=/dev/fd/{told}", *arguments], pass_fds=[told], **streams)
        os.close(told)
        self.start()

    def run(self):
        # What a call is about is told before it is held up, and what became of it afterwards.
        seen = ""
        while piece := os.read(self.text, 1 << 16):
            seen += piece.decode(errors="replace")
            if (reached := self.reached(seen)) is not None:
                thread, self.hit = reached
                os.kill(thread, signal.SIGKILL)
                break
            seen = seen[seen.rfind("\n") + 1:]
        # Until all has been told strace may wait.
        while os.read(self.text, 1 << 16):
            pass

    def reached(self, seen):
        """A thread of the process that is at the point, and the file."""
        for thread, source, target in LINK.findall(seen):
            if self.target.search(target):
                self.written[source] = Path(target)
                if self.moment == "asked":
                    return int(thread), Path(target)
        at = ((int(thread), self.written[source]) for thread, source in UNLINK.findall(seen) if source in self.written)
        return next(at, None)

    def wait(self):
        self.join(300)
        self.child.wait(timeout=10)
        os.close(self.text)

    def check(self):
        """Whether the process has died at the point, by what it has left: the file is there, or not yet."""
        if self.hit is None:
            raise SystemExit(f"it has ended without coming to '{self.point}'")
        if self.hit.exists() != (self.moment == "done"):
            raise SystemExit(f"the kill came {'too late for' if self.hit.exists() else 'before'} '{self.point}': {self.hit}")


def numbers(kafka, topic):
    return Counter(json.loads(value)["n"] for _, value in kafka.records(topic))


def run_job(weir, script, folder, trap, point):
    """One process of the job, to its end or to the point. Whether it has come to its end."""
    command = [weir, "run", str(script), "--quiet", "--state-dir", str(folder / "state"), "--parallelism", "2",
               "-D", "execution.checkpointing.interval=50ms", "-D", "execution.batch-rows=256"]
    with open(folder / "job.log", "ab") as log:
        if point and point.split(" ")[0] in FILES:
            trace = Trace(point, *command, stdout=log, stderr=log)
            trace.wait()
            code = trace.child.returncode
        else:
            trace = None
            child = subprocess.Popen(command, stdout=log, stderr=log)
            trap.arm(point, {child.pid: lambda: (child.kill(), child.wait())})
            code = child.wait(timeout=300)
    was_hit = trap.disarm()
    if code not in (0, -9):
        raise SystemExit(f"the job has failed with {code}:\n{(folder / 'job.log').read_text()[-2000:]}")
    if code == -9 and trace:
        trace.check()
    elif code == -9 and not was_hit:
        raise SystemExit(f"the job was killed by somebody else{f', before it came to {point!r}' if point else ''}")
    return code == 0


def kill_leaders(weir, folder, port, script, rounds):
    """Has a cluster copy the numbers, and kills its leaders at each of their points. How often at which."""
    folder.mkdir()
    cluster, kills = Cluster(str(Path(weir).resolve()), folder, False, port=port), Counter()

    def state():
        return (cluster.job() or {}).get("status")

    try:
        cluster.leader()
        cluster.command("submit", str(script), "--name", "chaos", "-p", "2", "--detach", "-D", "execution.checkpointing.interval=200ms")
        for point in LEADER_POINTS * rounds:
            wait_for("the job does not run", lambda: state() in ("running", "finished"), 60)
            leader = cluster.coordinators[cluster.leader()]
            trace = Trace(point, f"--attach={leader.child.pid}")
            trace.wait()
            trace.check()
            leader.kill()
            leader.start()
            kills[f"leader's {point}"] += 1
        wait_for("the cluster does not come to the job's end", lambda: state() == "finished", 120)
        return kills
    finally:
        cluster.end()


def judge(what, kills, copies):
    """Whether each number was copied, once each."""
    lost = sum(1 for n in range(RECORDS) if n not in copies)
    doubled = sum(1 for count in copies.values() if count > 1)
    strange = sum(1 for n in copies if n not in range(RECORDS))
    print(f"{what}: {kills.total()} kills at {len(kills)} points; {RECORDS} records: {lost} lost, {doubled} doubled, {strange} never read")
    return not lost and not strange, doubled


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="kills at each point (default: %(default)s)")
    parser.add_argument("--port", type=int, default=19392, help="of the broker, and twenty behind it (default: %(default)s)")
    parser.add_argument("--at-least-once", action="store_true", help="write without transactions: has to be noticed")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="weir-kafka-kills-"))
    kafka, trap, good = Kafka(folder / "kafka", arguments.port, arguments.port + 2), Trap(), False
    KafkaProxy(trap, arguments.port + 2, arguments.port)
    guarantee = "at-least-once" if arguments.at_least_once else "exactly-once"
    points = [point for point in POINTS if not arguments.at_least_once or point.startswith("rows")]
    try:
        kafka.up()
        kafka.make(["numbers", "copies", "clustered"], PARTITIONS)
        kafka("write", "numbers", text="".join(f'{n}\t{{"n": {n}}}\n' for n in range(RECORDS)))
        script = folder / "job.sql"
        servers = kafka.servers
        script.write_text(JOB.format(servers=servers, rate=RATE, guarantee=guarantee, target="copies"))
        kills = Counter()
        for point in points * arguments.rounds:
            if run_job(arguments.weir, script, folder, trap, point):
                raise SystemExit(f"the job has come to its end without coming to '{point}': give it more records")
            kills[point] += 1
        run_job(arguments.weir, script, folder, trap, None)
        is_whole, doubled = judge("one process", kills, numbers(kafka, "copies"))
        good = is_whole and bool(doubled) == arguments.at_least_once
        if not arguments.at_least_once:
            script.write_text(JOB.format(servers=servers, rate=RATE, guarantee=guarantee, target="clustered"))
            kills = kill_leaders(arguments.weir, folder / "cluster", arguments.port + 10, script, arguments.rounds)
            is_whole, doubled = judge("a cluster", kills, numbers(kafka, "clustered"))
            good = good and is_whole and not doubled
        return 0 if good else 1
    finally:
        kafka.kill()
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
