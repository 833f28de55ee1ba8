//! Functions of text, JSON, arrays and maps over constants, with the values that Flink gives.

use super::functions::evaluate;
use super::{dataflow, refusal};

fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(evaluate(expression).as_deref(), Ok(*expected), "{expression}");
    }
}

#[test]
fn texts_and_their_positions() {
    check(&[
        ("CONCAT('a', CAST(NULL AS STRING))", "NULL"),
        ("CONCAT_WS('', 'a', CAST(NULL AS STRING), 'b')", "ab"),
        ("CONCAT_WS('', CAST(NULL AS STRING))", ""),
        ("CONCAT_WS(CAST(NULL AS STRING), 'a')", "NULL"),
        ("SUBSTRING('hello', -1)", "o"),
        ("SUBSTRING('hello', 0, 2)", "he"),
        ("SUBSTR('hello', 2, -1)", "NULL"),
        ("SUBSTR('hello', CAST(3 AS TINYINT))", "llo"),
        ("LEFT('hello', -1)", ""),
        ("RIGHT('hello', -1)", ""),
        ("OVERLAY('abcdef' PLACING 'Z' FROM 10)", "abcdef"),
        ("OVERLAY('hello' PLACING 'XYZ' FROM 5 FOR 1)", "hellXYZ"),
        ("OVERLAY('hello' PLACING 'X' FROM 2 FOR 0)", "hXello"),
        ("LPAD('hi', 5, '')", "NULL"),
        ("RPAD('hi', -1, 'x')", "NULL"),
        ("RPAD('hi', 5, '??')", "hi???"),
        ("LPAD('hi', 5)", "   hi"),
        ("REPLACE('abc', '', '-')", "-a-b-c-"),
        ("REPLACE('', '', '_')", "_"),
        ("LOCATE('o', 'foo', -1)", "2"),
        ("LOCATE('', 'foo', 100)", "1"),
        ("ASCII('ß')", "-61"),
        ("CHR(353)", "a"),
        ("CHR(-1)", ""),
        ("HASH_CODE('hello')", "99162322"),
        ("IS_DIGIT('')", "false"),
        ("IS_ALPHA(CAST(NULL AS STRING))", "false"),
        ("ELT(2, 'a', 'b', 'c')", "b"),
        ("ELT(4, 'a', 'b')", "NULL"),
        ("STARTSWITH('abc', 'ab')", "true"),
        ("ENDSWITH('abc', '')", "true"),
        ("SPLIT_INDEX('a;b', 59, 1)", "b"),
        ("CAST(SPLIT('a,b,,c', ',') AS STRING)", "[a, b, , c]"),
        ("CAST(SPLIT('añ', '') AS STRING)", "[a, ñ]"),
        ("CARDINALITY(SPLIT('', ','))", "0"),
        ("CAST(STR_TO_MAP('k1:v1;k2: v2;k1', ';', ':') AS STRING)", "{k1=NULL, k2= v2}"),
        ("PRINTF('%05d|%s', -42, 'x')", "-0042|x"),
        (r"U&'\00e9' || _UTF8'b'", "éb"),
    ]);
}

#[test]
fn patterns_replace_all_that_they_match() {
    check(&[
        ("REGEXP_REPLACE('foobar', 'oo|ar', '')", "fb"),
        (r"REGEXP_REPLACE('a1b2', '\d', '\0')", r"a\0b\0"),
        ("REGEXP_REPLACE('abc', '(b)', '[$1]')", "a[$1]c"),
        ("REGEXP_REPLACE('abc', '(', 'x')", "NULL"),
        ("REGEXP_REPLACE('aa', 'a', 'b', 'g')", "bb"),
        ("REGEXP_EXTRACT('foo', 'foo', 1)", "NULL"),
        ("REGEXP_EXTRACT('foo', 'foo', -1)", "NULL"),
        ("REGEXP_EXTRACT('a', '(')", "NULL"),
        ("REGEXP_COUNT('', '')", "1"),
        (r"REGEXP_COUNT('Grüße', '\w')", "3"),
        ("REGEXP_INSTR('世界ab', 'a')", "3"),
        ("REGEXP_SUBSTR('Hello', '[a-z]+')", "ello"),
        ("CAST(REGEXP_EXTRACT_ALL('a1b2', '[a-z]([0-9])') AS STRING)", "[1, 2]"),
        ("REGEXP('a', '')", "false"),
        ("REGEXP('a', '(')", "false"),
        ("'the fox' SIMILAR TO '(h|t)%'", "true"),
        ("'the fox' NOT SIMILAR TO '%o%'", "false"),
        ("'5%' SIMILAR TO '5!%' ESCAPE '!'", "true"),
    ]);
}

