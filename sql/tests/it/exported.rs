//! Functions that plugins export, as scripts declare and queries call them.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};
use weir_core::plugin::{Artifact, ArtifactHash, FunctionKind, FunctionSignature};
use weir_sql::shared;
use weir_sql::{KnownArtifact, declarations_of, parse, unknown_artifacts, with_signatures};

use super::{plan, refusal};

const HASH: &str = "abababababababababababababababababababababababababababababababab";

fn maths(folder: Option<&str>) -> KnownArtifact {
    let number = |name: &str, nullable| Field::new(name, DataType::Float64, nullable);
    let signature = |name: &str, parameters, nullable, deterministic| FunctionSignature {
        name: name.to_owned(),
        parameters,
        result: DataType::Float64,
        nullable,
        deterministic,
        kind: FunctionKind::Scalar,
    };
    let row = DataType::Struct(vec![Field::new("order", DataType::Int64, true)].into());
    let list = DataType::List(Field::new_list_field(row, true).into());
    KnownArtifact {
        artifact: Artifact {
            hash: ArtifactHash::from_bytes([0xab; 32]),
            name: "maths".into(),
            version: "1.0.0".into(),
            folder: folder.map(str::to_owned),
        },
        functions: vec![
            signature("middle", vec![number("a", false), number("b", true)], true, true),
            signature("total", vec![Field::new("rows", list, false)], false, true),
            signature("dice", vec![], false, false),
        ],
    }
}

/// The script with signatures, of a plugin that it calls `maths.so`.
fn written(text: &str) -> String {
    let known = BTreeMap::from([("maths.so".to_owned(), maths(Some("file:///kept")))]);
    with_signatures(&parse(text).unwrap(), &known).unwrap()
}

const MIDDLE: &str = "CREATE FUNCTION middle AS 'middle' USING ARTIFACT 'maths.so';";

#[test]
fn a_plugin_is_looked_into_and_its_signatures_are_written_into_the_script() {
    let script = "SELECT 1;\nCREATE OR REPLACE FUNCTION Average\n  AS 'middle' LANGUAGE RUST\n  USING ARTIFACT 'maths.so'; CREATE FUNCTION dice AS 'dice' USING ARTIFACT 'maths.so'";
    let files: Vec<String> = unknown_artifacts(&parse(script).unwrap()).into_iter().map(|file| file.value).collect();
    assert_eq!(files, ["maths.so"]);
    let written = written(script);
    assert_eq!(
        written,
        format!(
            "SELECT 1;\nCREATE OR REPLACE FUNCTION Average(`a` DOUBLE NOT NULL, `b` DOUBLE) RETURNS DOUBLE\n  AS 'middle' LANGUAGE RUST\n  \
             USING ARTIFACT 'maths 1.0.0 {HASH}' IN 'file:///kept'; CREATE FUNCTION dice() RETURNS DOUBLE NOT NULL NOT DETERMINISTIC AS 'dice' \
             USING ARTIFACT 'maths 1.0.0 {HASH}' IN 'file:///kept'"
        )
    );
    assert!(unknown_artifacts(&parse(&written).unwrap()).is_empty());
}

#[test]
fn what_is_written_reads_as_what_was_exported() {
    let query = "SELECT Total(ARRAY[ROW(k)]) AS t, middle(v, 1) AS m FROM plain;";
    let text = declarations_of(&maths(None), &shared::called(&parse(query).unwrap())).unwrap();
    assert_eq!(text.lines().count(), 2, "what is not called may have any name: {text}");
    let graph = plan(&format!("{text}{query}")).unwrap().graph.unwrap();
    let known = maths(None);
    let called: Vec<_> = graph.functions().iter().map(|function| (&*function.name, &function.signature)).collect();
    assert_eq!(called, [("middle", &known.functions[0]), ("total", &known.functions[1])]);
    assert_eq!(graph.functions()[0].artifact.as_ref(), Some(&known.artifact));
}

