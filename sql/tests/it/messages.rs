//! What is said to the mistakes that people make most, word by word.

use super::{dataflow, plan, refusal};

const TUMBLE: &str = "TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)";

/// The message, without the excerpt: where, what is wrong, and what to write instead. `TUMBLED` stands for the windows of bids.
#[track_caller]
fn says(sql: &str, column: usize, message: &str, help: &str) {
    let report = refusal(&format!("\n{}", sql.replace("TUMBLED", TUMBLE)));
    let (place, rest) = report.split_once(": ").unwrap();
    let said = rest.lines().next().unwrap();
    let advice = rest.split_once("\n  help: ").map_or("", |(_, help)| help);
    let at = place.split_once(", column ").unwrap().1;
    assert_eq!((at, said, advice), (column.to_string().as_str(), message, help), "{report}");
}

#[test]
fn a_window_over_a_column_that_is_no_time() {
    let grouped = "GROUP BY window_start, window_end";
    says(
        &format!("SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(channel), INTERVAL '1' DAY) {grouped}"),
        51,
        "`channel` is STRING, and a window needs a time attribute",
        "name the column with the WATERMARK; text becomes one in the table: `ts AS TO_TIMESTAMP(channel), WATERMARK FOR ts AS ts`",
    );
    says(
        &format!("SELECT COUNT(*) FROM TUMBLE(TABLE bid, DESCRIPTOR(price), INTERVAL '1' DAY) {grouped}"),
        51,
        "`price` is BIGINT, and a window needs a time attribute",
        "name the column that the table declares a WATERMARK for, which is TIMESTAMP(3) or TIMESTAMP_LTZ(3)",
    );
}

#[test]
fn punctuation_that_is_found() {
    says("SELECT price,, channel FROM bid", 14, "expected an expression, found `,`", "");
    says("SELECT ABS(price,) FROM bid", 18, "expected an expression, found `)`", "");
    says("SELECT JSON_VALUE(channel) FROM bid", 26, "expected `,`, found `)`", "");
    says("SELECT price FROM bid WHERE price >, 5", 36, "expected an expression, found `,`", "");
}

#[test]
fn casts_that_can_never_be_made() {
    says(
        "SELECT CAST(ARRAY[price] AS ARRAY<ROW<a INT>>) FROM bid",
        19,
        "ARRAY<BIGINT> cannot be cast to ARRAY<ROW<a INT>>",
        "",
    );
    says(
        "SELECT CAST(price AS ARRAY<BIGINT>) FROM bid",
        13,
        "BIGINT cannot be cast to ARRAY<BIGINT>",
        "`ARRAY[x]` has one element",
    );
    says("SELECT TRY_CAST(ARRAY[price] AS BIGINT) FROM bid", 23, "ARRAY<BIGINT> cannot be cast to BIGINT", "");
    says(
        "SELECT CAST(ARRAY[channel] AS ARRAY<VARCHAR(3)>) FROM bid",
        1,
        "values within others are not cut to the length of VARCHAR in a cast; write STRING",
        "",
    );
    says("SELECT CAST(channel AS MAP<STRIN, INT>) FROM bid", 1, "there is no type `STRIN`; did you mean `STRING`?", "");
}

#[test]
fn a_column_that_is_no_key() {
    says(
        "SELECT window_start, COUNT(*) FROM TUMBLED",
        8,
        "`window_start` in SELECT is neither a key of GROUP BY nor within an aggregate",
        "aggregate per window: `GROUP BY window_start, window_end`",
    );
    says(
        "SELECT channel, COUNT(*) FROM TUMBLED GROUP BY window_start, window_end",
        8,
        "`channel` in SELECT is neither a key of GROUP BY nor within an aggregate",
        "name it in GROUP BY, or say which of its values is meant, as in `MAX(channel)`",
    );
    says(
        "SELECT COUNT(*) FROM TUMBLED GROUP BY window_start, window_end HAVING channel = 'x'",
        125,
        "`channel` in HAVING is neither a key of GROUP BY nor within an aggregate",
        "name it in GROUP BY, or say which of its values is meant, as in `MAX(channel)`",
    );
}

#[test]
fn a_key_that_is_an_aggregate() {
    let help = "group by columns that are no aggregates, and by window_start and window_end";
    says(
        "SELECT channel, COUNT(*) FROM bid GROUP BY 1, 2",
        47,
        "column 2 of the SELECT is an aggregate, `count(*)`, which cannot be a key of GROUP BY",
        help,
    );
    says(
        "SELECT channel FROM bid GROUP BY channel, MAX(price) + 1",
        43,
        "this is an aggregate, `max(price) + 1`, which cannot be a key of GROUP BY",
        help,
    );
    assert!(plan(&format!("SELECT window_end, channel, COUNT(*) FROM {TUMBLE} GROUP BY 1, 2, window_start")).is_ok());
}

