#!/usr/bin/env python3
"""Installs the chart into a real Kubernetes, and deletes its pods while a job runs; compares the results with an oracle, row by row.

In a namespace of its own, which enforces the Pod Security standard "restricted": three coordinators and two workers, with TLS. A job
counts and sums the bids of the Nexmark source per auction and window, and copies some of them, onto a volume. Meanwhile pods are
deleted, at once or with their grace, coordinators and the leader too; workers are scaled up and down through the scale subresource,
and the job with them; a coordinator loses its volume and is replaced; the image is upgraded. When the input has ended, the output
must hold every row of the oracle once and nothing else. Then a job whose state is larger than the workers' memory limit runs, and no
container may have been ended for its memory.

It needs kubectl, helm, a KUBECONFIG, an image that the nodes have, and a binary of the same version for the oracle:

  deploy/image/build target/release/weir localhost/weir:dev      and brought to the nodes
  tests/kubernetes.py --image localhost/weir:dev --upgrade-to localhost/weir:next

Volumes come from the cluster's default storage class, which has to know ReadWriteMany unless there is one node. On a cluster of one
node without one, and that node this machine, --host-path DIR makes volumes of folders below DIR (as root).
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from chaos import BIDS, SINK, WINDOWS, compare, oracle, rows, sinks, wait_for

CHART = Path(__file__).resolve().parent.parent / "deploy/helm/weir"
RESULTS = "/results"
MEMORY = 448
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: results}}
spec: {{accessModes: [{mode}], {storage_class} resources: {{requests: {{storage: 1Gi}}}}}}
"""
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}, labels: {{weir-check: "{namespace}"}}}}
spec:
  capacity: {{storage: 20Gi}}
  accessModes: [ReadWriteOnce, ReadWriteMany]
  storageClassName: {namespace}
  hostPath: {{path: {path}, type: Directory}}
---
"""
# A pod that sees the results, and has no certificates.
READER = """
apiVersion: v1
kind: Pod
metadata: {{name: reader}}
spec:
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: reader
      image: {image}
      args: [local, --data-dir, /tmp/weir]
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
      volumeMounts: [{{name: results, mountPath: /results}}, {{name: tmp, mountPath: /tmp}}]
  volumes: [{{name: results, persistentVolumeClaim: {{claimName: results}}}}, {{name: tmp, emptyDir: {{}}}}]
"""
# As many groups as bids, of some hundred bytes each: hundreds of megabytes until the input ends.
LARGE = """
CREATE TABLE sums (groups BIGINT, bids BIGINT, total BIGINT, letters BIGINT)
  WITH ('connector' = 'filesystem', 'path' = '/results/sums', 'format' = 'csv');
INSERT INTO sums
SELECT COUNT(*), SUM(n), SUM(total), SUM(CHAR_LENGTH(text)) FROM (
  SELECT window_start, window_end, auction, bidder, price, COUNT(*) AS n, SUM(price) AS total,
         MAX(REPEAT(CAST(bidder AS STRING), 40)) AS text
  FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' DAY)
  GROUP BY window_start, window_end, auction, bidder, price)
