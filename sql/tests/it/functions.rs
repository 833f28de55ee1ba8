//! Functions as queries call them: what a call over constants comes to, and what is refused when it is planned.

use std::sync::Arc;

use datafusion_common::DFSchema;
use datafusion_expr::Expr;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use weir_functions::Functions;
use weir_sql::Span;
use weir_sql::catalog::scalar_expression;
use weir_sql::diagnostics::Source;
use weir_sql::parse::parse_expression;

/// What an expression over constants comes to, by the way of the planner.
pub(super) fn evaluate(text: &str) -> Result<String, String> {
    let source = Source::new(text);
    let parsed = parse_expression(text).map_err(|error| error.report())?;
    let resolved = scalar_expression(&source, Span { start: 0, end: text.len() }, &parsed, &[], &Functions::built_in())
        .map_err(|error| error.report())?;
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::new(DFSchema::empty())).build());
    match simplifier.simplify(resolved.expr).map_err(|error| error.to_string())? {
        Expr::Literal(value, _) if value.is_null() => Ok("NULL".to_owned()),
        Expr::Literal(value, _) => Ok(value.to_string()),
        Expr::Alias(alias) => Ok(alias.expr.to_string()),
        other => Err(format!("is not constant: {other}")),
    }
}

#[test]
fn constants() {
    for (expression, expected) in [
        ("REGEXP_EXTRACT('a=1&channel_id=42&b', '(&|^)channel_id=([^&]*)', 2)", "42"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)')", "foothebar"),
        ("TO_BASE64(CAST('Hello' AS BINARY(3)))", "SGVs"),
        ("TO_BASE64(CAST('H' AS BINARY(3)))", "SAAA"),
        ("TO_BASE64(CAST('H' AS VARBINARY(3)))", "SA=="),
        ("TO_BASE64(CAST('Hello' AS VARBINARY(3)))", "SGVs"),
        ("CAST(NULL AS BINARY(3))", "NULL"),
        ("REGEXP_EXTRACT('foothebar', 'x(.)', 1)", "NULL"),
        ("REGEXP_EXTRACT('b', '(a)|b', 1)", "NULL"),
        ("SPLIT_INDEX('https://www.nexmark.com/dir/item', '/', 3)", "dir"),
        ("SPLIT_INDEX('a--b--c', '--', 2)", "c"),
        ("SPLIT_INDEX('a,b', ',', 2)", "NULL"),
        ("SPLIT_INDEX('a,b', ',', -1)", "NULL"),
        ("SPLIT_INDEX('', ',', 0)", "NULL"),
        ("SPLIT_INDEX('a,,b', ',', 1)", ""),
        ("LOCATE('bar', 'foobarbar')", "4"),
        ("LOCATE('bar', 'foobarbar', 5)", "7"),
        ("LOCATE('é', 'aéé', 3)", "3"),
        ("LOCATE('x', 'foobar')", "0"),
        ("LOCATE('o', 'foo', 9)", "0"),
        ("COUNT_CHAR('banana', 'a')", "3"),
        ("COUNT_CHAR('ééa', 'é')", "2"),
        ("COUNT_CHAR(CAST(NULL AS STRING), 'é')", "NULL"),
        ("DATE_FORMAT(TIMESTAMP '2013-01-05 17:04:09', 'yyyy-MM-dd HH:mm')", "2013-01-05 17:04"),
        ("DATE_FORMAT(DATE '2013-01-05', 'EEE d.M.yy')", "Sat 5.1.13"),
        ("HOUR(TIMESTAMP '2013-01-05 17:04:09')", "17"),
        ("MINUTE(TIMESTAMP '1969-12-31 23:59:58')", "59"),
        ("SECOND(TIMESTAMP '1969-12-31 23:59:58')", "58"),
        ("YEAR(DATE '1900-03-01')", "1900"),
        ("MONTH(DATE '2000-02-29')", "2"),
        ("DAYOFMONTH(DATE '2000-02-29')", "29"),
        ("DAYOFYEAR(DATE '2000-12-31')", "366"),
        // Sunday is 1: 2013-01-05 was a Saturday.
        ("DAYOFWEEK(DATE '2013-01-05')", "7"),
        ("DAYOFWEEK(DATE '2013-01-06')", "1"),
        ("QUARTER(DATE '2013-10-01')", "4"),
        // ISO weeks: 2016-01-03 (Sunday) is in week 53 of 2015, 2018-12-31 (Monday) in week 1 of 2019.
        ("WEEK(DATE '2016-01-03')", "53"),
        ("WEEK(DATE '2018-12-31')", "1"),
        ("TIMESTAMPDIFF(DAY, TIMESTAMP '2013-01-01 12:00:00', TIMESTAMP '2013-01-03 11:59:59')", "1"),
        ("TIMESTAMPDIFF(HOUR, TIMESTAMP '2013-01-01 12:00:00', TIMESTAMP '2013-01-01 09:30:00')", "-2"),
        ("TIMESTAMPDIFF(MONTH, TIMESTAMP '2013-01-31 00:00:00', TIMESTAMP '2013-02-28 00:00:00')", "1"),
        ("TIMESTAMPDIFF(MONTH, TIMESTAMP '2013-03-15 00:00:00', TIMESTAMP '2013-01-15 00:00:01')", "-2"),
        ("TIMESTAMPDIFF(MONTH, TIMESTAMP '2013-01-15 00:00:01', TIMESTAMP '2013-03-15 00:00:00')", "1"),
        ("TIMESTAMPDIFF(YEAR, DATE '2000-02-29', DATE '2004-02-29')", "4"),
        ("DATE_FORMAT(TIMESTAMPADD(MONTH, 1, TIMESTAMP '2013-01-31 10:00:00'), 'yyyy-MM-dd HH')", "2013-02-28 10"),
        ("DATE_FORMAT(TIMESTAMPADD(WEEK, -1, DATE '2013-01-03'), 'yyyy-MM-dd')", "2012-12-27"),
        ("DATE_FORMAT(TO_TIMESTAMP_LTZ(1362071109042, 3), 'yyyy-MM-dd HH:mm:ss.SSS')", "2013-02-28 17:05:09.042"),
        ("DATE_FORMAT(TO_TIMESTAMP_LTZ(1362071109, 0), 'HH:mm:ss.SSS')", "17:05:09.000"),
        (
            "CAST(TO_TIMESTAMP_LTZ('2024-01-31 10:11:12', 'yyyy-MM-dd HH:mm:ss', 'Asia/Shanghai') AS STRING)",
            "2024-01-31 02:11:12.000",
        ),
        ("CAST(TO_TIMESTAMP('31.01.2024 10-11', 'dd.MM.yyyy HH-mm') AS STRING)", "2024-01-31 10:11:00.000"),
        ("TO_TIMESTAMP('garbage')", "NULL"),
        ("CAST(TO_DATE('20240131', 'yyyyMMdd') AS STRING)", "2024-01-31"),
        ("UNIX_TIMESTAMP('1970-01-01 00:00:10')", "10"),
        ("FROM_UNIXTIME(1700000000, 'yyyy/MM/dd HH')", "2023/11/14 22"),
        ("CAST(CEIL(TIMESTAMP '2013-01-05 17:04:09' TO HOUR) AS STRING)", "2013-01-05 18:00:00"),
        ("CAST(CEIL(DATE '2013-01-05' TO YEAR) AS STRING)", "2014-01-01"),
        ("CAST(FLOOR(DATE '2013-01-04' TO WEEK) AS STRING)", "2012-12-30"),
        ("EXTRACT(DOW FROM DATE '2013-01-06')", "1"),
        ("EXTRACT(MILLISECOND FROM TIMESTAMP '2013-01-05 17:04:09.123')", "123"),
        ("EXTRACT(EPOCH FROM TIMESTAMP '1970-01-01 00:00:10.999')", "10"),
        (
            "CAST(TIMESTAMP '2013-01-05 00:00:00' + INTERVAL '1 02:03:04' DAY TO SECOND AS STRING)",
            "2013-01-06 02:03:04",
        ),
        ("CAST(DATE '2013-01-05' + INTERVAL '1-2' YEAR TO MONTH AS STRING)", "2014-03-05"),
        ("(TIME '2:55:00', INTERVAL '1' HOUR) OVERLAPS (TIME '3:30:00', INTERVAL '2' HOUR)", "true"),
        ("(DATE '2013-01-01', DATE '2013-01-02') OVERLAPS (DATE '2013-01-03', DATE '2013-01-04')", "false"),
        ("CAST(DATE '2013-01-05' + 3 * INTERVAL '1' DAY AS STRING)", "2013-01-08"),
        ("CAST(TIMESTAMP '2013-01-05 00:00:00' - INTERVAL '90' MINUTE * 2 AS STRING)", "2013-01-04 21:00:00"),
        ("CONCAT('5', '.5') > 5", "true"),
        ("CONCAT('5', '.554') = 5.55", "false"),
        ("5 < '5.5'", "true"),
        ("42 = '42'", "true"),
        ("CONCAT('9999', '999999') > 5", "true"),
        ("3 BETWEEN SYMMETRIC 5 AND 1", "true"),
        ("3 NOT BETWEEN SYMMETRIC 5 AND 1 OR FALSE", "false"),
        ("'hello' SIMILAR TO '(h|T)%'", "true"),
        ("'a.b' NOT SIMILAR TO 'a.b'", "false"),
        ("'axb' SIMILAR TO 'a.b'", "false"),
        ("CAST('hello' AS VARCHAR(3))", "hel"),
        ("CAST(7 AS CHAR(2)) || '!'", "7 !"),
        ("CAST(CAST('12:34:56.789' AS TIME(3)) AS STRING)", "12:34:56.789"),
        ("CAST(CAST('12:34:56.789' AS TIME) AS STRING)", "12:34:56"),
        ("CAST(1 > 0 AS STRING)", "TRUE"),
        ("CAST(1.50 AS STRING)", "1.50"),
        ("CAST(1e21 AS STRING)", "1.0E21"),
        ("CAST(1.2345e-4 AS STRING)", "1.2345E-4"),
        ("CAST(100e0 AS STRING)", "100.0"),
        ("CAST(0.1e0 AS STRING)", "0.1"),
        ("CAST(5e-324 AS STRING)", "4.9E-324"),
        ("CAST(CAST('NaN' AS DOUBLE) AS STRING)", "NaN"),
        ("CAST(' 1.9 ' AS INT)", "1"),
        ("TRY_CAST('1e3' AS INT)", "NULL"),
        ("CAST(CAST('1e3' AS DECIMAL(10, 2)) AS STRING)", "1000.00"),
        ("CAST(CAST('2024-01' AS DATE) AS STRING)", "2024-01-01"),
        ("TRY_CAST('2024-02-29T13:07:09' AS TIMESTAMP(3))", "NULL"),
        ("CAST(CAST(TRUE AS DECIMAL(3, 1)) AS STRING)", "1.0"),
        ("CAST(0.5 AS BOOLEAN)", "true"),
        ("GREATEST(1, CAST(NULL AS INT))", "NULL"),
        ("LOG(2, 8)", "3"),
        ("LOG(1)", "0"),
        ("BIN(-1)", "1111111111111111111111111111111111111111111111111111111111111111"),
        ("HEX(255) || HEX('a')", "FF61"),
        ("INET_NTOA(167773449)", "10.0.5.9"),
        ("JSON_VALUE('{\"a\": {\"b\": [1, \"x\"]}}', '$.a.b[1]')", "x"),
        ("JSON_VALUE('{\"a\": {\"b\": 1.10}}', '$.a.b')", "1.10"),
        ("JSON_VALUE('{\"a\": {\"b\": 1.10}}', '$.a')", "NULL"),
        ("JSON_VALUE('{\"a\": ', '$.a')", "NULL"),
        ("JSON_QUERY('{\"a\": { \"b\": 1 }}', '$.a')", "{\"b\":1}"),
        ("JSON_QUERY('{\"a\": { \"b\": 1 }}', '$.a.b')", "NULL"),
        ("JSON_EXISTS('{\"a\": null}', '$.a')", "false"),
        ("JSON_EXISTS('{\"a\": 0}', '$.a')", "true"),
        ("JSON_EXISTS('{\"a\": null}', '$.b')", "false"),
        ("'{\"a\": [{\"b\": \"x\"}]}' -> 'a' -> 0 ->> 'b'", "x"),
        ("'{\"a\": [1, 2]}' -> 'a'", "[1,2]"),
        ("IF(1 > 2, 'a', 'b')", "b"),
        ("IFNULL(CAST(NULL AS INT), 3)", "3"),
        ("MOD(7, 4) + 1", "4"),
        ("MOD(-7 + 2, 1 + 2)", "-2"),
        ("DATE_FORMAT(FLOOR(TIMESTAMP '2013-01-05 17:04:09' TO HOUR), 'HH:mm:ss')", "17:00:00"),
        ("CHAR_LENGTH('Käse')", "4"),
        ("CEILING(1.2)", "2"),
        ("UPPER(LCASE('ABC'))", "ABC"),
        ("CAST('2013-01-05 17:04:09.123' AS TIMESTAMP(3))", "1357405449123"),
        ("CAST(1 AS STRING)", "1"),
        ("EXTRACT(YEAR FROM DATE '2013-01-05')", "2013"),
        ("POSITION('b' IN 'abc')", "2"),
        ("SUBSTRING('abcdef' FROM 2 FOR 3)", "bcd"),
        ("TRIM(BOTH 'x' FROM 'xxaxx')", "a"),
        ("ARRAY[1, 2, 3][2]", "2"),
    ] {
        assert_eq!(evaluate(expression).as_deref(), Ok(expected), "{expression}");
    }
}