#[test]
fn bytes_are_text_and_text_is_bytes() {
    check(&[
        ("HEX('Flink')", "466C696E6B"),
        ("HEX(-1)", "FFFFFFFFFFFFFFFF"),
        ("DECODE(UNHEX('466c'), 'UTF-8')", "Fl"),
        ("TO_BASE64('hello world')", "aGVsbG8gd29ybGQ="),
        ("FROM_BASE64('aGVsbG8')", "hello"),
        ("TO_BASE64(ENCODE('ß世', 'ISO-8859-1'))", "3z8="),
        ("DECODE(ENCODE('ß世😀', 'UTF-16'), 'UTF-16')", "ß世😀"),
        ("SHA1('')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("SHA2('a', 256) = SHA256('a')", "true"),
        ("MD5('')", "d41d8cd98f00b204e9800998ecf8427e"),
        ("URL_ENCODE('a b+c/ü')", "a+b%2Bc%2F%C3%BC"),
        ("URL_DECODE('http%3A%2F%2Fa%20b+c')", "http://a b c"),
        ("URL_DECODE('100%')", "NULL"),
        ("PARSE_URL('http://h/p?a=1&b=2#r', 'QUERY', 'b')", "2"),
    ]);
}

#[test]
fn json_is_taken_apart() {
    check(&[
        ("JSON_VALUE('{\"a\":1}', 'lax $.b' DEFAULT 'x' ON EMPTY)", "x"),
        // Without a mode a path is strict, and a value that is missing is an error.
        ("JSON_VALUE('{\"a\":1}', '$.b' DEFAULT 'x' ON EMPTY)", "NULL"),
        ("JSON_VALUE('{\"a\":1}', '$.b' DEFAULT 7 ON ERROR)", "7"),
        ("JSON_VALUE('{\"a\":\"5\"}', '$.a' RETURNING INTEGER) + 1", "6"),
        ("JSON_VALUE('{\"a\":1e5}', '$.a')", "1E+5"),
        ("JSON_VALUE('[1,2,3]', '$[-1]')", "3"),
        ("JSON_VALUE('{\"a\":\"x\"} trailing', '$.a')", "x"),
        ("JSON_VALUE('{\"a b\":1}', '$.a b')", "NULL"),
        ("JSON_QUERY('{\"b\":2,\"a\":1}', '$')", "{\"a\":1,\"b\":2}"),
        ("JSON_QUERY('{\"a\":1}', '$.a' WITH WRAPPER)", "[1]"),
        ("JSON_QUERY('{\"a\":[1]}', '$.a' WITH CONDITIONAL ARRAY WRAPPER)", "[1]"),
        ("JSON_QUERY('{\"a\":[1]}', '$.a' WITH UNCONDITIONAL WRAPPER)", "[[1]]"),
        ("JSON_QUERY('{}', 'lax $.a' EMPTY ARRAY ON EMPTY NULL ON ERROR)", "[]"),
        ("JSON_QUERY('{}', 'strict $.a' EMPTY OBJECT ON ERROR)", "{}"),
        ("JSON_QUERY('{\"a\":[{\"c\":\"c1\"},{\"c\":\"c2\"}]}', 'lax $.a[*].c')", "[\"c1\",\"c2\"]"),
        ("JSON_EXISTS('{}', 'strict $.a' TRUE ON ERROR)", "true"),
        ("JSON_EXISTS('{}', '$.a' UNKNOWN ON ERROR)", "NULL"),
        ("'[1]' IS JSON", "true"),
        ("'[1]' IS NOT JSON ARRAY", "false"),
        ("'1' IS JSON SCALAR AND '{}' IS JSON OBJECT", "true"),
        ("CAST(NULL AS STRING) IS JSON", "false"),
        ("JSON_UNQUOTE('\"a\\u00e9\"')", "aé"),
    ]);
}

#[test]
fn json_is_made() {
    check(&[
        ("JSON_OBJECT('a' VALUE 1.5, KEY 'b' VALUE CAST(NULL AS STRING))", "{\"a\":1.5,\"b\":null}"),
        ("JSON_OBJECT('a' VALUE CAST(NULL AS INT) ABSENT ON NULL)", "{}"),
        ("JSON_OBJECT('k' VALUE JSON_OBJECT('x' VALUE 1), 'j' VALUE JSON_ARRAY())", "{\"k\":{\"x\":1},\"j\":[]}"),
        ("JSON_OBJECT()", "{}"),
        ("JSON_OBJECT(ABSENT ON NULL)", "{}"),
        ("JSON_ARRAY(1, 'a\"b', TRUE, CAST(NULL AS INT))", "[1,\"a\\\"b\",true]"),
        ("JSON_ARRAY(CAST(NULL AS INT) NULL ON NULL)", "[null]"),
        ("JSON_STRING(CAST('2024-02-29 13:07:09.050' AS TIMESTAMP(3)))", "\"2024-02-29T13:07:09.05\""),
        ("JSON_STRING(ARRAY['a', NULL])", "[\"a\",null]"),
        ("JSON_STRING(CAST(1e-7 AS DOUBLE))", "1.0E-7"),
        ("JSON_STRING(CAST(NULL AS STRING))", "NULL"),
        ("JSON_QUOTE('ü😀')", "\"\\u00fc\\ud83d\\ude00\""),
    ]);
}

#[test]
fn arrays_and_maps() {
    check(&[
        ("CARDINALITY(MAP['a', 1, 'b', 2])", "2"),
        ("CAST(MAP['a', 1, 'b', 2, 'a', 3] AS STRING)", "{a=3, b=2}"),
        ("MAP['x', 1]['x']", "1"),
        ("CAST(MAP_UNION(MAP['a', 1], MAP['a', 2, 'b', 3]) AS STRING)", "{a=2, b=3}"),
        ("CAST(MAP_FROM_ARRAYS(ARRAY['a', 'b'], ARRAY[1, NULL]) AS STRING)", "{a=1, b=NULL}"),
        ("CAST(MAP_ENTRIES(MAP['a', 1]) AS STRING)", "[(a, 1)]"),
        ("ELEMENT(ARRAY[5])", "5"),
        ("ARRAY[1, 2][2]", "2"),
        ("CAST(ARRAY_PREPEND(ARRAY[1], 9) AS STRING)", "[9, 1]"),
        ("CAST(ARRAY_APPEND(ARRAY[1], NULL) AS STRING)", "[1, NULL]"),
        ("ARRAY_APPEND(CAST(NULL AS ARRAY<INT>), 1)", "NULL"),
        ("ARRAY_CONTAINS(ARRAY[1, NULL], NULL)", "true"),
        ("ARRAY_CONTAINS(ARRAY[1], 2)", "false"),
        ("ARRAY_POSITION(ARRAY[1, 5, 5], 5)", "2"),
        ("ARRAY_POSITION(ARRAY[1], 99)", "0"),
        ("ARRAY_POSITION(ARRAY[1], NULL)", "NULL"),
        ("CAST(ARRAY_REMOVE(ARRAY[1, 5, NULL, 5], 5) AS STRING)", "[1, NULL]"),
        ("CAST(ARRAY_REMOVE(ARRAY[1, NULL], NULL) AS STRING)", "[1]"),
        ("ARRAY_CONCAT(CAST(NULL AS ARRAY<INT>), ARRAY[1])", "NULL"),
        ("CAST(ARRAY_SLICE(ARRAY[1, 2, 3], 2) AS STRING)", "[2, 3]"),
        ("CAST(ARRAY_SORT(ARRAY[1, NULL, 3], FALSE) AS STRING)", "[3, 1, NULL]"),
        ("TYPEOF('abc')", "STRING NOT NULL"),
        ("TYPEOF(CAST(NULL AS ARRAY<INT>))", "ARRAY<INT>"),
    ]);
}

#[test]
fn no_short_text_becomes_one_of_gigabytes() {
    for expression in
        ["REPEAT('x', 2000000000)", "LPAD('x', 2000000000)", "REPLACE(REPEAT('x', 100000), '', REPEAT('y', 10000))"]
    {
        let error = evaluate(expression).unwrap_err();
        assert!(error.contains("16 MiB") || error.contains("is not constant"), "{expression}: {error}");
    }
}

#[test]
fn rows_and_maps_fill_columns_by_place() {
    let tables = "CREATE TABLE given (k INT) WITH ('connector'='fake');
        CREATE TABLE filled (r ROW<a BIGINT, b STRING>, m MAP<STRING, BIGINT>) WITH ('connector'='fake');";
    dataflow(&format!("{tables} INSERT INTO filled SELECT ROW(k, 'x'), MAP['a', k] FROM given"));
    let text = refusal(&format!("{tables} INSERT INTO filled SELECT ROW('x', 'y'), MAP['a', k] FROM given"));
    assert!(text.contains("column `r` of `filled`"), "{text}");
}
