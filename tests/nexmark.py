#!/usr/bin/env python3
"""Runs the Nexmark queries of benches/nexmark into files, kills the process on the way, and compares all rows with SQLite's answer.

Each query runs in a process of its own with a state directory. The process is killed with SIGKILL as soon as it has completed a
checkpoint, and started again at another parallelism, several times; the last run goes on to the end. Results that change are
compared as they are when the input has ended.

The oracle is SQLite over the same events, which a plain `weir run` has written. Its queries are in this file, in words of their own.

  tests/nexmark.py                              a million events, every query
  tests/nexmark.py --events 50000 --queries q4,q9
"""

import argparse
import csv
import json
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
QUERIES = ROOT / "benches" / "nexmark"
BEGIN_MS = 1_767_225_600_000  # 2026-01-01, where event time begins
PARALLELISMS = [1, 4, 2]

DAY = "substr(dateTime, 1, 10)"
RANKS = ["TRUE", "price < 10000", "price >= 10000 AND price < 1000000", "price >= 1000000"]
COUNTS = ", ".join(f"SUM({rank})" for rank in RANKS)
DISTINCT = ", ".join(f"COUNT(DISTINCT CASE WHEN {rank} THEN {of} END)" for of in ["bidder", "auction"] for rank in RANKS)
OPEN = """SELECT a.*, b.auction, b.bidder, b.price, b.dateTime AS at, b.extra AS bid_extra, b.t AS bid_t
          FROM auction a JOIN bid b ON a.id = b.auction AND b.t BETWEEN a.t AND a.expires_t"""
ITEM = "itemName, description, initialBid, reserve"

# Times in milliseconds stand beside those in text: t, expires_t.
ORACLE = {
    "q0": "SELECT auction, bidder, price, dateTime, extra FROM bid",
    "q1": "SELECT auction, bidder, price * 908 / 1000.0, dateTime, extra FROM bid",
    "q2": "SELECT auction, price FROM bid WHERE auction % 123 = 0",
    "q3": """SELECT name, city, state, a.id FROM auction a JOIN person p ON seller = p.id
             WHERE category = 10 AND state IN ('OR', 'ID', 'CA')""",
    "q4": f"""SELECT category, AVG(highest) FROM (SELECT id, category, MAX(price) AS highest FROM ({OPEN}) GROUP BY id)
              GROUP BY category""",
    "q5": """WITH counts AS (
               SELECT auction, t / 2000 - back AS slide, COUNT(*) AS num
               FROM bid, (SELECT 0 AS back UNION ALL VALUES (1), (2), (3), (4)) GROUP BY 1, 2)
             SELECT auction, num FROM (SELECT *, MAX(num) OVER (PARTITION BY slide) AS most FROM counts) WHERE num = most""",
    "q6": f"""SELECT seller, AVG(price) OVER (PARTITION BY seller ORDER BY bid_t ROWS BETWEEN 10 PRECEDING AND CURRENT ROW)
              FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY price DESC, bid_t) AS place FROM ({OPEN})) WHERE place = 1""",
    "q7": """WITH highest AS (SELECT t / 10000 AS place, MAX(price) AS price FROM bid GROUP BY 1)
             SELECT b.auction, b.price, bidder, dateTime, extra FROM bid b JOIN highest h
             ON b.price = h.price AND b.t BETWEEN place * 10000 AND place * 10000 + 10000""",
    "q8": """SELECT DISTINCT p.id, p.name, moment(p.t / 10000 * 10000) FROM person p JOIN auction a
             ON p.id = a.seller AND p.t / 10000 = a.t / 10000""",
    "q9": f"""SELECT id, {ITEM}, dateTime, expires, seller, category, extra, auction, bidder, price, at, bid_extra
              FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY price DESC, bid_t) AS place FROM ({OPEN})) WHERE place = 1""",
    "q10": f"SELECT auction, bidder, price, dateTime, extra, {DAY}, substr(dateTime, 12, 5) FROM bid",
    "q11": """SELECT bidder, COUNT(*), moment(MIN(t)), moment(MAX(t) + 10000) FROM (
                SELECT *, SUM(begins) OVER (PARTITION BY bidder ORDER BY t) AS session FROM (
                  SELECT *, COALESCE(t - LAG(t) OVER (PARTITION BY bidder ORDER BY t) > 10000, TRUE) AS begins FROM bid))
              GROUP BY bidder, session""",
    # In processing time windows follow the clock. Their sum does not.
    "q12": "SELECT bidder, COUNT(*) FROM bid GROUP BY bidder",
    # Some keys of the side table are missing.
    "q13": """SELECT auction, bidder, price, dateTime, 'value ' || (auction % 10000) FROM bid WHERE auction % 10000 % 7 <> 3""",
    "q14": """SELECT auction, bidder, price * 908 / 1000.0,
                CASE WHEN hour BETWEEN 8 AND 18 THEN 'dayTime' WHEN hour <= 6 OR hour >= 20 THEN 'nightTime' ELSE 'otherTime' END,
                dateTime, extra, length(extra) - length(replace(extra, 'c', ''))
              FROM (SELECT *, CAST(substr(dateTime, 12, 2) AS INTEGER) AS hour FROM bid)
              WHERE price * 908 > 1000000000 AND price * 908 < 50000000000""",
    "q15": f"SELECT {DAY}, {COUNTS}, {DISTINCT} FROM bid GROUP BY 1",
    "q16": f"SELECT channel, {DAY}, MAX(substr(dateTime, 12, 5)), {COUNTS}, {DISTINCT} FROM bid GROUP BY 1, 2",
    "q17": f"SELECT auction, {DAY}, {COUNTS}, MIN(price), MAX(price), AVG(price), SUM(price) FROM bid GROUP BY 1, 2",
    "q18": """SELECT auction, bidder, price, channel, url, dateTime, extra FROM (
                SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY t DESC) AS place FROM bid) WHERE place = 1""",
    "q19": """SELECT * FROM (SELECT auction, bidder, price, channel, url, dateTime, extra,
                ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, t) AS place FROM bid) WHERE place <= 10""",
    "q20": f"""SELECT auction, bidder, price, channel, url, b.dateTime, b.extra, {ITEM}, a.dateTime, expires, seller, category, a.extra
               FROM bid b JOIN auction a ON b.auction = a.id WHERE category = 10""",
    "q21": """SELECT auction, bidder, price, channel, channel_id FROM (SELECT *, CASE lower(channel) WHEN 'apple' THEN '0'
                WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3' ELSE found(url) END AS channel_id FROM bid)
              WHERE channel_id IS NOT NULL""",
    "q22": "SELECT auction, bidder, price, channel, part(url, 3), part(url, 4), part(url, 5) FROM bid",
    "q23": f"""SELECT bidder, price, channel, url, b.extra, p.id, name, emailAddress, creditCard, city, state, p.extra, {ITEM},
                 a.dateTime, expires, seller, category, a.extra
               FROM bid b, person p, auction a WHERE b.bidder = p.id AND b.bidder = a.seller""",
}
# Which of several equal rows is ahead follows from the order in which they come, and that from the parallelism.
REWRITTEN = {"q19": ("ORDER BY price DESC)", "ORDER BY price DESC, dateTime)")}


