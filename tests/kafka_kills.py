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

A proxy stands between the job and a real broker, and knows what they say to each other by the numbers that Kafka's protocol has for it. When
the request or the answer comes that a point names, the job is killed, and the message goes no further:

  fence      the transactional id is taken, and what was left open under it is ended
  begin      rows are decided and read back from the checkpoint; the first partition joins the transaction
  rows       they are produced
  marker     the record is produced that says which epoch it was
  commit     the transaction is ended. Asked for and not answered, it is in doubt

`asked`: the request does not reach the broker. `answered`: it does, and the job does not hear of it. `heard`: the answer has gone to the job,
which dies before or while it writes down that the epoch is committed.

  tests/kafka_kills.py --rounds 1           each point once
  tests/kafka_kills.py --at-least-once      a sink without transactions: the same kills have to be seen in what it writes
"""

import argparse
import json
import os
import re
import signal
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaos import Cluster, wait_for

SERVICE = Path(__file__).with_name("services") / "kafka"
PRODUCE, INIT_PRODUCER_ID, ADD_PARTITIONS, END_TXN = 0, 22, 24, 26
STEPS = {"fence": INIT_PRODUCER_ID, "begin": ADD_PARTITIONS, "rows": PRODUCE, "marker": PRODUCE, "commit": END_TXN}
FILES = {"staging": r"runs/[^/]*-staged-[^/]*", "manifest": r"checkpoints/[^/]*", "acknowledgement": r"commits/[^/]*"}
POINTS = [f"{step} {moment}" for step in FILES for moment in ("asked", "done")]
POINTS += [f"{step} {moment}" for step in STEPS for moment in ("asked", "answered", "heard")]
LEADER_POINTS = ["manifest asked", "manifest done"]
# Objects are linked to their names from where they have been written, and that name is taken away: nothing is done in between.
STRACE = ["strace", "--follow-forks", "--quiet=all", "--trace=linkat,unlink", "--inject=linkat,unlink:delay_enter=100ms"]
LINK = re.compile(r'(\d+) +linkat\(AT_FDCWD, "([^"]+)", AT_FDCWD, "([^"]+)"')
UNLINK = re.compile(r'(\d+) +unlink\("([^"]+)"')
COMMITS = "weir-commits"
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


def exactly(connection, count):
    """So many bytes, or `None` if the other side has gone."""
    data = b""
    while len(data) < count:
        try:
            piece = connection.recv(count - len(data))
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    return data


class Proxy:
    """Hands messages on between the job and the broker, and kills the job at a point."""

    def __init__(self, port, broker):
        self.broker = broker
        self.lock = threading.Lock()
        self.point, self.victim, self.hit = None, None, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def arm(self, point, victim):
        with self.lock:
            self.point, self.victim = point, victim
            self.hit.clear()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            broker = socket.create_connection(("127.0.0.1", self.broker))
        except OSError:
            client.close()
            return
        steps = {}
        back = threading.Thread(target=self.hand_on, args=(broker, client, steps, False), daemon=True)
        back.start()
        self.hand_on(client, broker, steps, True)
        back.join()

    def hand_on(self, source, sink, steps, asks):
        """Messages of one direction. `steps` has what the requests under way are about, by their numbers."""
        while (head := exactly(source, 4)) and (body := exactly(source, struct.unpack(">i", head)[0])) is not None:
            if asks:
                number = body[4:8]
                steps[number] = step = self.step_of(body)
            else:
                step = steps.pop(body[:4], None)
            if step and self.reached(f"{step} {'asked' if asks else 'answered'}"):
                break
            try:
                sink.sendall(head + body)
            except OSError:
                break
            if step and not asks:
                self.reached(f"{step} heard")
        for connection in (source, sink):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def step_of(self, request):
        api, = struct.unpack(">h", request[:2])
        if api == PRODUCE:
            return "marker" if COMMITS.encode() in request else "rows"
        return next((step for step, number in STEPS.items() if number == api), None)

    def reached(self, what):
        """Whether that is the point. Then the job is dead."""
        with self.lock:
            if self.victim is None or what != self.point:
                return False
            self.victim.kill()
            self.victim.wait()
            self.victim = None
            self.hit.set()
            return True


class Kafka:
    """A broker that names the proxy as its address."""

    def __init__(self, folder, port):
        self.folder = str(folder)
        self.environment = {**os.environ, "KAFKA_PORT": str(port), "KAFKA_ADVERTISED_PORT": str(port + 2)}

    def __call__(self, *arguments, text=None):
        done = subprocess.run([SERVICE, *arguments], env=self.environment, capture_output=True, text=True, input=text)
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr}")
        return done.stdout

    def numbers(self, topic):
        lines = (line.split("\t", 1)[-1] for line in self("read", topic).splitlines())
        return Counter(json.loads(line)["n"] for line in lines if line.startswith("{"))


def run_job(weir, script, folder, proxy, point):
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
            proxy.arm(point, child if point else None)
            code = child.wait(timeout=300)
    was_hit = proxy.hit.is_set()
    proxy.arm(None, None)
    if code not in (0, -9):
        raise SystemExit(f"the job has failed with {code}:\n{(folder / 'job.log').read_text()[-2000:]}")
    if code == -9 and trace:
        trace.check()
    elif code == -9 and not was_hit:
        raise SystemExit(f"the job was killed by somebody else{f', before it came to {point!r}' if point else ''}")
    return code == 0


def kill_leaders(weir, folder, script, rounds):
    """Has a cluster copy the numbers, and kills its leaders at each of their points. How often at which."""
    folder.mkdir()
    cluster, kills = Cluster(str(Path(weir).resolve()), folder, False), Counter()

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
    parser.add_argument("--port", type=int, default=19392, help="of the broker, and two behind it (default: %(default)s)")
    parser.add_argument("--at-least-once", action="store_true", help="write without transactions: has to be noticed")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="weir-kafka-kills-"))
    kafka, good = Kafka(folder / "kafka", arguments.port), False
    proxy = Proxy(arguments.port + 2, arguments.port)
    guarantee = "at-least-once" if arguments.at_least_once else "exactly-once"
    points = [point for point in POINTS if not arguments.at_least_once or point.startswith("rows")]
    try:
        kafka("up", kafka.folder)
        with ThreadPoolExecutor(2) as makers:
            list(makers.map(lambda topic: kafka("make", topic, str(PARTITIONS)), ["numbers", "copies", "clustered"]))
        kafka("write", "numbers", text="".join(f'{n}\t{{"n": {n}}}\n' for n in range(RECORDS)))
        script = folder / "job.sql"
        servers = f"127.0.0.1:{arguments.port + 2}"
        script.write_text(JOB.format(servers=servers, rate=RATE, guarantee=guarantee, target="copies"))
        kills = Counter()
        for point in points * arguments.rounds:
            if run_job(arguments.weir, script, folder, proxy, point):
                raise SystemExit(f"the job has come to its end without coming to '{point}': give it more records")
            kills[point] += 1
        run_job(arguments.weir, script, folder, proxy, None)
        is_whole, doubled = judge("one process", kills, kafka.numbers("copies"))
        good = is_whole and bool(doubled) == arguments.at_least_once
        if not arguments.at_least_once:
            script.write_text(JOB.format(servers=servers, rate=RATE, guarantee=guarantee, target="clustered"))
            kills = kill_leaders(arguments.weir, folder / "cluster", script, arguments.rounds)
            is_whole, doubled = judge("a cluster", kills, kafka.numbers("clustered"))
            good = good and is_whole and not doubled
        return 0 if good else 1
    finally:
        kafka("kill", kafka.folder)
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