#[test]
fn what_a_plugin_calls_in_its_own_sql_has_no_name_of_a_built_in_function() {
    let mut known = maths(None);
    known.functions[0].name = "upper".into();
    let declared = |query: &str| declarations_of(&known, &shared::called(&parse(query).unwrap()));
    assert_eq!(declared("SELECT lower(s) AS s FROM plain").unwrap(), "");
    let report = declared("SELECT Upper(s) AS s FROM plain").unwrap_err().report();
    assert!(
        report.contains("calls its function `upper` in SQL, where that is the name of a built-in function"),
        "{report}"
    );
    assert!(report.contains("export it under another name"), "{report}");
}

#[test]
fn names_that_sql_has_are_refused() {
    let middle = written(MIDDLE);
    for name in ["upper", "sum", "now", "random", "coalesce", "nullif", "signum", "CEIL", "current_watermark"] {
        let named = middle.replace("FUNCTION middle", &format!("FUNCTION `{name}`"));
        let report = refusal(&format!("{named} SELECT 1 AS a;"));
        assert!(report.contains("is a built-in function"), "{name}: {report}");
    }
}

#[test]
fn a_function_that_is_not_there_is_refused_with_the_nearest() {
    let script = parse("CREATE FUNCTION f AS 'midle' USING ARTIFACT 'maths.so'").unwrap();
    let known = BTreeMap::from([("maths.so".to_owned(), maths(None))]);
    let report = with_signatures(&script, &known).unwrap_err().report();
    assert!(report.contains("the plugin maths 1.0.0 (abababababab) exports no function `midle`"), "{report}");
    assert!(report.contains("did you mean `middle`?"), "{report}");
    let report = refusal(&format!("{MIDDLE} SELECT middle(v, v) AS m FROM plain"));
    assert!(report.contains("nobody has looked into the plugin maths.so"), "{report}");
}

#[test]
fn arguments_are_those_of_the_signature() {
    let middle = written(MIDDLE);
    for (call, found) in [
        ("middle(s, 1)", "middle(STRING, BIGINT)"),
        ("middle(v)", "middle(DOUBLE)"),
        ("middle(v, v, v)", "middle(DOUBLE, DOUBLE, DOUBLE)"),
        ("middle(v, ts)", "middle(DOUBLE, TIMESTAMP(3))"),
    ] {
        let report = refusal(&format!("{middle} SELECT {call} AS m FROM plain"));
        let expected = format!("expected `middle(a DOUBLE NOT NULL, b DOUBLE) RETURNS DOUBLE`, found `{found}`");
        assert!(report.contains(&expected), "{report}");
    }
    for call in ["middle(1, k)", "middle(NULL, 2.5)", "middle(CAST(k AS INT), 1.5)", "Middle(v, v)"] {
        plan(&format!("{middle} SELECT {call} AS m FROM plain")).unwrap();
    }
}

#[test]
fn what_gives_another_result_each_time_is_refused() {
    let script = written("CREATE FUNCTION dice AS 'dice' USING ARTIFACT 'maths.so';");
    let report = refusal(&format!("{script} SELECT dice() AS d FROM plain"));
    assert!(report.contains("the function `dice` gives another result each time"), "{report}");
}

#[test]
fn names_are_shared_with_functions_of_sql() {
    let middle = written(MIDDLE);
    let own = "CREATE FUNCTION middle(x DOUBLE) RETURN x;";
    assert!(refusal(&format!("{middle}{own}")).contains("there is a function `middle` already"));
    assert!(refusal(&format!("{own}{middle}")).contains("there is a function `middle` already"));
    let built_in = middle.replace("FUNCTION middle", "FUNCTION upper");
    assert!(refusal(&built_in).contains("`upper` is a built-in function"));
    let replaced = own.replace("CREATE", "CREATE OR REPLACE");
    let graph = plan(&format!("{middle}{replaced} SELECT middle(v) AS m FROM plain")).unwrap().graph.unwrap();
    assert_eq!(graph.functions(), []);
    let gone = format!("{middle} DROP FUNCTION Middle; SELECT middle(v, v) AS m FROM plain");
    assert!(refusal(&gone).contains("there is no function `middle`"));
    let calls_it =
        format!("{middle} CREATE FUNCTION half(x DOUBLE) RETURN middle(x, 0); SELECT half(v) AS h FROM plain");
    assert_eq!(plan(&calls_it).unwrap().graph.unwrap().functions().len(), 1);
}