#[test]
fn text_that_is_compared_with_a_number() {
    says(
        "SELECT auction FROM bid WHERE channel > 5",
        31,
        "`channel` is STRING, and cannot be compared with a number (BIGINT)",
        "compare text with text, as in `channel > '5'`, or read it as a number: `CAST(channel AS BIGINT)`",
    );
    says(
        "SELECT auction FROM bid WHERE price IN (1, channel)",
        44,
        "`channel` is STRING, and cannot be compared with a number (BIGINT)",
        "compare text with text, as in `channel = '1'`, or read it as a number: `CAST(channel AS BIGINT)`",
    );
    says(
        "SELECT auction FROM bid WHERE 3 <= channel",
        36,
        "`channel` is STRING, and cannot be compared with a number (BIGINT)",
        "compare text with text, as in `channel >= '3'`, or read it as a number: `CAST(channel AS BIGINT)`",
    );
    says(
        "SELECT auction FROM bid b WHERE EXISTS (SELECT 1 FROM auction a WHERE b.channel > 5)",
        1,
        "`b.channel` is STRING, and cannot be compared with a number (BIGINT)",
        "compare text with text, as in `b.channel > '5'`, or read it as a number: `CAST(b.channel AS BIGINT)`",
    );
    says(
        "SELECT ABS(channel) FROM bid",
        8,
        "ABS takes a number, and not STRING",
        "CAST the argument to a number, such as `CAST(x AS DOUBLE)`",
    );
    for fine in [
        "price > '5'",
        "channel > '5'",
        "CAST(channel AS BIGINT) > 5",
        "dateTime > '2020-01-01 00:00:00'",
        "channel IS DISTINCT FROM '5'",
        "price IS NOT DISTINCT FROM '5'",
        "CASE channel WHEN '5' THEN TRUE ELSE FALSE END",
        "NULLIF(channel, '5') = '6'",
    ] {
        assert!(plan(&format!("SELECT auction FROM bid WHERE {fine}")).is_ok(), "{fine}");
    }
}

#[test]
fn text_that_is_compared_with_a_number_without_a_sign() {
    let message = "`channel` is STRING, and cannot be compared with a number (BIGINT)";
    let compares = |sql: &str, column: usize, example: &str| {
        let help = format!(
            "compare text with text, as in `channel {example}`, or read it as a number: `CAST(channel AS BIGINT)`"
        );
        says(sql, column, message, &help);
    };
    compares("SELECT auction FROM bid WHERE channel IS DISTINCT FROM 5", 31, "IS DISTINCT FROM '5'");
    compares("SELECT auction FROM bid WHERE price IS NOT DISTINCT FROM channel", 58, "IS NOT DISTINCT FROM '1'");
    compares("SELECT CASE channel WHEN 'a' THEN 1 WHEN 5 THEN 2 END FROM bid", 13, "= '5'");
    compares("SELECT CASE price WHEN channel THEN 1 END FROM bid", 24, "= '1'");
    compares("SELECT NULLIF(channel, 5) FROM bid", 15, "= '5'");
    compares("SELECT NULLIF(price, channel) FROM bid", 22, "= '1'");
    compares("SELECT auction FROM bid WHERE channel IN (SELECT id FROM person)", 31, "= '1'");
    compares("SELECT auction FROM bid WHERE price NOT IN (SELECT channel FROM bid)", 52, "= '1'");
    for join in ["JOIN plain USING (s)", "NATURAL JOIN plain"] {
        says(
            &format!("SELECT 1 AS x FROM (SELECT price AS s FROM bid) a {join}"),
            1,
            "`plain.s` is STRING, and cannot be compared with a number (BIGINT)",
            "compare text with text, as in `plain.s = '1'`, or read it as a number: `CAST(plain.s AS BIGINT)`",
        );
    }
}

#[test]
fn arguments_that_a_function_does_not_take() {
    says(
        "SELECT SUM(channel) FROM TUMBLED GROUP BY window_start, window_end",
        8,
        "SUM does not take STRING",
        "CAST the argument to a type that it takes: DECIMAL, BIGINT, DOUBLE, INTERVAL",
    );
    says(
        "SELECT DATE_FORMAT(dateTime) FROM bid",
        8,
        "expected `DATE_FORMAT(timestamp, 'yyyy-MM-dd HH:mm:ss')`, found 1 argument",
        "",
    );
    assert!(plan("SELECT UNIX_TIMESTAMP(channel) FROM bid").is_ok(), "with an argument it reads no clock");
}

#[test]
fn text_in_double_quotes() {
    says(
        "SELECT auction FROM bid WHERE channel = \"LAX\"",
        41,
        "there is no column `LAX`",
        "text stands in single quotes: 'LAX'",
    );
    says("SELECT \"prise\" FROM bid", 8, "there is no column `prise`", "did you mean `price`?");
}

#[test]
fn conditions_that_are_never_true() {
    let help = "a part of it is false whatever the row is, such as `1 = 2` or a comparison with NULL: correct it or leave it out";
    says(
        "SELECT a.price FROM TUMBLED a JOIN TUMBLED b ON a.window_start = b.window_start AND a.window_end = b.window_end AND 1 = 2",
        1,
        "the condition of this join is never true",
        help,
    );
    says(
        "SELECT * FROM (SELECT price, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY price) AS rn FROM TUMBLED) \
         WHERE rn <= 3 AND 1 = 2",
        1,
        "the condition on ROW_NUMBER() is never true",
        help,
    );
}