/// Worked out when they are planned, as rows are by the operators.
#[test]
fn zeros_and_nans_that_are_constant_are_one_value_each() {
    let nan = "CAST('NaN' AS DOUBLE)";
    for (one, other) in [
        ("0e0", "-0e0"),
        ("-(0e0)", "0e0 * 3"),
        ("CAST(0 AS FLOAT)", "-CAST(0 AS FLOAT)"),
        (nan, "-CAST('NaN' AS DOUBLE)"),
    ] {
        for same in [
            format!("{one} = {other}"),
            format!("NOT ({one} <> {other})"),
            format!("{one} IS NOT DISTINCT FROM {other}"),
            format!("NOT ({one} < {other} OR {one} > {other})"),
            format!("{one} <= {other} AND {one} >= {other}"),
            format!("{one} BETWEEN {other} AND {other}"),
            format!("{one} IN (17e0, {other})"),
            format!("CASE {one} WHEN {other} THEN TRUE ELSE FALSE END"),
            format!("CASE WHEN 1 / ({one} + 1) IS NOT NULL AND {one} = {other} THEN TRUE ELSE FALSE END"),
            format!("NULLIF({one}, {other}) IS NULL"),
            format!("GREATEST({one}, {other}) = LEAST({one}, {other})"),
            format!("ARRAY_CONTAINS(ARRAY[17e0, {one}], {other})"),
            format!("ARRAY_POSITION(ARRAY[17e0, {one}], {other}) = 2"),
            format!("CARDINALITY(ARRAY_DISTINCT(ARRAY[{one}, {other}])) = 1"),
            format!("ARRAY[{one}] = ARRAY[{other}]"),
            format!("ROW({one}, 1) = ROW({other}, 1)"),
            format!("MAP[{one}, 'a'][{other}] = 'a'"),
        ] {
            assert_eq!(evaluate(&same).as_deref(), Ok("true"), "{same}");
        }
    }
    // The sign is not compared, and yet it is there.
    assert_eq!(evaluate("CAST(NULLIF(-0e0, 1e0) AS STRING)").as_deref(), Ok("-0.0"));
    assert_eq!(evaluate("NULLIF(CAST(NULL AS DOUBLE), 0e0)").as_deref(), Ok("NULL"));
    assert_eq!(evaluate("1e0 / -0e0 < 0e0").as_deref(), Ok("true"));
}