#[test]
fn another_version_is_the_same_job_and_a_function_of_that_name_before_it_another_function() {
    let middle = written(MIDDLE);
    let query = "SELECT k, SUM(middle(v, 1)) AS m FROM plain GROUP BY k;";
    let other = middle.replace(HASH, &"cd".repeat(32));
    let graph = |text: &str| plan(text).unwrap().graph.unwrap();
    let (first, second) = (graph(&format!("{middle}{query}")), graph(&format!("{other}{query}")));
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert!(!first.runs_like(&second), "it has to be deployed anew");
    assert_eq!(second.artifacts()[0].hash.as_str(), "cd".repeat(32));
    let both = format!(
        "{middle} CREATE TABLE a (m DOUBLE) WITH ('connector' = 'fake'); INSERT INTO a SELECT middle(v, 1) FROM plain;
         {} INSERT INTO a SELECT middle(v, 1) FROM plain;",
        other.replace("CREATE", "CREATE OR REPLACE")
    );
    let report = refusal(&both);
    assert!(report.contains("the job calls two functions by the name `middle`"), "{report}");

    // Whatever was called so before: the job is the same.
    let replaced = format!("{middle} CREATE VIEW v AS {query}; {}", other.replace("CREATE", "CREATE OR REPLACE"));
    let third =
        graph(&format!("{}{query}", replaced.replace(&format!("{query};"), "SELECT middle(k, 1) AS m FROM plain;")));
    assert_eq!(third.fingerprint(), second.fingerprint());
    assert_eq!(third.artifacts(), second.artifacts());
    let text = weir_sql::explain(&third);
    assert!(text.contains("middle is `middle` of maths 1.0.0 (cdcdcdcdcdcd)"), "{text}");
    assert!(text.contains("middle(v, 1)") && !text.contains('\u{1f}'), "{text}");
}

#[test]
fn a_function_in_sql_calls_what_it_was_created_with() {
    let middle = written(MIDDLE);
    let other = middle.replace(HASH, &"cd".repeat(32));
    let half = "CREATE FUNCTION half(x DOUBLE) RETURN Middle(x, 0);";
    let query = "SELECT half(v) AS h FROM plain;";
    let artifacts = |text: &str| -> Vec<String> {
        let graph = plan(text).unwrap().graph.unwrap();
        graph.artifacts().iter().map(|artifact| artifact.hash.short().to_owned()).collect()
    };
    for later in ["", "DROP FUNCTION middle;", &other.replace("CREATE", "CREATE OR REPLACE")] {
        assert_eq!(artifacts(&format!("{middle}{half}{later}{query}")), ["abababababab"], "{later}");
    }
    assert_eq!(artifacts(&format!("{middle}DROP FUNCTION middle;{other}{half}{query}")), ["cdcdcdcdcdcd"]);
    let both = format!(
        "{middle}{half}{} SELECT half(v) + middle(v, 1) AS h FROM plain;",
        other.replace("CREATE", "CREATE OR REPLACE")
    );
    assert!(refusal(&both).contains("the job calls two functions by the name `middle`"));
    let columns = plan(&format!("{middle}DROP FUNCTION middle;{other} SELECT middle(v, 1) FROM plain;")).unwrap();
    let name = columns.result_schema.unwrap().field(0).name().clone();
    assert!(!name.contains('\u{1f}'), "{name:?}");
}

