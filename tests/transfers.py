#!/usr/bin/env python3
"""Moves money between accounts at random, and looks at every state that a query shows of it: the sum over all accounts has to be zero.

Three coordinators and three workers run as processes on this machine. A job with four subtasks adds up what each account has paid and got, in
two ways: as balances of all movements, and by a join of the sums of both. What it prints is one row, which changes at each marker, and
which is right at every marker or shows a state that no prefix of the input had. Meanwhile workers and the leading coordinator are killed
with SIGKILL and started again, and the job is rescaled.

  tests/transfers.py --seconds 20
"""

import argparse
import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import chaos

ACCOUNTS = 1000
QUERY = f"""
CREATE TABLE transfers (id BIGINT, payer INT, payee INT, amount INT) WITH ('connector' = 'datagen',
  'rows-per-second' = '{{rate}}', 'seed' = '{{seed}}', 'fields.id.min' = '0', 'fields.id.max' = '0',
  'fields.payer.min' = '1', 'fields.payer.max' = '{ACCOUNTS}', 'fields.payee.min' = '1', 'fields.payee.max' = '{ACCOUNTS}',
  'fields.amount.min' = '1', 'fields.amount.max' = '1000000');

CREATE VIEW movements AS
SELECT payer AS account, -CAST(amount AS BIGINT) AS amount FROM transfers
UNION ALL SELECT payee, amount FROM transfers;

CREATE VIEW balances AS SELECT account, SUM(amount) AS balance FROM movements GROUP BY account;
CREATE VIEW debits AS SELECT payer AS account, SUM(amount) AS paid, COUNT(*) AS payments FROM transfers GROUP BY payer;
CREATE VIEW credits AS SELECT payee AS account, SUM(amount) AS got, COUNT(*) AS receipts FROM transfers GROUP BY payee;

CREATE VIEW accounts AS
SELECT COALESCE(c.account, d.account) AS account, COALESCE(got, 0) - COALESCE(paid, 0) AS balance, payments, receipts
FROM credits AS c FULL JOIN debits AS d ON c.account = d.account;

SELECT SUM(total) AS total, SUM(joined) AS joined, SUM(of_them) AS of_them, SUM(payments) AS payments, SUM(receipts) AS receipts,
       SUM(transfers) AS transfers
FROM (
  SELECT balance AS total, 0 AS joined, 0 AS of_them, 0 AS payments, 0 AS receipts, 0 AS transfers FROM balances
  UNION ALL SELECT 0, balance, 0, payments, receipts, 0 FROM accounts
  UNION ALL SELECT 0, 0, ABS(a.balance - b.balance), 0, 0, 0 FROM accounts AS a JOIN balances AS b ON a.account = b.account
  UNION ALL SELECT 0, 0, 0, 0, 0, COUNT(*) FROM transfers
);
"""


class States(threading.Thread):
    """Reads what the query prints, row by row."""

    def __init__(self, rows):
        super().__init__(daemon=True)
        self.rows, self.shown, self.wrong, self.transfers, self.header = rows, 0, [], 0, None

    def run(self):
        before = None
        for row in csv.reader(self.rows):
            if self.header is None:
                self.header = row
                continue
            state = {name: int(value or 0) for name, value in zip(self.header[1:], row[1:])}
            if row[0] in ("-U", "-D"):
                if before != state:
                    self.wrong.append(f"{state} is taken back, and {before} was shown")
                before = None
                continue
            self.look_at(state, before)
            before = state

    def look_at(self, state, before):
        self.shown += 1
        if before is not None:
            self.wrong.append(f"{state} is added to {before}")
        for name in ("total", "joined", "of_them"):
            if state[name] != 0:
                self.wrong.append(f"{name} is not zero: {state}")
        if not state["transfers"] == state["payments"] == state["receipts"] >= self.transfers:
            self.wrong.append(f"not the transfers of one prefix, behind {self.transfers}: {state}")
        self.transfers = state["transfers"]


def name_of_job(cluster):
    jobs = cluster.command("jobs", "list", "--json", check=False)
    names = [job["name"] for job in json.loads(jobs.stdout)] if jobs.returncode == 0 else []
    return names[0] if names else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the binary (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=20, help="how long (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=20000, help="transfers per second of each subtask (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of transfers and faults (default: random)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    print(f"seed {arguments.seed}")
    weir = str(Path(arguments.weir).resolve())
    folder = Path(tempfile.mkdtemp(prefix="weir-transfers-"))
    cluster = chaos.Cluster(weir, folder, False)
    good, client = False, None
    try:
        cluster.leader()
        client = subprocess.Popen(
            [weir, "submit", "-q", "-p", "4", "-o", "csv", "--coordinators", cluster.addresses,
             "-D", "execution.checkpointing.interval=500ms", "-e", QUERY.format(rate=arguments.rate, seed=arguments.seed)],
            stdout=subprocess.PIPE, stderr=open(folder / "client.log", "wb"), text=True)
        states = States(client.stdout)
        states.start()
        chaos.wait_for("nothing is shown", lambda: states.shown > 0 or client.poll() is not None, 60)
        good = faults(cluster, states, arguments.seconds, rng) and client.poll() is None
        client.send_signal(signal.SIGINT)
        client.wait(60)
        states.join(60)
        good = judge(states) and good
        if not good:
            print((folder / "client.log").read_text())
        return 0 if good else 1
    finally:
        if client and client.poll() is None:
            client.kill()
        cluster.end()
        if good and not arguments.keep:
            shutil.rmtree(folder)
        else:
            print(f"logs are in {folder}")


def faults(cluster, states, seconds, rng):
    """Kills and rescales in turn; each time states have to come again. Returns whether they did."""
    name = name_of_job(cluster)
    parallelism = 4
    end = time.monotonic() + seconds
    turns = ["worker", "rescale", "leader"]
    done = []
    while time.monotonic() < end or len(done) < len(turns):
        kind = turns[len(done) % len(turns)]
        time.sleep(rng.uniform(0.5, 2))
        if kind == "rescale":
            parallelism = 6 - parallelism
            cluster.command("jobs", "rescale", name, "-p", str(parallelism))
        else:
            victim = cluster.coordinators[cluster.leader()] if kind == "leader" else rng.choice(list(cluster.workers.values()))
            victim.kill()
            victim.start()
        before = states.transfers
        chaos.wait_for(f"no more transfers count behind the {kind}", lambda: states.transfers > before, 60)
        done.append(kind)
    print("done:", ", ".join(f"{kind} {done.count(kind)} times" for kind in turns))
    return True


def judge(states):
    if states.wrong or states.shown < 20:
        print(f"WRONG: {len(states.wrong)} of {states.shown} states, such as")
        print("\n".join(states.wrong[:10]))
        return False
    print(f"right: {states.shown} states over up to {states.transfers} transfers between {ACCOUNTS} accounts, each of one prefix")
    return True


if __name__ == "__main__":
    sys.exit(main())