#[test]
fn a_comparison_with_null_is_remarked_upon() {
    let warnings = |sql: &str| plan(&format!("\n{sql}")).unwrap().warnings;
    let said = warnings("SELECT auction FROM bid WHERE channel = NULL");
    let [warning] = said.as_slice() else { panic!("{said:?}") };
    let (_, said) = warning.split_once(", ").unwrap();
    assert_eq!(
        said,
        "column 31: `channel = NULL` is never true, since NULL is equal to nothing; write `channel IS NULL`"
    );
    let not = warnings("SELECT auction FROM bid WHERE NULL <> channel");
    assert!(not[0].ends_with("write `channel IS NOT NULL`"), "{not:?}");
    assert_eq!(warnings("SELECT auction FROM bid WHERE channel IS NULL"), [""; 0]);
}

#[test]
fn aggregates_that_differ_in_a_cast_only_are_two() {
    let sql = format!(
        "SELECT MAX(price) AS a, MAX(CAST(price AS DOUBLE)) AS b, MAX(CAST(price AS STRING)) AS c, MAX(price) + 1 AS d FROM {TUMBLE} \
         GROUP BY window_start, window_end HAVING MAX(CAST(price AS DOUBLE)) > 3"
    );
    let text = dataflow(&sql);
    assert!(!text.contains("FILTER"), "{text}");
    for call in ["max(price)", "max(CAST(price AS DOUBLE))", "max(CAST(price AS STRING))"] {
        assert!(text.contains(call), "{text}\nlacks: {call}");
    }
}

#[test]
fn a_filter_over_a_session_may_mix_its_window_with_its_key() {
    let text = dataflow(
        "SELECT * FROM (SELECT bidder, window_start, COUNT(*) AS n FROM SESSION(TABLE bid PARTITION BY bidder, \
         DESCRIPTOR(dateTime), INTERVAL '10' SECOND) GROUP BY window_start, window_end, bidder) WHERE bidder = 7 OR \
         window_start > TIMESTAMP '2020-01-01 00:00:00'",
    );
    let condition = "where (bidder = 7) OR (window_start > TIMESTAMP '2020-01-01 00:00:00.000')";
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{text}\nlacks: {part}"));
    assert!(place(condition) < place("WindowAggregate"), "{text}");
}

/// What `IN` compares becomes a column beside the one that the subquery itself compares.
#[test]
fn in_compares_integers_of_different_types() {
    let text = dataflow(&format!(
        "CREATE VIEW small AS SELECT CAST(id AS INT) AS id, dateTime FROM person;
         SELECT a.auction FROM {TUMBLE} a WHERE a.bidder IN (SELECT p.id FROM TUMBLE(TABLE small, DESCRIPTOR(dateTime), \
         INTERVAL '10' SECOND) p WHERE p.window_end = a.window_end AND p.id < a.price)"
    ));
    assert!(text.contains("WindowJoin  [left semi"), "{text}");
}

#[test]
fn an_interval_without_a_unit() {
    says(
        "SELECT dateTime + INTERVAL '10' FROM bid",
        28,
        "this INTERVAL has no unit",
        "name one, as in `INTERVAL '10' SECOND`",
    );
    assert!(plan("SELECT dateTime + INTERVAL '10' SECOND AS t FROM bid").is_ok());
    assert!(plan("SELECT dateTime + INTERVAL '1 02:03:04' DAY TO SECOND AS t FROM bid").is_ok());
}

#[test]
fn a_join_of_windows_of_different_sizes() {
    let windows = |size: &str| format!("TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '{size}' MINUTE)");
    let join = |one: &str, other: &str| {
        format!(
            "SELECT a.window_end FROM {} a JOIN {} b ON a.window_start = b.window_start AND a.window_end = b.window_end \
             AND a.auction = b.auction",
            windows(one),
            windows(other)
        )
    };
    assert!(refusal(&join("10", "5")).contains("windows of different sizes do not both begin and end together"));
    assert!(plan(&join("10", "10")).is_ok());
}

#[test]
fn nothing_is_said_with_a_dump_of_what_was_parsed() {
    for (sql, said) in [
        ("SELECT dateTime + INTERVAL price DAY FROM bid", "`TIMESTAMPADD(DAY, n, ts)`"),
        ("SELECT CRC32(channel) FROM bid", "there is no function `crc32`"),
        (
            "SELECT MAX(tags) FROM TUMBLE(TABLE auction, DESCRIPTOR(dateTime), INTERVAL '1' DAY) GROUP BY window_start, window_end",
            "MAX of an ARRAY",
        ),
    ] {
        let refused = refusal(sql);
        assert!(refused.contains(said) && !refused.contains("acos") && !refused.contains("Span("), "{sql}: {refused}");
    }
    for fine in [
        "ROW(1, 'x').c0",
        "TRIM(LEADING FROM channel)",
        "TRIM(BOTH 'x' FROM channel)",
        "dateTime + INTERVAL '100' DAY(3)",
    ] {
        assert!(plan(&format!("SELECT {fine} AS x FROM bid")).is_ok(), "{fine}");
    }
}
