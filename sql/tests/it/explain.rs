//! What `EXPLAIN` says beside the dataflow.

use super::{plan, without_hashes};

/// The answer to an `EXPLAIN`.
fn explained(sql: &str) -> String {
    let plan = plan(sql).unwrap_or_else(|error| panic!("{}", error.report()));
    let [weir_sql::Answer::Text(text)] = plan.answers.as_slice() else { panic!("one answer of text to {sql}") };
    let text = text.replace(", watermark dateTime - INTERVAL '4' SECOND, idle after 1 min", "");
    text.lines().map(|line| format!("{}\n", without_hashes(&line.replace("connector fake, ", "")))).collect()
}

#[track_caller]
fn check(sql: &str, expected: &str) {
    let actual = explained(sql);
    assert_eq!(actual.trim_end(), expected.trim(), "\n{actual}");
}

const QUERY: &str = "SELECT auction, total, RANK() OVER (ORDER BY total DESC) AS place
     FROM (SELECT auction, SUM(price) AS total FROM bid WHERE price > 3 GROUP BY auction)";

#[test]
fn changelog_modes_and_keys() {
    check(
        &format!("EXPLAIN CHANGELOG_MODE {QUERY}"),
        r#"
Sink(result) (one subtask) (append)  [connector result, op, auction, total, place]
│ keeps: results of the epoch, until its checkpoint completes
└─ rebalance ─ ChangelogRows (append)  [each change as a row]
   └─ Calc (retract, key auction)  [auction, sum(price) AS total, row_number AS place]
      └─ UpdatingOver (retract, key auction)  [of all rows by sum(price) DESC: rank()]
         │ keeps: all rows, without an end
         └─ all to one subtask ─ GroupAggregate (retract, key auction)  [by auction: sum(price)]
            │ keeps: every group that there was, without a bound
            └─ hash(auction) ─ Calc (append)  [auction, price]
               └─ Source(bid) (append)  [auction, price, dateTime where price > 3]
                  │ keeps: the position in each split
                  └─ broadcast ─ Discover(bid) (one subtask) (append)  [splits of connector fake]
                       keeps: the splits that there are
"#,
    );
    check(
        "EXPLAIN CHANGELOG_MODE SELECT COUNT(*) FROM bid",
        r#"
Sink(result) (one subtask) (append)  [connector result, op, EXPR$0]
│ keeps: results of the epoch, until its checkpoint completes
└─ rebalance ─ ChangelogRows (append)  [each change as a row]
   └─ Calc (retract, one row)  [count(*) AS EXPR$0]
      └─ GroupAggregate (retract, one row)  [count(*)]
         │ keeps: one group
         └─ all to one subtask ─ Calc (append)  []
            └─ Source(bid) (append)  [dateTime]
               │ keeps: the position in each split
               └─ broadcast ─ Discover(bid) (one subtask) (append)  [splits of connector fake]
                    keeps: the splits that there are
"#,
    );
}

#[test]
fn state_its_bounds_and_sizes() {
    check(
        &format!("EXPLAIN STATE {QUERY}"),
        r#"
Sink(result) (one subtask)  [connector result, op, auction, total, place]
│ keeps: results of the epoch, until its checkpoint completes
│ bound: the checkpoint
└─ rebalance ─ ChangelogRows  [each change as a row]
   └─ Calc (retract)  [auction, sum(price) AS total, row_number AS place]
      └─ UpdatingOver (retract)  [of all rows by sum(price) DESC: rank()]
         │ keeps: all rows, without an end
         │ bound: nothing
         │ size: about 150 MB per million rows
         └─ all to one subtask ─ GroupAggregate (retract)  [by auction: sum(price)]
            │ keeps: every group that there was, without a bound
            │ bound: nothing
            │ size: about 59 MB per million groups
            └─ hash(auction) ─ Calc  [auction, price]
               └─ Source(bid)  [auction, price, dateTime where price > 3]
                  │ keeps: the position in each split
                  │ bound: the number of splits
                  └─ broadcast ─ Discover(bid) (one subtask)  [splits of connector fake]
                       keeps: the splits that there are
                       bound: the number of splits
"#,
    );
    check(
        "EXPLAIN STATE, CHANGELOG_MODE
         SELECT a.bidder, a.price FROM bid AS a JOIN bid AS b ON a.bidder = b.auction AND a.channel = b.channel ORDER BY a.price LIMIT 3",
        r#"
Sink(result) (one subtask) (append)  [connector result, op, bidder, price]
│ keeps: results of the epoch, until its checkpoint completes
│ bound: the checkpoint
└─ rebalance ─ ChangelogRows (append)  [each change as a row]
   └─ TopN (retract)  [first 3 by price, bidder]
      │ keeps: up to 3 rows
      │ bound: the limit
      └─ all to one subtask ─ Calc (append)  [bidder, price]
         └─ Join (append)  [inner on left.bidder = right.auction AND left.channel = right.channel]
            │ keeps: all rows of both sides, without an end
            │ bound: nothing
            │ size: about 101 MB per million rows
            ├─ left hash(bidder, channel) ─ Calc (append)  [bidder, price, channel]
            │  └─ Source(bid) as source (append)  [auction, bidder, price, channel, dateTime]
            │     │ keeps: the position in each split
            │     │ bound: the number of splits
            │     └─ broadcast ─ Discover(bid) (one subtask) (append)  [splits of connector fake]
            │          keeps: the splits that there are
            │          bound: the number of splits
            └─ right hash(auction, channel) ─ Calc (append)  [auction, channel]
               └─ Source(bid) (shown above as source)
"#,
    );
}