GROUP BY window_start, window_end;
"""


class Kubernetes:
    """The namespace with the release."""

    def __init__(self, arguments, scratch):
        self.namespace, self.arguments, self.scratch = arguments.namespace, arguments, scratch
        self.oom, self.memory, self.watching = set(), 0, True

    def kubectl(self, *command, check=True, stdin=None, timeout=120):
        answer = subprocess.run(["kubectl", "-n", self.namespace, *command], input=stdin, capture_output=True, text=True, timeout=timeout)
        if check and answer.returncode != 0:
            raise SystemExit(f"kubectl {' '.join(command)}: {answer.stderr.strip()}")
        return answer

    def weir(self, *command, check=True, stdin=None, timeout=60):
        """A command, asked of a coordinator that is up."""
        for attempt in range(20):
            pod = f"weir-coordinator-{1 + attempt % 3}"
            answer = self.kubectl("exec", "-i", pod, "--", "weir", *command, check=False, stdin=stdin, timeout=timeout)
            # kubectl itself ends with 1, and a container that is killed meanwhile with 137.
            if answer.returncode not in (1, 137, 143):
                break
            time.sleep(0.5)
        if check and answer.returncode != 0:
            raise SystemExit(f"weir {' '.join(command)} ends with {answer.returncode}: {answer.stderr.strip()}")
        return answer

    def pods(self, component=None):
        selector = f"app.kubernetes.io/component={component}" if component else "app.kubernetes.io/name=weir"
        return json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json").stdout)["items"]

    def job(self, name):
        answer = self.weir("jobs", "describe", name, "--json", check=False)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def leader(self):
        answer = self.weir("cluster", "status", "--json", check=False)
        return json.loads(answer.stdout).get("leader") if answer.stdout.startswith("{") else None

    def rolled_out(self, *components):
        for component in components:
            self.kubectl("rollout", "status", f"statefulset/weir-{component}", "--timeout=180s", timeout=200)

    def helm(self, *command):
        options = ["-n", self.namespace, "--set", "image.repository=" + self.arguments.image.rpartition(":")[0]]
        answer = subprocess.run(["helm", *command, *options], capture_output=True, text=True, timeout=120)
        if answer.returncode != 0:
            raise SystemExit(f"helm {' '.join(command)}: {answer.stderr.strip()}")

    def set_up(self):
        arguments, mode = self.arguments, "ReadWriteMany"
        for namespace in json.loads(self.kubectl("get", "namespaces", "-o", "json").stdout)["items"]:
            if namespace["metadata"]["name"] == self.namespace:
                raise SystemExit(f"there is a namespace {self.namespace}: remove it, or name another with --namespace")
        self.kubectl("create", "namespace", self.namespace)
        self.kubectl("label", "namespace", self.namespace, "pod-security.kubernetes.io/enforce=restricted")
        nodes = json.loads(self.kubectl("get", "nodes", "-o", "json").stdout)["items"]
        if len(nodes) == 1:
            mode = "ReadWriteOnce"
        storage_class, values = "", []
        if arguments.host_path:
            storage_class = f"storageClassName: {self.namespace},"
            values = [f"coordinators.volume.storageClass={self.namespace}", f"storage.volume.storageClass={self.namespace}"]
            volumes = ""
            for i in range(6):
                folder = Path(arguments.host_path).resolve() / f"{self.namespace}-{i}"
                folder.mkdir(parents=True)
                os.chown(folder, 65532, 65532)
                volumes += VOLUME.format(name=folder.name, namespace=self.namespace, path=folder)
            self.kubectl("apply", "-f", "-", stdin=volumes)
        self.kubectl("apply", "-f", "-", stdin=CLAIM.format(mode=mode, storage_class=storage_class))
        self.kubectl("apply", "-f", "-", stdin=READER.format(image=arguments.image))
        # A Kubernetes built from its sources may not know its version.
        chart = self.scratch / "chart"
        shutil.copytree(CHART, chart)
        if json.loads(self.kubectl("get", "--raw", "/version").stdout)["gitVersion"].startswith("v0."):
            described = chart / "Chart.yaml"
            described.write_text(re.sub("(?m)^kubeVersion:.*$", "", described.read_text()))
        values += [f"image.tag={arguments.image.rpartition(':')[2]}", f"storage.volume.accessModes={{{mode}}}",
                   "coordinators.resources.requests.cpu=50m", "coordinators.resources.requests.memory=64Mi",
                   "coordinators.resources.limits.memory=256Mi", "workers.resources.requests.cpu=100m",
                   "workers.resources.requests.memory=128Mi", f"workers.resources.limits.memory={MEMORY}Mi", "workers.slots=2",
                   "workers.volumes[0].name=results", "workers.volumes[0].persistentVolumeClaim.claimName=results",
                   "workers.volumeMounts[0].name=results", f"workers.volumeMounts[0].mountPath={RESULTS}"]
        began = time.monotonic()
        self.helm("install", "weir", str(chart), *[word for value in values for word in ("--set", value)])
        self.rolled_out("coordinator", "worker")
        self.kubectl("wait", "pod/reader", "--for=condition=Ready", "--timeout=120s")
        print(f"installed; all pods are ready after {time.monotonic() - began:.0f} s")

    def tear_down(self):
        subprocess.run(["helm", "uninstall", "weir", "-n", self.namespace], capture_output=True)
        self.kubectl("delete", "namespace", self.namespace, "--timeout=120s", check=False, timeout=150)
        if self.arguments.host_path:
            self.kubectl("delete", "pv", "-l", f"weir-check={self.namespace}", "--timeout=60s", check=False)
            for i in range(6):
                shutil.rmtree(Path(self.arguments.host_path).resolve() / f"{self.namespace}-{i}", ignore_errors=True)

    def watch_memory(self):
        """How much the workers take, and whether the kernel has ended one for its memory. On a thread of its own."""
        while self.watching:
            for pod in self.pods():
                for container in pod["status"].get("containerStatuses", []):
                    for state in (container["state"], container["lastState"]):
                        if state.get("terminated", {}).get("reason") == "OOMKilled":
                            self.oom.add(pod["metadata"]["name"])
            for node in json.loads(self.kubectl("get", "nodes", "-o", "json").stdout)["items"]:
                # As the kernel counts it for the limit: not what can be read again from files, such as the program itself.
                path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/metrics/resource"
                metrics = self.kubectl("get", "--raw", path, check=False).stdout
                mine = rf'(?m)^container_memory_working_set_bytes{{container="worker",namespace="{self.namespace}",[^}}]*}} (\S+)'
                for taken in re.findall(mine, metrics):
                    self.memory = max(self.memory, float(taken) / 2**20)
            time.sleep(1)

    def results(self, scratch):
        """What is on the volume, as folders of CSV here."""
        for table in ("windows", "copies", "sums"):
            (scratch / table).mkdir(exist_ok=True)
            columns = {"windows": "window_start TIMESTAMP(3), auction BIGINT, bids BIGINT, total BIGINT, highest BIGINT",
                       "copies": "auction BIGINT, bidder BIGINT, price BIGINT, dateTime TIMESTAMP(3)",
                       "sums": "a BIGINT, b BIGINT, c BIGINT, d BIGINT"}[table]
            script = SINK.format(name="seen", columns=columns, path=f"{RESULTS}/{table}") + "SELECT * FROM seen;"
            if self.kubectl("exec", "reader", "--", "weir", "run", "-q", "--output", "csv", "-e", script, check=False).returncode != 0:
                continue
            answer = self.kubectl("exec", "reader", "--", "weir", "run", "-q", "--output", "csv", "-e", script)
            (scratch / table / "all.csv").write_text(answer.stdout)


def delete(kubernetes, rng, seen):
    """One pod goes: with its grace, or at once."""
    kind = rng.choice(["worker", "worker", "coordinator", "leader"])
    if kind == "leader":
        leader = kubernetes.leader()
        if leader is None:
            return
        name = f"weir-coordinator-{leader}"
    else:
        name = rng.choice(kubernetes.pods(kind))["metadata"]["name"]
    how = rng.choice(["at once", "with its grace"])
    grace = ["--grace-period=0", "--force"] if how == "at once" else []
    kubernetes.kubectl("delete", "pod", name, "--wait=false", *grace, check=False)
    seen[f"{kind} {how}"] += 1
    # Of three coordinators one may be away.
    if kind != "worker":
        kubernetes.rolled_out("coordinator")


def scale(kubernetes, workers, slots):
    """Through the scale subresource; the job follows."""
    kubernetes.kubectl("scale", "statefulset/weir-worker", f"--replicas={workers}")
    kubernetes.rolled_out("worker")
    wait_for(f"there are no {workers} workers", lambda: len(kubernetes.pods("worker")) == workers, 120)
    kubernetes.weir("jobs", "rescale", "chaos", "-p", str(slots), "--wait", check=False)
    wait_for(f"the job does not run on {slots} slots", lambda: runs_on(kubernetes, slots), 120)
    print(f"scaled to {workers} workers, and the job to {slots} slots")


def runs_on(kubernetes, slots):
    job = kubernetes.job("chaos") or {}
    return job.get("status") == "running" and len((job.get("placement") or {}).get("slots", [])) == slots


def upgrade(kubernetes, image):
    began = time.monotonic()
    kubernetes.helm("upgrade", "weir", str(kubernetes.scratch / "chart"), "--reuse-values", "--set", f"image.tag={image.rpartition(':')[2]}",
                    "--set", "workers.replicas=null")
    kubernetes.rolled_out("coordinator", "worker")
    wrong = [pod["metadata"]["name"] for pod in kubernetes.pods() if pod["spec"]["containers"][0]["image"] != image]
    if wrong:
        raise SystemExit(f"after the upgrade these have another image: {', '.join(wrong)}")
    print(f"upgraded to {image}, one pod after the other, in {time.monotonic() - began:.0f} s")


def large(kubernetes, weir, scratch, events):
    """A job whose state does not fit into the workers' memory, and what comes of it."""
    options = {"rate": 1_000_000, "events": events, "seed": 7}
    script = "SET 'state.memory-budget' = '48 mb';\nSET 'execution.checkpointing.interval' = '2 s';\n"
    script += BIDS.format(realtime="false", **options) + LARGE
    kubernetes.weir("submit", "-", "--name", "large", "--detach", "-p", "2", stdin=script)
    wait_for("the job with large state has not finished", lambda: (kubernetes.job("large") or {}).get("status") == "finished", 600)
    folder = scratch / "large"
    folder.mkdir()
    script = BIDS.format(realtime="false", **options)
    script += SINK.format(name="every", columns="auction BIGINT, bidder BIGINT, price BIGINT", path=folder / "bids")
    subprocess.run([weir, "run", "-q", "-e", script + "INSERT INTO every SELECT auction, bidder, price FROM bid;"], check=True)
    groups, bids, total = set(), 0, 0
    for row in rows(folder / "bids"):
        groups.add(row)
        bids, total = bids + 1, total + int(row[2])
    expected = (len(groups), bids, total, sum(40 * len(bidder) for _, bidder, _ in groups))
    kubernetes.results(scratch)
    seen = [tuple(map(int, row)) for row in rows(scratch / "sums")]
    if seen != [expected]:
        print(f"WRONG: of the job with large state came {seen} instead of {[expected]}")
        return False
    print(f"right: {len(groups)} groups in the state of a job with a budget of 48 MB a slot")
    return True