#[test]
fn functions_of_plugins_stand_in_tables_views_and_catalogs() {
    let middle = written(MIDDLE);
    let table = "CREATE TABLE t (v DOUBLE, m AS middle(v, 1)) WITH ('connector' = 'fake')";
    let graph = plan(&format!("{middle}{table}; SELECT m FROM t WHERE middle(m, m) > 0")).unwrap().graph.unwrap();
    assert_eq!(graph.functions().len(), 1);
    let middle = middle.trim_end_matches(';').to_owned();
    let catalog = [middle.clone(), table.to_owned()];
    let needed = shared::needed(&catalog, &parse("SELECT m FROM t").unwrap(), &weir_functions::Functions::built_in());
    assert_eq!(needed, catalog);
    let declared = shared::declarations(&catalog);
    assert_eq!(declared[0].name, "middle");
}

#[test]
fn words_that_do_not_fit_are_refused() {
    for (script, expected) in [
        ("CREATE FUNCTION f(x BIGINT) AS 'f' USING ARTIFACT 'a'", "a function with parameters says what it returns"),
        ("CREATE FUNCTION f AS 'f' LANGUAGE JAVA USING ARTIFACT 'a'", "plugins are written in Rust"),
        ("CREATE FUNCTION f AS 'f' USING JAR 'a.jar'", "write `USING ARTIFACT 'target/release/lib….so'`"),
        ("CREATE FUNCTION f AS 'f' USING ARTIFACT", "the file of a plugin"),
        ("CREATE FUNCTION f() RETURNS BIGINT AS 'f' USING ARTIFACT 'a'", "write 'name version hash'"),
        ("CREATE FUNCTION f(x BIGINT NOT NULL) RETURN x", "a parameter may be null"),
        ("CREATE FUNCTION f(x BIGINT) RETURNS BIGINT NOT NULL RETURN x", "leave NOT NULL out"),
        ("CREATE FUNCTION f(x BIGINT) RETURNS BIGINT NOT DETERMINISTIC RETURN x", "leave NOT DETERMINISTIC out"),
    ] {
        let report = refusal(script);
        assert!(report.contains(expected), "{script}: {report}");
    }
}

#[test]
fn an_aggregate_is_declared_with_its_state_and_is_part_of_the_job() {
    let mean = FunctionSignature {
        kind: FunctionKind::Aggregate {
            state: DataType::Struct(
                vec![Field::new("0", DataType::Float64, true), Field::new("1", DataType::Int64, true)].into(),
            ),
        },
        ..maths(None).functions[0].clone()
    };
    let known = |hash: u8| {
        let artifact = Artifact { hash: ArtifactHash::from_bytes([hash; 32]), ..maths(None).artifact };
        BTreeMap::from([("maths.so".to_owned(), KnownArtifact { artifact, functions: vec![mean.clone()] })])
    };
    let declared = |hash| with_signatures(&parse(MIDDLE).unwrap(), &known(hash)).unwrap();
    let text = declared(0xab);
    assert!(text.contains("RETURNS DOUBLE AGGREGATE STATE ROW<`0` DOUBLE, `1` BIGINT> AS 'middle'"), "{text}");
    for query in [
        "SELECT k, middle(v, 1) AS m FROM plain GROUP BY k;",
        "SELECT bidder, middle(price, 1) AS m FROM TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '1' HOUR) GROUP BY bidder, window_start, window_end;",
    ] {
        let graph = |hash| plan(&format!("{}{query}", declared(hash))).unwrap().graph.unwrap();
        let (first, second) = (graph(0xab), graph(0xcd));
        assert_eq!(first.functions()[0].signature, mean);
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(second.artifacts()[0].hash.as_str(), "cd".repeat(32));
    }
    let report = refusal(&format!("{text} SELECT middle(s, 1) AS m FROM plain"));
    assert!(
        report.contains(
            "expected `middle(a DOUBLE NOT NULL, b DOUBLE) RETURNS DOUBLE AGGREGATE STATE ROW<0 DOUBLE, 1 BIGINT>`"
        ),
        "{report}"
    );
    let calls = "CREATE FUNCTION half(x DOUBLE) RETURN middle(x, 0);";
    assert!(refusal(&format!("{text}{calls}")).contains("a function of its own cannot aggregate"));
}
