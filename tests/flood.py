#!/usr/bin/env python3
"""Floods every port of a real cluster from another machine's address while it runs a job, and compares the results with an oracle.

Three coordinators and two workers with TLS, each in a network namespace of its own; the attacker is in one too, and has no
certificate. It opens thousands of connections and says nothing, begins TLS handshakes and does not end them, sends random bytes,
sends requests byte by byte, and requests that are too large, over TLS as well; to every port: that of the coordinators (clients,
workers, peers and REST are on it), the workers' exchange, metrics and health. Meanwhile a job that goes over the exchange must
complete checkpoints without being started again, operators must be served, health must be told; in the end every row has to be there
once. Needs root, and iproute2.

  tests/flood.py --seconds 60
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaos import BIDS, WINDOWS, Cluster, Process, compare, oracle, sinks, wait_for

COORDINATOR, EXCHANGE, METRICS = 7420, 7430, 9420
BRIDGE = "weir-flood"


class Floodable(Cluster):
    """A cluster with TLS, a machine each."""

    def __init__(self, weir, folder):
        self.weir, self.folder, self.namespaces = weir, folder, True
        self.machines = {"c1": 1, "c2": 2, "c3": 3, "w1": 11, "w2": 12, "attacker": 66}
        self.cable()
        hosts = ",".join(self.address(name) for name in ("c1", "c2", "c3"))
        subprocess.run([weir, "cluster", "init-security", "--dir", str(folder / "security"), "--hosts", hosts], check=True, capture_output=True)
        self.addresses = ",".join(f"{self.address(name)}:{COORDINATOR}" for name in ("c1", "c2", "c3"))
        members = ",".join(f"{i}={self.address(f'c{i}')}:{COORDINATOR}" for i in (1, 2, 3))
        self.processes, self.renewed = {}, 0
        for i in (1, 2, 3):
            name = f"c{i}"
            self.begin(name, "coordinator", "--id", str(i), "--listen", f"{self.address(name)}:{COORDINATOR}", "--members", members,
                       "--data-dir", str(folder), "--storage", f"file://{folder}/checkpoints")
        for name in ("w1", "w2"):
            self.begin(name, "worker", "--name", name, "--coordinators", self.addresses, "--slots", "2",
                       "--listen", f"{self.address(name)}:{EXCHANGE}", "--data-dir", str(folder / name))

    def address(self, name):
        return f"10.232.0.{self.machines[name]}"

    def tls(self, role):
        security = self.folder / "security"
        return ["--tls-ca", str(security / "ca.pem"), "--tls-cert", str(security / f"{role}.pem"), "--tls-key", str(security / f"{role}.key")]

    def begin(self, name, role, *arguments):
        metrics = ["--http-listen", f"{self.address(name)}:{METRICS}", "--http-insecure"]
        command = [self.weir, role, *arguments, *metrics, *self.tls(role)]
        self.processes[name] = Process(name, command, self.folder / f"{name}.log", f"flood-{name}")

    def command(self, *arguments, check=True, timeout=60):
        return super().command(*arguments, *self.tls("admin"), check=check, timeout=timeout)

    def job(self):
        return json.loads(self.command("jobs", "describe", "flood", "--json").stdout)

    def renew_worker(self):
        """A worker goes and comes back, so that both workers have to reach each other anew."""
        self.command("jobs", "rescale", "flood", "-p", "2", "--wait")
        self.processes["w2"].kill(signal.SIGTERM)
        self.processes["w2"].start()
        self.command("jobs", "rescale", "flood", "-p", "4", "--wait")
        self.renewed += 1

    def cable(self):
        self.uncable()
        for command in (["add", BRIDGE, "type", "bridge"], ["set", BRIDGE, "up"]):
            subprocess.run(["ip", "link", *command], check=True)
        subprocess.run(["ip", "addr", "add", "10.232.0.254/24", "dev", BRIDGE], check=True)
        for name, number in self.machines.items():
            space = f"flood-{name}"
            for command in (["netns", "add", space], ["link", "add", f"flood-v{number}", "type", "veth", "peer", "name", "eth0", "netns", space],
                            ["link", "set", f"flood-v{number}", "master", BRIDGE, "up"], ["-n", space, "link", "set", "lo", "up"],
                            ["-n", space, "addr", "add", f"{self.address(name)}/24", "dev", "eth0"], ["-n", space, "link", "set", "eth0", "up"]):
                subprocess.run(["ip", *command], check=True)

    def uncable(self):
        for name, number in self.machines.items():
            subprocess.run(["ip", "link", "del", f"flood-v{number}"], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", f"flood-{name}"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", BRIDGE], stderr=subprocess.DEVNULL)

    def end(self):
        for process in self.processes.values():
            process.kill()
        self.uncable()


# What the attacker does, in its namespace: `flood.py --attack KIND ADDRESS PORT`, until it is killed.

def dial(address, port):
    connection = socket.create_connection((address, port), timeout=5)
    connection.setblocking(False)
    return connection


def spoken(connection, data):
    """Whether it went out, or waits to; not whether anybody heard it."""
    try:
        connection.send(data)
        return True
    except BlockingIOError:
        return True
    except OSError:
        return False


def is_open(connection):
    try:
        return connection.recv(65536) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def keep_open(address, port, first, dribble=None, most=2500):
    """Holds as many connections as it can, each begun with what `first` makes."""
    held = []
    while True:
        held = [one for one in held if is_open(one) and (dribble is None or spoken(one, dribble()))]
        for _ in range(min(250, most - len(held))):
            try:
                one = dial(address, port)
            except OSError:
                break
            spoken(one, first())
            held.append(one)
        time.sleep(0.05)


def throw_bytes(address, port, rng):
    while True:
        try:
            with socket.create_connection((address, port), timeout=5) as connection:
                connection.sendall(rng.randbytes(rng.choice([1, 33, 500, 70_000])))
        except OSError:
            pass


def oversize(address, port, secure):
    """Requests with a head, and with a body, that nobody should take."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = b"POST /api/v1/namespaces/default/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    while True:
        for request in (head + b"X: " + b"x" * 4_000_000, head + b"Content-Length: 9000000000\r\n\r\n" + b"[" * 9_000_000):
            try:
                with socket.create_connection((address, port), timeout=5) as connection:
                    if secure:
                        connection = context.wrap_socket(connection)
                    connection.sendall(request)
            except OSError:
                pass