def replace(kubernetes):
    """A coordinator loses its volume, and comes back under another number."""
    lost, fresh = 2, 4
    if kubernetes.leader() == lost:
        kubernetes.weir("cluster", "transfer-leadership", "--to", "1")
        wait_for("leadership is not handed over", lambda: kubernetes.leader() not in (None, lost), 30)
    name = f"weir-coordinator-{lost}"
    kubernetes.kubectl("delete", "pvc", f"log-{name}", "--wait=false")
    kubernetes.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    kubernetes.weir("cluster", "remove", str(lost))
    kubernetes.kubectl("create", "configmap", "weir-replaced", f"--from-literal=coordinators={lost}={fresh}")
    kubernetes.kubectl("delete", "pod", name, "--grace-period=0", "--force", check=False)
    kubernetes.weir("cluster", "add", str(fresh), f"{name}.weir-coordinators.{kubernetes.namespace}.svc:7420")
    kubernetes.rolled_out("coordinator")
    print(f"coordinator {lost} lost its volume, and is coordinator {fresh} now")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="localhost/weir:dev", help="NAME:TAG (default: %(default)s)")
    parser.add_argument("--upgrade-to", metavar="NAME:TAG", help="another tag of it, for the upgrade; none if not given")
    parser.add_argument("--weir", default="target/release/weir", help="a binary for the oracle (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=120, help="how long pods are deleted (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=3000, help="events per second (default: %(default)s)")
    parser.add_argument("--large", type=int, default=1_500_000, help="events of the job with large state (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of what is deleted (default: random)")
    parser.add_argument("--namespace", default="weir-check", help="is made, and removed in the end (default: %(default)s)")
    parser.add_argument("--host-path", metavar="DIR", help="make volumes of folders below this one")
    parser.add_argument("--keep", action="store_true", help="leave all as it is in the end")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="weir-kubernetes-"))
    kubernetes = Kubernetes(arguments, scratch)
    good = False
    try:
        kubernetes.set_up()
        refused = kubernetes.kubectl("exec", "reader", "--", "weir", "jobs", "list", "--coordinators", "weir:7420", check=False)
        if refused.returncode == 0:
            raise SystemExit("a client without certificates is served")
        watcher = threading.Thread(target=kubernetes.watch_memory, daemon=True)
        watcher.start()
        # For scaling, the replacement and the upgrade too.
        options = {"rate": arguments.rate, "events": arguments.rate * (arguments.seconds + 60), "seed": arguments.seed}
        script = BIDS.format(realtime="true", **options) + sinks(Path(RESULTS)) + WINDOWS
        kubernetes.weir("submit", "-", "--name", "chaos", "-p", "2", "--detach", "-D", "execution.checkpointing.interval=1s", stdin=script)
        wait_for("the job does not run", lambda: (kubernetes.job("chaos") or {}).get("status") == "running", 60)
        began, seen = time.monotonic(), defaultdict(int)
        steps = [lambda: scale(kubernetes, 4, 6), lambda: scale(kubernetes, 3, 3), lambda: replace(kubernetes)]
        if arguments.upgrade_to:
            steps.insert(1, lambda: upgrade(kubernetes, arguments.upgrade_to))
        for step in steps:
            end = time.monotonic() + arguments.seconds / len(steps)
            step()
            while time.monotonic() < end:
                time.sleep(rng.uniform(2, 6))
                delete(kubernetes, rng, seen)
        print("deleted:", ", ".join(f"{kind} {count} times" for kind, count in sorted(seen.items())))
        wait_for("the job has not finished", lambda: (kubernetes.job("chaos") or {}).get("status") == "finished", 300)
        job = kubernetes.job("chaos")
        print(f"finished in attempt {job['attempt']} after {time.monotonic() - began:.0f} s")
        kubernetes.results(scratch)
        good = compare(scratch, oracle(arguments.weir, scratch, options))
        good &= large(kubernetes, arguments.weir, scratch, arguments.large)
        kubernetes.watching = False
        watcher.join()
        if kubernetes.oom:
            print(f"WRONG: ended for their memory: {', '.join(sorted(kubernetes.oom))}")
            good = False
        print(f"a worker took {kubernetes.memory:.0f} MiB at most, of {MEMORY}")
        return 0 if good else 1
    finally:
        kubernetes.watching = False
        if arguments.keep:
            print(f"namespace {arguments.namespace} is left as it is; files are in {scratch}")
        else:
            kubernetes.tear_down()
            if good:
                shutil.rmtree(scratch)
            else:
                print(f"files are in {scratch}")


if __name__ == "__main__":
    sys.exit(main())
