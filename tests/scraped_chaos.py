#!/usr/bin/env python3
"""Has a real Prometheus scrape a real cluster whose processes are killed, and judges what it has stored.

Three coordinators and three workers run as processes on this machine, and a job on them. One process after the other is killed with
SIGKILL and started again. Then Prometheus is asked for all that it has of each counter: within a life it must never go back. The life of
a counter of a process is that of the process; that of a counter of a job on a worker is an attempt's; that of a counter that the leader
alone tells is the process's too. A scrape may only be missing while the process is dead, or has just been started. The number of series
must not grow with the number of attempts, and the alert rules must be taken.

  tests/scraped_chaos.py --seconds 120 --weir target/debug/weir      (wants `prometheus` in the path: Debian has it)
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

COORDINATORS, WORKERS = 3, 3
SCRAPE_SECONDS = 1
SCRIPT = """
CREATE TABLE numbers (n BIGINT, t TIMESTAMP(3), WATERMARK FOR t AS t) WITH ('connector' = 'datagen', 'rows-per-second' = '5000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1000000000');
CREATE TABLE out (w TIMESTAMP(3), k BIGINT, c BIGINT) WITH ('connector' = 'blackhole');
SET 'execution.checkpointing.interval' = '1s';
INSERT INTO out SELECT window_start, n % 1000, count(*)
FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(t), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, n % 1000;
"""


class Process:
    """One process, which can be killed and started again. `deaths`: from when to when it was not there."""

    def __init__(self, name, command, log):
        self.name, self.command, self.log, self.deaths = name, command, log, []
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)

    def kill(self):
        began = time.time()
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        return began


def ask(port, path, **query):
    url = f"http://127.0.0.1:{port}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--weir", default="target/release/weir")
    parser.add_argument("--port", type=int, default=21100, help="the first of the ports that are used")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    weir, chance = os.path.abspath(arguments.weir), random.Random(arguments.seed)
    monitoring = Path(__file__).resolve().parent.parent / "deploy" / "monitoring"
    folder = Path(tempfile.mkdtemp(prefix="observe-scraped-"))
    port, processes = arguments.port, {}
    http = {}
    addresses = {id: f"127.0.0.1:{port + id}" for id in range(1, COORDINATORS + 1)}
    members = ",".join(f"{id}={address}" for id, address in addresses.items())
    try:
        for id, address in addresses.items():
            http[f"c{id}"] = f"127.0.0.1:{port + 20 + id}"
            processes[f"c{id}"] = Process(f"c{id}", [
                weir, "coordinator", "--id", str(id), "--listen", address, "--members", members, "--data-dir", str(folder / "data"),
                "--storage", f"file://{folder}/checkpoints", "--worker-timeout", "2s", "--http-listen", http[f"c{id}"]],
                folder / f"c{id}.log")
        for id in range(1, WORKERS + 1):
            http[f"w{id}"] = f"127.0.0.1:{port + 40 + id}"
            processes[f"w{id}"] = Process(f"w{id}", [
                weir, "worker", "--name", f"w{id}", "--slots", "2", "--coordinators", ",".join(addresses.values()), "--data-dir",
                str(folder / f"w{id}"), "--http-listen", http[f"w{id}"]], folder / f"w{id}.log")
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {SCRAPE_SECONDS}s, evaluation_interval: 5s}}\n"
            f"rule_files: [{monitoring / 'alerts.yml'}]\n"
            f"scrape_configs: [{{job_name: weir, static_configs: [{{targets: {json.dumps(list(http.values()))}}}]}}]\n")
        web = port + 99
        prometheus = Process("prometheus", [
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{web}"], folder / "prometheus.log")
        (folder / "job.sql").write_text(SCRIPT)
        environment = {**os.environ, "WEIR_COORDINATORS": ",".join(addresses.values())}
        subprocess.run([weir, "submit", str(folder / "job.sql"), "--name", "numbers", "-p", "4", "--detach"], env=environment, check=True)
        began = time.time()
        kills, fired = 0, set()
        while time.time() - began < arguments.seconds:
            time.sleep(chance.uniform(3, 7))
            victim = processes[chance.choice(sorted(processes))]
            death = victim.kill()
            time.sleep(chance.uniform(0.5, 4))
            victim.start()
            victim.deaths.append((death, time.time()))
            kills += 1
            fired |= {f"{alert['labels']['alertname']} {alert['state']}" for alert in ask(web, "/api/v1/alerts")["alerts"]}
        time.sleep(5)
        ended = time.time()
        failures = judge(web, began, ended, {address: processes[name].deaths for name, address in http.items()})
        rules = [rule for group in ask(web, "/api/v1/rules")["groups"] for rule in group["rules"]]
        broken = [rule["name"] for rule in rules if rule["health"] == "err"]
        failures += [f"rule {name} cannot be evaluated" for name in broken]
        print(f"{kills} kills in {ended - began:.0f} s; {len(rules)} rules; alerts seen: {', '.join(sorted(fired)) or 'none'}")
        for failure in failures[:20]:
            print("WRONG:", failure)
        print("failed" if failures else "all is as it should be")
        return 1 if failures else 0
    finally:
        for process in [*processes.values(), *([prometheus] if "prometheus" in locals() else [])]:
            process.child.kill()
            process.child.wait()
        shutil.rmtree(folder, ignore_errors=True)


def raw(web, selector, began, ended):
    """All samples as they were scraped: series and their (time, value)."""
    seconds = int(ended - began) + 30
    result = ask(web, "/api/v1/query", query=f"{selector}[{seconds}s]", time=ended)["result"]
    return [(series["metric"], [(time, float(value)) for time, value in series["values"]]) for series in result]


def judge(web, began, ended, deaths):
    failures = []
    # Lives of processes by what they say of themselves, and attempts of jobs on them.
    starts = {metric["instance"]: values for metric, values in raw(web, "process_start_time_seconds", began, ended)}
    attempts = {metric["instance"]: values for metric, values in raw(web, "weir_job_attempt", began, ended)}

    def changed(values, before, after):
        """Whether the value is another one at the two times, or was not there at one of them."""
        known = dict(values or [])
        return known.get(before) != known.get(after)

    samples = series = resets = 0
    for metric, values in raw(web, '{__name__=~"(weir|process)_.*(_total|_count|_sum|_bucket)"}', began, ended):
        series += 1
        samples += len(values)
        name, instance = metric["__name__"], metric["instance"]
        of_attempt = name.startswith(("weir_operator", "weir_subtask", "weir_source", "weir_sink", "weir_checkpoint", "weir_marker"))
        for (before, old), (after, new) in zip(values, values[1:]):
            if new >= old:
                continue
            resets += 1
            other_life = changed(starts.get(instance), before, after)
            other_life |= of_attempt and changed(attempts.get(instance), before, after)
            if not other_life:
                failures.append(f"{name} {metric} went back from {old} to {new} at {after}")
    # Scrapes that failed.
    missing = 0
    for metric, values in raw(web, "up", began, ended):
        for at, value in values:
            dead = any(death - SCRAPE_SECONDS <= at <= back + 3 * SCRAPE_SECONDS for death, back in deaths[metric["instance"]])
            if value != 1 and at > began:
                missing += 1
                if not dead:
                    failures.append(f"{metric['instance']} was not scraped at {at}, and was not dead")
    # How many series there are at once.
    counts = ask(web, "/api/v1/query_range", query="max(scrape_samples_scraped)", start=began, end=ended, step=5)["result"][0]["values"]
    counts = [int(count) for _, count in counts]
    newest = max((value for values in attempts.values() for _, value in values), default=0)
    print(f"{series} series of counters, {samples} samples, {resets} resets, all with a life that ended" if not failures else "judged")
    print(f"{missing} scrapes found nobody; the job came to attempt {newest:.0f}; at most {max(counts)} series at once from one process")
    half = len(counts) // 2
    if max(counts[half:]) > 1.2 * max(counts[:half]):
        failures.append(f"the number of series grows: {counts}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
