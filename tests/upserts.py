"""What the job of kafka_chaos.py writes to topics whose records replace each other, and what has to be found there.

- copies: rows that are only added. Each record of a key, once, in the order in which it was read.
- remainders: the table's key is not the query's. The sum of each key has a remainder, to which it moves as it grows; of several keys at one,
  the greatest shows, and where there is none any more, a record says so.
- last: rows that are only added, with an order of their own. The last of each key in it shows, so that each takes the place of one before it.
"""

import json
from collections import defaultdict

# So many that some have no key.
REMAINDERS = 31
TABLE = """
CREATE TABLE {name} ({columns}) WITH (
  'connector' = 'upsert-kafka', 'topic' = '{name}', 'properties.bootstrap.servers' = '{{servers}}', 'key.format' = 'raw',
  'value.format' = 'json', 'properties.transaction.timeout.ms' = '{{timeout}}');
INSERT INTO {name} {query};
"""


def target(name, columns, query):
    return TABLE.format(name=name, columns=columns, query=query)


TARGETS = {
    "copies": target("copies", "k STRING NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED", "SELECT k, n FROM named"),
    "remainders": target(
        "remainders", "remainder STRING NOT NULL, k STRING, total BIGINT, PRIMARY KEY (remainder) NOT ENFORCED",
        f"SELECT COALESCE(CAST(total % {REMAINDERS} AS STRING), ''), k, total "
        "FROM (SELECT k, SUM(n) AS total FROM named GROUP BY k)"),
    "last": target("last", "k STRING NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED",
                   "SELECT k, n FROM named ORDER BY n * 7919 % 10007"),
}


def rank(number):
    """Where a number is in the order of `last`."""
    return number * 7919 % 10007, number


def wrong_upserts(topic, records, read):
    """What is wrong with a topic, given what the job has read, and whether its last records are there."""
    numbers = defaultdict(list)
    for key, value in read:
        numbers[key].append(json.loads(value)["n"])
    written = [(key, json.loads(value)) for key, value in records]
    return {"copies": copies, "remainders": remainders, "last": last}[topic](written, numbers)


def copies(written, numbers):
    found = defaultdict(list)
    for key, row in written:
        found[key].append(row and row["n"])
    wrong = [f"{key}: {found[key][:20]}… instead of {numbers[key][:20]}…" for key in found
             if found[key] != numbers[key][:len(found[key])]]
    return wrong, all(len(found[key]) >= len(numbers[key]) for key in numbers)


def remainders(written, numbers):
    sums = {}
    for key, all_numbers in numbers.items():
        total, sums[key] = 0, set()
        for number in all_numbers:
            total += number
            sums[key].add(total)
    expected = {}
    for key, all_numbers in numbers.items():
        total = sum(all_numbers)
        remainder = str(total % REMAINDERS)
        expected[remainder] = max(expected.get(remainder, ("", 0)), (key, total))
    wrong, shown, greatest = [], {}, defaultdict(int)
    for remainder, row in written:
        if row is None:
            if shown.pop(remainder, None) is None:
                wrong.append(f"{remainder}: taken back, and was not there")
            continue
        key, total = row["k"], row["total"]
        if str(total % REMAINDERS) != remainder or row["remainder"] != remainder or total not in sums.get(key, ()):
            wrong.append(f"{remainder}: {row} is not a sum of the first records of its key")
        if total < greatest[key, remainder]:
            wrong.append(f"{remainder}: {row} came behind {greatest[key, remainder]}")
        greatest[key, remainder] = total
        if shown.get(remainder) == (key, total):
            wrong.append(f"{remainder}: {row} again")
        shown[remainder] = key, total
    return wrong, shown == expected


def last(written, numbers):
    wrong, shown = [], {}
    for key, row in written:
        if row is None:
            wrong.append(f"{key}: taken back")
            continue
        number = row["n"]
        if number not in numbers.get(key, ()) or (key in shown and rank(number) <= rank(shown[key])):
            wrong.append(f"{key}: {number} came behind {shown.get(key)}")
        shown[key] = number
    return wrong, shown == {key: max(all_numbers, key=rank) for key, all_numbers in numbers.items()}
