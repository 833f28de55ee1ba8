"""What the job of kafka_chaos.py writes to topics whose records replace each other, and what has to be found there.

- copies: rows that are only added. Each record of a key, once, in the order in which it was read.
- remainders: the table's key is not the query's. The sum of each key has a remainder, to which it moves as it grows; of several keys at one,
  the greatest shows, and where there is none any more, a record says so.
- mirrored: remainders, read back as a table whose records replace each other, and written as it is.
- holders: the same table, counted and summed by the key that shows at each remainder; one that shows nowhere any more has no record.
- last: rows that are only added, with an order of their own. The last of each key in it shows, so that each takes the place of one before it.
"""

import json
from collections import defaultdict

# So many that some have no key.
REMAINDERS = 31
TABLE = """
CREATE TABLE {name} ({columns}) WITH (
  'connector' = 'upsert-kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{{servers}}', 'key.format' = 'raw',
  'value.format' = 'json', 'properties.transaction.timeout.ms' = '{{timeout}}');
"""
REMAINDER = "remainder STRING NOT NULL, k STRING, total BIGINT, PRIMARY KEY (remainder) NOT ENFORCED"


def target(name, columns, query):
    return TABLE.format(name=name, topic=name, columns=columns) + f"INSERT INTO {name} {query};\n"


TARGETS = {
    "copies": target("copies", "k STRING NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED", "SELECT k, n FROM named"),
    "remainders": target(
        "remainders", REMAINDER,
        f"SELECT COALESCE(CAST(total % {REMAINDERS} AS STRING), ''), k, total "
        "FROM (SELECT k, SUM(n) AS total FROM named GROUP BY k)"),
    "last": target("last", "k STRING NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED",
                   "SELECT k, n FROM named ORDER BY n * 7919 % 10007"),
    "mirrored": TABLE.format(name="read_back", topic="remainders", columns=REMAINDER)
    + target("mirrored", REMAINDER, "SELECT remainder, k, total FROM read_back"),
    "holders": target("holders", "k STRING NOT NULL, places BIGINT, total BIGINT, PRIMARY KEY (k) NOT ENFORCED",
                      "SELECT COALESCE(k, ''), COUNT(*), SUM(total) FROM read_back GROUP BY COALESCE(k, '')"),
}


def rank(number):
    """Where a number is in the order of `last`."""
    return number * 7919 % 10007, number


def wrong_upserts(topic, written, read):
    """What is wrong with a topic, given what the job has written and read, and whether its last records are there."""
    numbers = defaultdict(list)
    for key, value in read:
        numbers[key].append(json.loads(value)["n"])
    rows = {name: [(key, json.loads(value)) for key, value in written[name]] for name in {topic, "remainders"}}
    if topic in ("mirrored", "holders"):
        return {"mirrored": mirrored, "holders": holders}[topic](rows[topic], rows["remainders"])
    written = rows[topic]
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


def newest(records):
    """What records come to that replace each other."""
    shown = {}
    for key, row in records:
        shown.pop(key, None)
        if row is not None:
            shown[key] = row
    return shown


def mirrored(written, source):
    """Of each key some of the states that it had, in their order, and the last."""
    states, wrong, before = defaultdict(list), [], defaultdict(int)
    for key, row in source:
        states[key].append(row)
    for key, row in written:
        try:
            before[key] = states[key].index(row, before[key]) + 1
        except ValueError:
            wrong.append(f"{key}: {row} came, which it was not behind its first {before[key]} states")
    return wrong, newest(written) == newest(source)


def holders(written, source):
    """Each change is one, and the last ones are the sums over the table's last state."""
    wrong, shown = [], {}
    for key, row in written:
        if row == shown.get(key) or (row is not None and (row["k"] != key or row["places"] < 1)):
            wrong.append(f"{key}: {row} behind {shown.get(key)}")
        shown.pop(key, None)
        if row is not None:
            shown[key] = row
    expected = {}
    for row in newest(source).values():
        total = expected.setdefault(row["k"], {"k": row["k"], "places": 0, "total": 0})
        total["places"] += 1
        total["total"] += row["total"]
    return wrong, shown == expected
