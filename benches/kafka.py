#!/usr/bin/env python3
"""What it costs to read records from a real broker, and to write them exactly once.

Bids of Nexmark are written to topics of a broker on this machine. Then they are read from there, in each format, all columns and three of
them, by `weir run` with one subtask and results to `blackhole`; and copied to another topic, at least once and exactly once. The broker takes
processor time of its own, and may share the machine with others: of the figures the most honest is rows a second of processor time of
the `weir` process, with all its threads, those of the Kafka client included.

  benches/kafka.py                        five million bids, three runs each; takes some 10 GB of disk
  benches/kafka.py --bids 1000000 --runs 1
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SERVICE = Path(__file__).parent.parent / "tests/services/kafka"
COLUMNS = {"auction": "BIGINT", "bidder": "BIGINT", "price": "BIGINT", "channel": "STRING", "url": "STRING",
           "dateTime": "TIMESTAMP(3)", "extra": "STRING"}
PARTITIONS = 4
FORMATS = ["json", "avro", "protobuf"]
# Options of formats beside their names.
OPTIONS = {"protobuf": {"protobuf__schema": """syntax = "proto3"; import "google/protobuf/timestamp.proto"; message Bid {
    int64 auction = 1; int64 bidder = 2; int64 price = 3; string channel = 4; string url = 5;
    google.protobuf.Timestamp dateTime = 6; string extra = 7; }"""}}
READ = {"all": list(COLUMNS), "three": ["auction", "bidder", "price"]}


def table(name, columns, **options):
    """A declaration. Names of options have a `.` where Python's have a `__`, and a `-` where those have a `_`."""
    declared = ", ".join(f"{column} {COLUMNS[column]}" for column in columns)
    options = ", ".join(f"'{option.replace('__', '.').replace('_', '-')}' = '{value}'" for option, value in options.items())
    return f"CREATE TABLE {name} ({declared}) WITH ({options});\n"


class Bench:
    def __init__(self, weir, folder, port):
        self.weir, self.folder = weir, folder
        self.environment = {**os.environ, "KAFKA_PORT": str(port)}
        self.servers = self.service("up", str(folder / "broker")).strip()

    def service(self, *arguments):
        return subprocess.run([SERVICE, *arguments], env=self.environment, check=True, capture_output=True, text=True).stdout

    def topic(self, name, kind, **options):
        return table(kind, COLUMNS, connector="kafka", topic=name, properties__bootstrap__servers=self.servers, **options)

    def input(self, form):
        return self.topic(f"bids-{form}", "bid", format=form, scan__startup__mode="earliest-offset", scan__bounded__mode="latest-offset",
                          **OPTIONS.get(form, {}))

    def run(self, script, parallelism, *settings):
        """Figures of one run, which has to read all bids."""
        stats, state = self.folder / "stats.json", self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        (self.folder / "job.sql").write_text(script)
        subprocess.run([self.weir, "run", self.folder / "job.sql", "--quiet", "--stats", stats, "--state-dir", state,
                        "--parallelism", str(parallelism), *settings], check=True)
        return json.loads(stats.read_text())

    def fill(self, bids):
        for form in FORMATS:
            self.service("make", f"bids-{form}", str(PARTITIONS))
        # 46 of 50 events are bids.
        events = -(-bids * 50 // 46)
        source = table("source", COLUMNS, connector="nexmark", nexmark__table="bid", events__num=events)
        sinks = "".join(self.topic(f"bids-{form}", f"to_{form}", format=form, sink__delivery_guarantee="at-least-once", **OPTIONS.get(form, {}))
                        + f"INSERT INTO to_{form} SELECT * FROM source;\n" for form in FORMATS)
        return self.run(source + sinks, 1)["rows_in"]

    def read(self, form, columns):
        sink = table("sink", READ[columns], connector="blackhole")
        return self.run(self.input(form) + sink + f"INSERT INTO sink SELECT {', '.join(READ[columns])} FROM bid;", 1)

    def copy(self, number, guarantee):
        name = f"copies-{number}"
        self.service("make", name, str(PARTITIONS))
        sink = self.topic(name, "copies", format="json", sink__delivery_guarantee=guarantee)
        return self.run(self.input("json") + sink + "INSERT INTO copies SELECT * FROM bid;", 2,
                        "-D", "execution.checkpointing.interval=1s")


def show(what, bids, runs):
    if any(run["rows_in"] != bids for run in runs):
        raise SystemExit(f"{what}: not all of {bids} bids were read")
    speeds = [bids / run["seconds"] / 1e6 for run in runs]
    costs = [bids / run["cpu_seconds"] / 1e6 for run in runs]
    print(f"{what:<24} {statistics.median(speeds):>8.2f} {min(speeds):>7.2f} {max(speeds):>7.2f}"
          f" {statistics.median(costs):>10.2f} {min(costs):>7.2f} {max(costs):>7.2f} {runs[0]['checkpoints']:>12}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--bids", type=int, default=5_000_000, help="records in each topic (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each kind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=19492, help="of the broker, and one behind it (default: %(default)s)")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="weir-kafka-bench-"))
    bench = None
    try:
        bench = Bench(str(Path(arguments.weir).resolve()), folder, arguments.port)
        bids = bench.fill(arguments.bids)
        print(f"{bids} bids in {PARTITIONS} partitions; million rows a second, and a second of processor time: median, slowest, fastest")
        print(f"{'':<24} {'rows/s':>8} {'':>15} {'rows/CPU s':>10} {'':>15} {'checkpoints':>12}")
        for form in FORMATS:
            for columns in READ:
                show(f"read {form}, {columns} columns", bids, [bench.read(form, columns) for _ in range(arguments.runs)])
        once = {guarantee: [] for guarantee in ("at-least-once", "exactly-once")}
        # In turns: what else the machine does is the same for both.
        for number in range(arguments.runs * 2):
            guarantee = list(once)[number % 2]
            once[guarantee].append(bench.copy(number, guarantee))
        for guarantee, runs in once.items():
            show(f"copy, {guarantee}", bids, runs)
        return 0
    finally:
        if bench is not None:
            bench.service("down", str(folder / "broker"))
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