#[test]
fn times_keep_their_digits_and_every_year() {
    for (expression, expected) in [
        ("DATE_FORMAT(TIMESTAMP '2013-01-05 17:04:09.123456', 'ss.SSSSSS')", "09.123456"),
        ("DATE_FORMAT(TIMESTAMP '1969-12-31 23:59:59.999999', 'yyyy-MM-dd HH:mm:ss.SSS')", "1969-12-31 23:59:59.999"),
        (
            "CAST(TIMESTAMPADD(SECOND, 1, TIMESTAMP '2013-01-05 17:04:09.123456') AS STRING)",
            "2013-01-05 17:04:10.123456",
        ),
        ("CAST(TIMESTAMPADD(MONTH, 1, DATE '2013-01-31') AS STRING)", "2013-02-28"),
        ("CAST(TIMESTAMPADD(HOUR, 1, DATE '2013-01-31') AS STRING)", "2013-01-31 01:00:00.000"),
        ("CAST(TIMESTAMPADD(YEAR, 7000, TIMESTAMP '2013-01-05 17:04:09.1') AS STRING)", "9013-01-05 17:04:09.100"),
        ("TIMESTAMPDIFF(SECOND, TIMESTAMP '2013-01-05 17:04:09.000001', TIMESTAMP '2013-01-05 17:04:10')", "0"),
        ("TIMESTAMPDIFF(MINUTE, TIMESTAMP '0001-01-01 00:00:00', TIMESTAMP '4000-12-31 00:00:00')", "2103795360"),
        ("TIMESTAMPDIFF(MILLISECOND, DATE '2013-01-01', DATE '2014-01-01')", "31536000000"),
        ("CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(3))", "-1"),
        ("CAST(TIMESTAMP '1969-12-31 23:59:59.999999' AS TIMESTAMP(3))", "-1"),
        ("CAST(CAST(TIMESTAMP '1969-12-31 23:59:59.9' AS DATE) AS STRING)", "1969-12-31"),
        ("CAST(FLOOR(DATE '9999-05-31' TO MONTH) AS STRING)", "9999-05-01"),
        ("CAST(FLOOR(TIMESTAMP '9999-05-31 10:20:30.5' TO YEAR) AS STRING)", "9999-01-01 00:00:00.000"),
        ("CAST(DATE_TRUNC('minute', TIMESTAMP '1969-12-31 23:59:59.999999') AS STRING)", "1969-12-31 23:59:00.000000"),
        ("CAST(DATE_TRUNC('quarter', DATE '2013-05-31') AS STRING)", "2013-04-01"),
        ("CAST(DATE '9999-12-31' AS TIMESTAMP(3))", "253402214400000"),
        ("EXTRACT(YEAR FROM TIMESTAMP '9999-12-31 00:00:00')", "9999"),
        ("EXTRACT(CENTURY FROM DATE '2000-12-31')", "20"),
        ("EXTRACT(CENTURY FROM DATE '2001-01-01')", "21"),
        ("EXTRACT(DECADE FROM DATE '1999-01-01')", "199"),
        ("EXTRACT(MILLENNIUM FROM DATE '2001-01-01')", "3"),
        ("EXTRACT(YEAR FROM TIMESTAMP '1995-01-01 00:00:00') < 9999", "true"),
        ("TIMESTAMP '2013-01-05 17:04:09' = TIMESTAMP '2013-01-05 17:04:09.5'", "false"),
        ("TIMESTAMP '9999-12-31 00:00:00' = DATE '9999-12-31'", "true"),
        ("TIMESTAMP '9999-12-31 00:00:00' > '9999-12-30 23:59:59.999'", "true"),
        ("CAST(TIMESTAMP '2013-01-05 00:00:00' + INTERVAL '0.5' SECOND AS STRING)", "2013-01-05 00:00:00.500"),
        ("CAST(DATE '2013-01-05' + INTERVAL '1' HOUR AS STRING)", "2013-01-05 01:00:00.000"),
        ("CAST(DATE '2013-01-05' + INTERVAL '1' DAY AS STRING)", "2013-01-06"),
        ("COALESCE(CAST(NULL AS TIMESTAMP(3)), DATE '9999-12-31')", "253402214400000"),
        ("HOUR(TIME '10:20:30')", "10"),
    ] {
        assert_eq!(evaluate(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn times_rows_and_arrays_are_text_as_in_flink() {
    for (expression, expected) in [
        ("CAST(TIMESTAMP '2023-11-09 10:00:00' AS STRING)", "2023-11-09 10:00:00"),
        ("CAST(CAST('2023-11-09 10:00:00' AS TIMESTAMP(3)) AS STRING)", "2023-11-09 10:00:00.000"),
        ("CAST('2023-11-09 10:00:00' AS TIMESTAMP(6)) || '!'", "2023-11-09 10:00:00.000000!"),
        ("CONCAT('at ', TIMESTAMP '2023-11-09 10:00:00.123')", "at 2023-11-09 10:00:00.123"),
        ("CONCAT_WS('/', TIMESTAMP '2023-11-09 10:00:00', DATE '2023-11-09')", "2023-11-09 10:00:00/2023-11-09"),
        ("CAST(TO_TIMESTAMP_LTZ(0, 3) AS STRING)", "1970-01-01 00:00:00.000"),
        ("CAST(TIME '10:00:00' AS STRING)", "10:00:00"),
        ("CAST(ARRAY[1, NULL, 3] AS STRING)", "[1, NULL, 3]"),
        ("CAST(ARRAY[TIMESTAMP '2023-11-09 10:00:00'] AS STRING)", "[2023-11-09 10:00:00]"),
        ("CAST(MAP(ARRAY['a', 'b'], ARRAY[1, 2]) AS STRING)", "{a=1, b=2}"),
        ("CAST(ROW(1, 'a') AS STRING)", "(1, a)"),
        ("MAP(ARRAY['a', 'b'], ARRAY[1, 2])['b']", "2"),
        ("MAP(ARRAY['a', 'b'], ARRAY[1, 2])['c']", "NULL"),
        ("ROW(1, 'a') = ROW(1, 'a')", "true"),
        ("ROW(1, 'a') = ROW(2, 'a')", "false"),
        ("ROW(1, 'a') <> ROW(1, 'b')", "true"),
        ("ROW(1, 'a') IN (ROW(2, 'b'), ROW(1, 'a'))", "true"),
        ("CAST(CASE WHEN TRUE THEN ROW(1, 'a') ELSE ROW(2, 'b') END AS STRING)", "(1, a)"),
        ("NULLIF(ROW(1, 'a'), ROW(1, 'a'))", "NULL"),
    ] {
        assert_eq!(evaluate(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn like_has_no_escape_unless_it_is_named() {
    for (expression, expected) in [
        (r"'C:\logs\a' LIKE 'C:\logs\%'", "true"),
        (r"'C:\logs%' LIKE 'C:\logs\%'", "false"),
        (r"'5%' LIKE '5\%' ESCAPE '\'", "true"),
        (r"'5x' LIKE '5\%' ESCAPE '\'", "false"),
        ("'5%' LIKE '5!%' ESCAPE '!'", "true"),
        ("'5x' LIKE '5!%' ESCAPE '!'", "false"),
        ("'a_b' NOT LIKE 'a!_b' ESCAPE '!'", "false"),
        (r"'A\B' ILIKE 'a\b'", "true"),
        (r"'a\b' LIKE CONCAT('a\', 'b')", "true"),
        (r"'a%b' LIKE CONCAT('a!%', 'b') ESCAPE '!'", "true"),
        (r"'axb' LIKE CONCAT('a!%', 'b') ESCAPE '!'", "false"),
    ] {
        assert_eq!(evaluate(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn what_cannot_work_is_refused_when_planned() {
    for (expression, expected) in [
        (
            "REGEXP_EXTRACT('a', '(?=a)')",
            "the regular expression `(?=a)` cannot be used: look-ahead and look-behind are not",
        ),
        ("REGEXP('aa', '(a)\\1')", "back-references are not supported"),
        ("REGEXP_REPLACE('a', 'a', 'b', 'i')", "are written in the pattern"),
        ("ENCODE('a', 'hex')", "`hex` is no character set"),
        ("SHA2('a', 100)", "there is no SHA-2 of 100 bits"),
        ("TO_TIMESTAMP_LTZ(0, 3, 'Asia/Shanghai')", "TO_TIMESTAMP_LTZ of a number takes no zone"),
        ("PARSE_URL('http://a', 'Host')", "`Host` is no part of a URL"),
        ("ELT('a', 'b')", "expected `ELT(number, text, …)`"),
        ("JSON_VALUE('{}', '$[?(@.a)]')", "filters are not supported"),
        ("JSON_OBJECT('a', 1)", "expected VALUE"),
        ("JSON_QUERY('{}', '$' WITH ARRAY)", "expected WRAPPER"),
        ("ARRAY[1][0]", "the elements of an array are counted from 1"),
        ("MAP['a']", "expected `MAP[key, value, …]`"),
        ("SPLIT_INDEX('a', ',')", "expected `SPLIT_INDEX(text, delimiter, index)`, found 2 arguments"),
        ("HOUR(1)", "expected `hour(timestamp)`, found other types of arguments"),
        ("DATE_FORMAT(DATE '2013-01-05', 'YYYY')", "unknown field `YYYY`"),
        ("TIMESTAMPDIFF(FORTNIGHT, DATE '2013-01-05', DATE '2013-01-05')", "`fortnight` is no unit of time"),
        ("TO_TIMESTAMP_LTZ(1, 10)", "0 for seconds, 3 for milliseconds"),
        ("TO_TIMESTAMP_LTZ('a', 3)", "found other types of arguments"),
        ("JSON_VALUE('{}', 'a')", "the JSON path `a` cannot be used: it begins with `$`"),
        ("NOW()", "`NOW` cannot be used in a job: it reads the clock"),
        ("CURRENT_TIMESTAMP", "`CURRENT_TIMESTAMP` cannot be used in a job: it reads the clock"),
        ("RAND()", "cannot be used in a job: it is random"),
        ("IF(TRUE, 1)", "expected `IF(condition, then, else)`"),
        ("CEIL(TIMESTAMP '2013-01-05 17:04:09' TO CENTURY)", "`century` is no unit to cut a time to"),
        ("'a' SIMILAR TO CONCAT('a', '%')", "the pattern of SIMILAR TO is not written out"),
        ("INTERVAL '1 2' YEAR TO MONTH", "`1 2` is no interval of YEAR TO MONTH"),
        ("TO_TIMESTAMP('2013', 'YYYY')", "unknown field `YYYY`"),
        ("CONVERT_TZ('2013-01-05 17:04:09', 'UTC', 'Nowhere')", "there is no time zone `Nowhere`"),
        ("UNIX_TIMESTAMP()", "`UNIX_TIMESTAMP` cannot be used in a job: it reads the clock"),
        ("'a' LIKE 'a!b' ESCAPE '!'", "this pattern has an escape before what needs none"),
        ("'a' LIKE 'a' ESCAPE '!!'", "ESCAPE names one character"),
        ("EXTRACT(YEAR FROM TIME '10:00:00')", "has no part `YEAR`"),
        ("DATE_TRUNC('fortnight', DATE '2013-01-05')", "`fortnight` is no unit to cut a time to"),
        ("DATE '2013-01-05' + TIME '10:00:00'", "a DATE and a TIME cannot be added"),
        ("MAP(ARRAY['a'], ARRAY[1])[1]", "the keys of this map are"),
        ("PROCTIME()", "PROCTIME() cannot be part of an expression here"),
        ("upperr('a')", "upper"),
    ] {
        let error = evaluate(expression).unwrap_err();
        assert!(error.contains(expected), "{expression}: {error}");
    }
}
