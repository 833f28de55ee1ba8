#!/usr/bin/env python3
"""Runs many small jobs on one worker of a real cluster, and says what they cost.

A coordinator and a worker run as processes on this machine. Each job counts a few Nexmark bids per auction and window, and writes
the counts into files; so each has a source with a watermark, an exchange, keyed state, and a sink with two phases. Measured are the
time to submit all of them, processor time per job, and memory of both processes over time. It fails if a job does not run to the
end of the measurement, or does not complete checkpoints.

  tests/many_jobs.py --jobs 200 --minutes 60
  tests/many_jobs.py --jobs 200 --rate 0       what jobs cost that wait for files which never come
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ADDRESS = "127.0.0.1:17520"
BIDS = "'connector' = 'nexmark', 'nexmark.table' = 'bid', 'rate' = '{rate}', 'realtime' = 'true', 'seed' = '{seed}'"
SILENCE = "'connector' = 'filesystem', 'path' = '{nothing}', 'format' = 'csv', 'source.monitor-interval' = '1s'"
JOB = """
CREATE TABLE bid (
  auction BIGINT, price BIGINT, dateTime TIMESTAMP(3), WATERMARK FOR dateTime AS dateTime - INTERVAL '1' SECOND
) WITH ({source});
CREATE TABLE counts (window_start TIMESTAMP(3), auction BIGINT, bids BIGINT)
WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');
INSERT INTO counts SELECT window_start, auction, COUNT(*)
FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, auction;
"""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(process):
    line = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def slope_per_hour(samples):
    """Least squares over (seconds, MiB)."""
    count = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 3600 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="how long they are watched (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=2, help="events per second and job; 0: jobs that watch an empty folder (default: %(default)s)")
    parser.add_argument("--interval", default="10s", help="between checkpoints of a job (default: %(default)s)")
    arguments = parser.parse_args()
    weir = str(Path(arguments.weir).resolve())
    folder = Path(tempfile.mkdtemp(prefix="weir-many-jobs-"))

    def command(*words):
        answer = subprocess.run([weir, *words, "--coordinators", ADDRESS], capture_output=True, text=True, timeout=120)
        if answer.returncode != 0:
            raise SystemExit(f"weir {' '.join(words)}: {answer.stderr}")
        return answer.stdout

    def submit(number):
        script = folder / f"{number}.sql"
        nothing = folder / "nothing" / str(number)
        nothing.mkdir(parents=True)
        source = (BIDS if arguments.rate else SILENCE).format(rate=arguments.rate, seed=number, nothing=nothing)
        script.write_text(JOB.format(source=source, path=folder / "results" / str(number)))
        command("submit", str(script), "--name", f"job-{number}", "-p", "1", "--detach",
                "-D", f"execution.checkpointing.interval={arguments.interval}")

    log = open(folder / "log", "ab")
    start = lambda *words: subprocess.Popen([weir, *words], stdout=log, stderr=log)
    processes = {"coordinator": start("coordinator", "--listen", ADDRESS, "--data-dir", str(folder / "data")),
                 "worker": start("worker", "--name", "w1", "--slots", str(arguments.jobs), "--coordinators", ADDRESS)}
    try:
        while not json.loads(subprocess.run([weir, "workers", "list", "--json", "--coordinators", ADDRESS],
                                            capture_output=True, text=True).stdout or "[]"):
            time.sleep(0.2)
        begun = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(submit, range(1, arguments.jobs + 1)))
        print(f"{arguments.jobs} jobs submitted in {time.monotonic() - begun:.1f} s", flush=True)
        jobs = lambda: json.loads(command("jobs", "list", "--json"))
        while sum(job["status"] == "running" for job in jobs()) < arguments.jobs:
            if time.monotonic() - begun > 300:
                raise SystemExit("not all jobs run after five minutes")
            time.sleep(0.5)
        print(f"all run after {time.monotonic() - begun:.1f} s", flush=True)

        watched = time.monotonic()
        used = {name: cpu_seconds(process) for name, process in processes.items()}
        memory = {name: [] for name in processes}
        minute = 0
        while True:
            now = time.monotonic() - watched
            if now >= minute * 60 or now >= arguments.minutes * 60:
                for name, process in processes.items():
                    memory[name].append((now, memory_mib(process)))
                print(f"{now / 60:.0f} min: " + ", ".join(f"{name} {samples[-1][1]:.1f} MiB"
                                                         for name, samples in memory.items()), flush=True)
                minute += 1
            if now >= arguments.minutes * 60:
                break
            time.sleep(0.5)
        seconds = time.monotonic() - watched
        for name, process in processes.items():
            cost = 1000 * (cpu_seconds(process) - used[name]) / seconds / arguments.jobs
            half = [sample for sample in memory[name] if sample[0] >= seconds / 2]
            print(f"{name}: {cost:.2f} ms of processor time a second and job; second half of the time: from {half[0][1]:.1f} to "
                  f"{half[-1][1]:.1f} MiB, slope {slope_per_hour(half):+.1f} MiB an hour")
        ended = jobs()
        checkpoints = [(job["last_checkpoint"] or {"epoch": 0})["epoch"] for job in ended]
        wrong = [job["name"] for job in ended if job["status"] != "running" or job["attempt"] != 1]
        print(f"{sum(checkpoints)} checkpoints, the least of a job {min(checkpoints)}; "
              f"log of the coordinator {(folder / 'data' / 'coordinator-1' / 'log.redb').stat().st_size / 2**20:.1f} MiB")
        if wrong or len(ended) < arguments.jobs or not min(checkpoints):
            raise SystemExit(f"these did not run all the time: {wrong}")
        return 0
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
