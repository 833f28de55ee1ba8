#!/usr/bin/env python3
"""Kills processes of a real cluster, or cuts its network, and compares the results with an oracle, row by row.

Three coordinators and three workers run as processes on this machine. A job counts and sums the bids of the Nexmark source per
auction and window, and copies some of them. Meanwhile one process after the other is killed with SIGKILL, the leader included,
and started again; with --partitions every process has a network namespace and an address of its own, and cables are pulled
instead (needs root, and iproute2). When the input has ended, the output must hold every row of the oracle once and nothing else.

The oracle reads the same bids, written by `weir run` without windows, cluster or faults, and computes the answer here.

  tests/chaos.py --seconds 60               kill for a minute
  tests/chaos.py --seconds 600 --partitions ten minutes of partitions
  tests/chaos.py --upgrade-from OLD         begin with that binary, replace it everywhere while the job runs, and kill on the way
  tests/chaos.py --measure 20               time from a kill to the next result, 20 times each for workers and the leader
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

COORDINATORS, WORKERS = 3, 3
BIDS = """
CREATE TABLE bid (
  auction BIGINT, bidder BIGINT, price BIGINT, dateTime TIMESTAMP(3),
  WATERMARK FOR dateTime AS dateTime - INTERVAL '1' SECOND
) WITH ('connector' = 'nexmark', 'nexmark.table' = 'bid', 'rate' = '{rate}', 'events.num' = '{events}',
        'seed' = '{seed}', 'realtime' = '{realtime}');