#[test]
fn a_time_to_live_is_a_bound() {
    let text = explained(
        "EXPLAIN STATE SELECT /*+ STATE_TTL('bid' = '1 h') */ auction, SUM(price) AS total FROM bid GROUP BY auction",
    );
    let lines: Vec<&str> = text.lines().collect();
    let aggregate = lines.iter().position(|line| line.contains("GroupAggregate")).unwrap();
    assert!(lines[aggregate + 2].ends_with("bound: the time to live"), "{text}");
}

#[test]
fn the_graph_for_programs() {
    check(
        "EXPLAIN JSON SELECT auction, COUNT(*) AS bids FROM bid GROUP BY auction",
        r#"
{
  "nodes": [
    {
      "id": 0,
      "uid": "discover",
      "name": "Discover(bid)",
      "operator": "discover",
      "parameters": "splits of connector fake",
      "single": true,
      "changelog_mode": "append",
      "key": null,
      "columns": [
        {
          "name": "split",
          "type": "STRING"
        },
        {
          "name": "number",
          "type": "BIGINT"
        },
        {
          "name": "sequence",
          "type": "STRING"
        },
        {
          "name": "description",
          "type": "STRING"
        }
      ],
      "state": {
        "keeps": "the splits that there are",
        "bound": "the number of splits",
        "bytes_per_million": null,
        "of": null
      },
      "inputs": []
    },
    {
      "id": 1,
      "uid": "source",
      "name": "Source(bid)",
      "operator": "source",
      "parameters": "auction, dateTime",
      "single": false,
      "changelog_mode": "append",
      "key": null,
      "columns": [
        {
          "name": "auction",
          "type": "BIGINT"
        },
        {
          "name": "dateTime",
          "type": "TIMESTAMP(3)"
        }
      ],
      "state": {
        "keeps": "the position in each split",
        "bound": "the number of splits",
        "bytes_per_million": null,
        "of": null
      },
      "inputs": [
        {
          "from": 0,
          "input": 0,
          "port": "main",
          "exchange": "broadcast",
          "keys": []
        }
      ]
    },
    {
      "id": 2,
      "uid": "calc",
      "name": "Calc",
      "operator": "calc",
      "parameters": "auction",
      "single": false,
      "changelog_mode": "append",
      "key": null,
      "columns": [
        {
          "name": "auction",
          "type": "BIGINT"
        }
      ],
      "state": null,
      "inputs": [
        {
          "from": 1,
          "input": 0,
          "port": "main",
          "exchange": "forward",
          "keys": []
        }
      ]
    },
    {
      "id": 3,
      "uid": "group-aggregate",
      "name": "GroupAggregate",
      "operator": "group-aggregate",
      "parameters": "by auction: count(*)",
      "single": false,
      "changelog_mode": "retract",
      "key": [
        "auction"
      ],
      "columns": [
        {
          "name": "auction",
          "type": "BIGINT"
        },
        {
          "name": "count(*)",
          "type": "BIGINT"
        }
      ],
      "state": {
        "keeps": "every group that there was, without a bound",
        "bound": null,
        "bytes_per_million": 51000000,
        "of": "groups"
      },
      "inputs": [
        {
          "from": 2,
          "input": 0,
          "port": "main",
          "exchange": "hash",
          "keys": [
            "auction"
          ]
        }
      ]
    },
    {
      "id": 4,
      "uid": "calc",
      "name": "Calc",
      "operator": "calc",
      "parameters": "auction, count(*) AS bids",
      "single": false,
      "changelog_mode": "retract",
      "key": [
        "auction"
      ],
      "columns": [
        {
          "name": "auction",
          "type": "BIGINT"
        },
        {
          "name": "bids",
          "type": "BIGINT"
        }
      ],
      "state": null,
      "inputs": [
        {
          "from": 3,
          "input": 0,
          "port": "main",
          "exchange": "forward",
          "keys": []
        }
      ]
    },
    {
      "id": 5,
      "uid": "changelog-rows",
      "name": "ChangelogRows",
      "operator": "changelog-rows",
      "parameters": "each change as a row",
      "single": false,
      "changelog_mode": "append",
      "key": null,
      "columns": [
        {
          "name": "op",
          "type": "STRING"
        },
        {
          "name": "auction",
          "type": "BIGINT"
        },
        {
          "name": "bids",
          "type": "BIGINT"
        }
      ],
      "state": null,
      "inputs": [
        {
          "from": 4,
          "input": 0,
          "port": "main",
          "exchange": "forward",
          "keys": []
        }
      ]
    },
    {
      "id": 6,
      "uid": "sink",
      "name": "Sink(result)",
      "operator": "sink",
      "parameters": "connector result, op, auction, bids",
      "single": true,
      "changelog_mode": "append",
      "key": null,
      "columns": [
        {
          "name": "op",
          "type": "STRING"
        },
        {
          "name": "auction",
          "type": "BIGINT"
        },
        {
          "name": "bids",
          "type": "BIGINT"
        }
      ],
      "state": {
        "keeps": "results of the epoch, until its checkpoint completes",
        "bound": "the checkpoint",
        "bytes_per_million": null,
        "of": null
      },
      "inputs": [
        {
          "from": 5,
          "input": 0,
          "port": "main",
          "exchange": "rebalance",
          "keys": []
        }
      ]
    }
  ]
}
"#,
    );
}