HELLO = bytes.fromhex("1603010200010001fc0303")
ATTACKS = {
    "silent": lambda address, port, rng: keep_open(address, port, bytes),
    "half-tls": lambda address, port, rng: keep_open(address, port, lambda: HELLO + rng.randbytes(20)),
    "slow": lambda address, port, rng: keep_open(address, port, lambda: b"GET / HTTP/1.1\r\nX: ", lambda: b"x"),
    "random": throw_bytes,
    "large": lambda address, port, rng: oversize(address, port, port != METRICS),
}


def attack(kind, address, port):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    ATTACKS[kind](address, int(port), random.Random(os.getpid()))


def served(cluster, name):
    """Whether health and metrics are told to somebody else, and how soon."""
    began = time.monotonic()
    for path in ("/health/live", "/metrics"):
        with socket.create_connection((cluster.address(name), METRICS), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            connection.settimeout(5)
            if not connection.recv(64).startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{name} does not answer {path}")
    return time.monotonic() - began


def main():
    if sys.argv[1:2] == ["--attack"]:
        return attack(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long each port is flooded, all at the same time (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=2000, help="events per second (default: %(default)s)")
    parser.add_argument("--ports", default="coordinator,exchange,metrics", help="which are flooded (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and results")
    arguments = parser.parse_args()
    weir, folder = str(Path(arguments.weir).resolve()), Path(tempfile.mkdtemp(prefix="weir-flood-"))
    options = {"rate": arguments.rate, "events": arguments.rate * (arguments.seconds + 20), "seed": 3}
    cluster, attackers, good = Floodable(weir, folder), [], False
    try:
        cluster.leader()
        (folder / "job.sql").write_text(BIDS.format(realtime="true", **options) + sinks(folder) + WINDOWS)
        cluster.command("submit", str(folder / "job.sql"), "--name", "flood", "-p", "4", "--detach", "-D", "execution.checkpointing.interval=1s")
        wait_for("the job does not run", lambda: cluster.job()["status"] == "running", 60)
        leader = f"c{cluster.leader()}"
        follower = next(name for name in ("c1", "c2", "c3") if name != leader)
        targets = {"coordinator": [(leader, COORDINATOR), (follower, COORDINATOR)], "exchange": [("w1", EXCHANGE), ("w2", EXCHANGE)],
                   "metrics": [(leader, METRICS), ("w1", METRICS)]}
        for name, port in [target for ports in arguments.ports.split(",") for target in targets[ports]]:
            for kind in ATTACKS:
                command = ["ip", "netns", "exec", "flood-attacker", sys.executable, __file__, "--attack", kind, cluster.address(name), str(port)]
                attackers.append(subprocess.Popen(command, start_new_session=True))
        slowest, answered, rounds, end = 0.0, 0.0, 0, time.monotonic() + arguments.seconds
        epoch, epoch_at, pause = 0, time.monotonic(), 0.0
        while time.monotonic() < end:
            slowest = max(slowest, *(served(cluster, name) for name in ("c1", "c2", "c3", "w1", "w2")))
            began = time.monotonic()
            job = cluster.job()
            answered, rounds = max(answered, time.monotonic() - began), rounds + 1
            now = (job.get("last_checkpoint") or {}).get("epoch", 0)
            if now != epoch:
                pause, epoch, epoch_at = max(pause, time.monotonic() - epoch_at), now, time.monotonic()
            pause = max(pause, time.monotonic() - epoch_at)
            if rounds % 8 == 0:
                cluster.renew_worker()
            time.sleep(0.5)
        lost = [process.name for process in cluster.processes.values() if not process.alive()]
        for attacker in attackers:
            attacker.kill()
        if lost:
            raise SystemExit(f"ended under the flood: {', '.join(lost)}")
        print(f"{rounds} rounds: health and metrics within {slowest:.1f} s, an operator within {answered:.1f} s, "
              f"{pause:.1f} s between two checkpoints at most; a worker came back {cluster.renewed} times", flush=True)
        restarts = json.loads(cluster.command("jobs", "list", "--all", "--json").stdout)[0]["restarts"]
        wait_for("the job has not finished", lambda: cluster.job()["status"] == "finished", 120)
        good = compare(folder, oracle(weir, folder, options)) and restarts == 0
        print(f"the job was started again {restarts} times")
        return 0 if good else 1
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.wait()
        cluster.end()
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs and results are in {folder}")


if __name__ == "__main__":
    sys.exit(main())