"""
SINK = "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');\n"
WINDOWS = """
INSERT INTO windows
SELECT window_start, auction, COUNT(*), SUM(price), MAX(price)
FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND)
GROUP BY window_start, window_end, auction;
INSERT INTO copies SELECT auction, bidder, price, dateTime FROM bid WHERE price % 10 = 3;
"""


class Process:
    """One process of the cluster, which can be killed and started again."""

    def __init__(self, name, command, log, namespace=None):
        self.name, self.command, self.log, self.namespace = name, command, log, namespace
        self.child = None
        self.start()

    def start(self):
        prefix = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(prefix + self.command, stdout=log, stderr=log, start_new_session=True)

    def kill(self, how=signal.SIGKILL):
        if self.child.poll() is None:
            os.killpg(self.child.pid, how)
        self.child.wait()

    def alive(self):
        return self.child.poll() is None


class Cluster:
    """Coordinators and workers, in a folder of their own. Checkpoints are there too, or in `storage`."""

    def __init__(self, weir, folder, namespaces, storage=None, port=17420):
        self.weir, self.folder, self.namespaces = weir, folder, namespaces
        host = (lambda i: f"10.231.0.{i}") if namespaces else (lambda i: "127.0.0.1")
        if namespaces:
            self.cable()
        ports = {i: port + i for i in range(1, COORDINATORS + 1)}
        addresses = {i: f"{host(i)}:{port}" for i, port in ports.items()}
        members = ",".join(f"{i}={address}" for i, address in addresses.items())
        self.addresses = ",".join(addresses.values())
        insecure = ["--insecure"] if namespaces else []
        self.coordinators, self.workers = {}, {}
        for i, address in addresses.items():
            command = [weir, "coordinator", "--id", str(i), "--listen", address, "--members", members, *insecure,
                       "--data-dir", str(folder), "--storage", storage or f"file://{folder}/checkpoints"]
            self.coordinators[i] = Process(f"coordinator-{i}", command, folder / f"coordinator-{i}.log", self.space(i))
        for i in range(1, WORKERS + 1):
            command = [weir, "worker", "--name", f"w{i}", "--coordinators", self.addresses, "--slots", "2", *insecure,
                       "--listen", f"{host(10 + i)}:0", "--data-dir", str(folder / f"worker-{i}")]
            self.workers[i] = Process(f"worker-{i}", command, folder / f"worker-{i}.log", self.space(10 + i))

    def space(self, i):
        return f"weir-{i}" if self.namespaces else None

    def cable(self):
        """A bridge, and a namespace with a cable to it for each process and for ourselves."""
        self.uncable()
        run("ip", "link", "add", "weir-br", "type", "bridge")
        run("ip", "link", "set", "weir-br", "up")
        run("ip", "addr", "add", "10.231.0.254/24", "dev", "weir-br")
        for i in [*range(1, COORDINATORS + 1), *range(11, 11 + WORKERS)]:
            run("ip", "netns", "add", f"weir-{i}")
            run("ip", "link", "add", f"weir-v{i}", "type", "veth", "peer", "name", "eth0", "netns", f"weir-{i}")
            run("ip", "link", "set", f"weir-v{i}", "master", "weir-br", "up")
            run("ip", "-n", f"weir-{i}", "link", "set", "lo", "up")
            run("ip", "-n", f"weir-{i}", "addr", "add", f"10.231.0.{i}/24", "dev", "eth0")
            run("ip", "-n", f"weir-{i}", "link", "set", "eth0", "up")

    def uncable(self):
        for i in [*range(1, COORDINATORS + 1), *range(11, 11 + WORKERS)]:
            subprocess.run(["ip", "link", "del", f"weir-v{i}"], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", f"weir-{i}"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", "weir-br"], stderr=subprocess.DEVNULL)

    def plug(self, i, state):
        run("ip", "link", "set", f"weir-v{i}", state)

    def command(self, *arguments, check=True, timeout=60):
        command = [self.weir, *arguments, "--coordinators", self.addresses]
        return subprocess.run(command, check=check, timeout=timeout, capture_output=True, text=True)

    def leader(self, patience=20):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            answer = self.command("cluster", "status", "--json", check=False)
            leader = json.loads(answer.stdout).get("leader") if answer.returncode == 0 else None
            if leader:
                return leader
            time.sleep(0.1)
        raise SystemExit("the coordinators have no leader")

    def job(self):
        answer = self.command("jobs", "describe", "chaos", "--json", check=False)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def end(self):
        for process in [*self.workers.values(), *self.coordinators.values()]:
            process.kill()
        if self.namespaces:
            self.uncable()


def run(*command):
    subprocess.run(command, check=True)


def sinks(folder):
    windows = "window_start TIMESTAMP(3), auction BIGINT, bids BIGINT, total BIGINT, highest BIGINT"
    copies = "auction BIGINT, bidder BIGINT, price BIGINT, dateTime TIMESTAMP(3)"
    return (SINK.format(name="windows", columns=windows, path=folder / "windows")
            + SINK.format(name="copies", columns=copies, path=folder / "copies"))


def rows(folder):
    """All rows that are visible in a folder. The first line of a file with a header names columns."""
    for path in sorted(Path(folder).glob("**/*")):
        if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts):
            with open(path, newline="") as file:
                for row in csv.reader(file):
                    if row and not row[0].isidentifier():
                        yield tuple(row)


def milliseconds(text):
    """2026-01-01 00:00:01.25 -> milliseconds of that day and month; enough to cut windows."""
    day, clock = text.replace("T", " ").rstrip("Z").split(" ")
    hours, minutes, seconds = clock.split(":")
    return day, round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)


def oracle(weir, folder, options):
    """The right answer, from the bids themselves."""
    script = BIDS.format(realtime="false", **options)
    script += SINK.format(name="all_bids", columns="auction BIGINT, bidder BIGINT, price BIGINT, dateTime TIMESTAMP(3)",
                          path=folder / "bids")
    script += "INSERT INTO all_bids SELECT auction, bidder, price, dateTime FROM bid;"
    subprocess.run([weir, "run", "-q", "-p", "1", "-e", script], check=True)
    groups, copies = defaultdict(list), defaultdict(int)
    for auction, bidder, price, when in rows(folder / "bids"):
        day, time_of_day = milliseconds(when)
        groups[(day, time_of_day - time_of_day % 2000, auction)].append(int(price))
        if int(price) % 10 == 3:
            copies[(auction, bidder, price, *milliseconds(when))] += 1
    windows = {key: (len(prices), sum(prices), max(prices)) for key, prices in groups.items()}
    return windows, copies


def compare(folder, expected):
    windows, copies = expected
    seen, wrong = {}, []
    for start, auction, bids, total, highest in rows(folder / "windows"):
        key = (*milliseconds(start), auction)
        if key in seen:
            wrong.append(f"twice: window {start} of auction {auction}")
        seen[key] = (int(bids), int(total), int(highest))
        if windows.get(key) != seen[key]:
            wrong.append(f"window {start} of auction {auction}: {seen[key]} instead of {windows.get(key)}")
    wrong += [f"missing: {key}" for key in windows.keys() - seen.keys()]
    found = defaultdict(int)
    for auction, bidder, price, when in rows(folder / "copies"):
        found[(auction, bidder, price, *milliseconds(when))] += 1
    wrong += [f"copy {key}: {found[key]} times instead of {copies[key]}"
              for key in found.keys() | copies.keys() if found[key] != copies[key]]
    if wrong:
        print(f"WRONG: {len(wrong)} differences, such as")
        print("\n".join(wrong[:10]))
        return False
    print(f"right: {len(windows)} windows and {sum(copies.values())} copied rows, each once")
    return True


def wait_for(what, condition, patience):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"after {patience} s: {what}")
        time.sleep(0.2)


def kill_loop(cluster, seconds, rng):
    """One process after the other, a moment down each; the leader's turn comes as often as all others' together."""
    kills = defaultdict(int)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(rng.uniform(1.5, 5))
        if rng.random() < 0.25:
            victim, kind = cluster.coordinators[cluster.leader()], "leader"
        else:
            victim = rng.choice([*cluster.coordinators.values(), *cluster.workers.values()])
            kind = victim.name.split("-")[0]
        victim.kill()
        kills[kind] += 1
        time.sleep(rng.choice([0, 0.2, 1, 2]))
        victim.start()
    print("killed:", ", ".join(f"{kind} {count} times" for kind, count in sorted(kills.items())))


def upgrade_loop(cluster, weir, rng):
    """One process after the other ends in order and comes back as `weir`, the coordinators first; another one is killed behind each."""
    processes = [*cluster.coordinators.values(), *cluster.workers.values()]
    for process in processes:
        time.sleep(rng.uniform(2, 4))
        process.kill(signal.SIGTERM)
        process.command[0] = weir
        process.start()
        wait_for(f"the job does not run behind {process.name}", lambda: (cluster.job() or {}).get("status") == "running", 60)
        victim = rng.choice([other for other in processes if other is not process])
        victim.kill()
        time.sleep(rng.choice([0, 0.5, 1]))
        victim.start()
        said = "in its new version" if victim.command[0] == weir else "in its old version"
        print(f"{process.name} is upgraded; {victim.name} was killed, and came back {said}")
    versions = {worker["version"] for worker in json.loads(cluster.command("workers", "list", "--json").stdout) if worker["connected"]}
    print(f"workers are of version {', '.join(sorted(versions))}")


def partition_loop(cluster, seconds, rng):
    """Cuts the leader, a worker, or a majority of coordinators off, and heals it."""
    cuts = defaultdict(int)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(rng.uniform(3, 8))
        kind = rng.choice(["leader", "worker", "majority"])
        victims = {"leader": lambda: [cluster.leader()],
                   "worker": lambda: [10 + rng.randint(1, WORKERS)],
                   "majority": lambda: rng.sample(range(1, COORDINATORS + 1), COORDINATORS // 2 + 1)}[kind]()
        for victim in victims:
            cluster.plug(victim, "down")
        cuts[kind] += 1
        time.sleep(rng.uniform(0.5, 12))
        for victim in victims:
            cluster.plug(victim, "up")
    print("cut off:", ", ".join(f"{kind} {count} times" for kind, count in sorted(cuts.items())))


def newest_copy(folder):
    return len([path for path in (folder / "copies").glob("*") if not path.name.startswith((".", "_"))])


def measure(cluster, folder, times):
    """Time from a SIGKILL to the next result that anyone can see."""
    for kind in ["worker", "leader"]:
        took = []
        for _ in range(times):
            wait_for("the job does not run", lambda: (cluster.job() or {}).get("status") == "running", 60)
            time.sleep(random.uniform(2.5, 3.5))
            if kind == "worker":
                placed = cluster.job()["placement"]["workers"]
                victim = cluster.workers[int(random.choice(placed)["worker"][1:])]
            else:
                victim = cluster.coordinators[cluster.leader()]
            before = newest_copy(folder)
            start = time.monotonic()
            victim.kill()
            while newest_copy(folder) == before:
                if time.monotonic() - start > 60:
                    raise SystemExit(f"no result for a minute after a {kind} was killed")
                time.sleep(0.005)
            took.append(time.monotonic() - start)
            victim.start()
        print(f"{kind} killed, to the next committed result: median {statistics.median(took):.2f} s, "
              f"worst {max(took):.2f} s, over {times}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=5000, help="events per second (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults (default: random)")
    parser.add_argument("--partitions", action="store_true", help="cut the network instead of killing")
    parser.add_argument("--upgrade-from", metavar="OLD", help="a binary to begin with, and to replace by --weir")
    parser.add_argument("--measure", type=int, metavar="TIMES", help="measure how long recovery takes")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and results")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    weir = str(Path(arguments.weir).resolve())
    folder = Path(tempfile.mkdtemp(prefix="weir-chaos-"))
    seconds = arguments.seconds if not arguments.measure else arguments.measure * 20
    options = {"rate": arguments.rate, "events": arguments.rate * (seconds + 10), "seed": arguments.seed}
    cluster = Cluster(str(Path(arguments.upgrade_from or weir).resolve()), folder, arguments.partitions)
    good = False
    try:
        cluster.leader()
        script = BIDS.format(realtime="true", **options) + sinks(folder) + WINDOWS
        (folder / "job.sql").write_text(script)
        cluster.command("submit", str(folder / "job.sql"), "--name", "chaos", "-p", "2", "--detach",
                        "-D", "execution.checkpointing.interval=1s")
        wait_for("the job does not run", lambda: (cluster.job() or {}).get("status") == "running", 60)
        if arguments.measure:
            measure(cluster, folder, arguments.measure)
            good = True
            return 0
        if arguments.upgrade_from:
            upgrade_loop(cluster, weir, rng)
        else:
            (partition_loop if arguments.partitions else kill_loop)(cluster, seconds, rng)
        wait_for("the job has not finished", lambda: (cluster.job() or {}).get("status") == "finished", 180)
        job = cluster.job()
        print(f"finished in attempt {job['attempt']}, {job['last_checkpoint']['epoch']} checkpoints")
        good = compare(folder, oracle(weir, folder, options))
        return 0 if good else 1
    finally:
        cluster.end()
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs and results are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