def found(url):
    """The channel's number in a URL."""
    match = re.search(r"(?:&|^)channel_id=([^&]*)", url)
    return match and match.group(1)


def part(url, index):
    """A part between slashes."""
    parts = url.split("/")
    return parts[index] if index < len(parts) else None


def moment(millis):
    """Milliseconds of event time as text."""
    seconds, rest = divmod(millis, 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{rest:03}"


def milliseconds(text):
    """Text as milliseconds of event time."""
    date, rest = text.split(".")
    return int(BEGIN_MS + (time.mktime(time.strptime(date + " UTC", "%Y-%m-%d %H:%M:%S %Z")) - EPOCH) * 1000) + int(rest[:3].ljust(3, "0"))


EPOCH = time.mktime(time.strptime("2026-01-01 00:00:00 UTC", "%Y-%m-%d %H:%M:%S %Z"))


def canonical(value):
    """Whole numbers are the same whether or not they have a point; of others nine digits count."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:.9g}" if float(value) != int(value) else str(int(value))
    return value


def counted(rows):
    """Rows without their order."""
    return Counter(tuple(canonical(value) for value in row) for row in rows)


class Events:
    """The three tables, in SQLite."""

    def __init__(self, weir, folder, tables):
        self.database = sqlite3.connect(":memory:")
        self.database.create_function("found", 1, found, deterministic=True)
        self.database.create_function("part", 2, part, deterministic=True)
        self.database.create_function("moment", 1, moment, deterministic=True)
        for table in ["person", "auction", "bid"]:
            path = folder / f"{table}.csv"
            with open(path, "wb") as out:
                script = f"{tables}\nSELECT * FROM {table};"
                subprocess.run([weir, "run", "-q", "-o", "csv", "-"], input=script.encode(), stdout=out, check=True)
            self.load(table, path)
        self.database.execute("CREATE INDEX bids ON bid (auction)")
        self.database.execute("CREATE INDEX auctions ON auction (id)")
        self.database.execute("CREATE INDEX sellers ON auction (seller)")
        self.database.execute("CREATE INDEX persons ON person (id)")

    def load(self, table, path):
        """Numbers as such, and times as text and in milliseconds."""
        with open(path, newline="") as file:
            rows = csv.reader(file)
            names = next(rows)
            times = [index for index, name in enumerate(names) if name in ("dateTime", "expires")]
            numbers = {"id", "initialBid", "reserve", "seller", "category", "auction", "bidder", "price"}
            columns = [f"{name} {'INTEGER' if name in numbers else 'TEXT'}" for name in names]
            columns += [{"dateTime": "t INTEGER", "expires": "expires_t INTEGER"}[names[index]] for index in times]
            self.database.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            marks = ", ".join("?" * len(columns))
            filled = (row + [milliseconds(row[index]) for index in times] for row in rows)
            self.database.executemany(f"INSERT INTO {table} VALUES ({marks})", filled)

    def answer(self, query):
        """What a query should give."""
        return counted(self.database.execute(ORACLE[query]))


def manifests(state):
    """Checkpoints that a state directory has."""
    return list((state / "checkpoints").glob("*.json"))


# How long at most a process goes on behind its checkpoint, how often it takes one, and how many rows a second it reads of each table. A query that
# has ended by then is run anew with the next.
HASTE = [(0.1, "20ms", None), (0.03, "20ms", None), (0, "10ms", None), (0, "20ms", 100_000), (0, "10ms", 30_000)]


def run(weir, folder, scripts, patience, chance):
    """Runs a script, made for so many rows a second, to its end with kills on the way: one for each change of parallelism where it takes long
    enough. Returns how many."""
    for delay, interval, limit in HASTE:
        for place in ("state", "out"):
            shutil.rmtree(folder / place, ignore_errors=True)
        kills = run_once(weir, folder, scripts(limit), patience, interval, lambda: chance.uniform(0, delay))
        if kills == len(PARALLELISMS) - 1:
            break
    return kills


def run_once(weir, folder, script, patience, interval, delay):
    state, kills = folder / "state", 0
    for turn, parallelism in enumerate(PARALLELISMS):
        command = [weir, "run", "-q", str(script), "--state-dir", str(state), "-p", str(parallelism)]
        before = set(manifests(state))
        child = subprocess.Popen(command + ["-D", f"execution.checkpointing.interval={interval}"])
        if turn + 1 < len(PARALLELISMS):
            deadline = time.monotonic() + patience
            while child.poll() is None and not set(manifests(state)) - before:
                if time.monotonic() > deadline:
                    child.kill()
                    sys.exit(f"{script.name}: no checkpoint in {patience} s")
                time.sleep(0.002)
            time.sleep(delay())
            if child.poll() is None:
                child.send_signal(signal.SIGKILL)
                kills += 1
        if child.wait() not in (0, -signal.SIGKILL):
            sys.exit(f"{script.name}: exit code {child.returncode}")
        if child.returncode == 0:
            break
    return kills


def rows_in(folder):
    """All rows of committed files. What folders are named after is the end of each row in them."""
    for path in sorted(folder.rglob("part-*")):
        named = tuple(unquote(part.split("=", 1)[1]) for part in path.relative_to(folder).parts[:-1])
        with open(path) as lines:
            for line in lines:
                yield tuple(json.loads(line).values()) + named


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="persons, auctions and bids together (default: %(default)s)")
    parser.add_argument("--queries", default=",".join(ORACLE), help="which, separated by commas (default: all)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of the events, and of when a process is killed")
    parser.add_argument("--weir", default=str(ROOT / "target" / "release" / "weir"), help="the binary (default: %(default)s)")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    # Two milliseconds between events: no two have the same time.
    options = f"'events.num' = '{arguments.events}', 'rate' = '500', 'seed' = '{arguments.seed}'"
    tables = (QUERIES / "tables.sql").read_text()
    folder = Path(tempfile.mkdtemp(prefix="weir-nexmark-"))
    print(f"seed {arguments.seed}, {arguments.events} events", flush=True)
    with open(folder / "side.csv", "w") as side:
        side.writelines(f"{key},value {key}\n" for key in range(10_000) if key % 7 != 3)
    events, wrong, kills = Events(arguments.weir, folder, tables.replace("${options}", options)), [], 0
    for query in arguments.queries.split(","):
        place = folder / query
        place.mkdir()
        sink = f"'connector' = 'filesystem', 'path' = '{place / 'out'}', 'format' = 'json'"
        text = (QUERIES / f"{query}.sql").read_text().replace("${sink}", sink)
        text = text.replace("${side}", str(folder / "side.csv"))
        text = text.replace(*REWRITTEN[query]) if query in REWRITTEN else text

        def scripts(limit):
            limited = f", 'scan.records-per-second.limit' = '{limit}'" if limit else ""
            script = place / f"{query}.sql"
            script.write_text(tables.replace("${options}", options + limited) + text)
            return script

        began = time.monotonic()
        killed = run(arguments.weir, place, scripts, 60, chance)
        took = time.monotonic() - began
        rows = list(rows_in(place / "out"))
        if query == "q12":
            sums = Counter()
            for bidder, count, *_ in rows:
                sums[bidder] += count
            rows = sums.items()
        right, rows = events.answer(query), counted(rows)
        same = rows == right
        print(f"{query:4} {'ok' if same else 'WRONG':5} {right.total()} rows, {killed} kills, {took:.1f} s", flush=True)
        kills += killed
        if same:
            shutil.rmtree(place)
        else:
            wrong.append(query)
            print(f"  missing {list((right - rows).items())[:3]}\n  too many {list((rows - right).items())[:3]}")
    if wrong:
        sys.exit(f"wrong: {', '.join(wrong)}; seed {arguments.seed}, files in {folder}")
    shutil.rmtree(folder)
    print(f"all rows are right, {kills} kills")


if __name__ == "__main__":
    main()
