//! `weir catalog`: declared once, used by many jobs.

use super::processes::Cluster;

const NUMBERS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '5',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5');
CREATE FUNCTION twice(x BIGINT) RETURN x + x;
CREATE VIEW doubles AS SELECT twice(n) AS n FROM numbers;";

#[test]
fn what_is_declared_once_is_known_to_all_scripts_of_the_namespace() {
    let mut cluster = Cluster::local(1);
    let select = ["submit", "-q", "-o", "csv", "-e", "SELECT SUM(n) AS sum FROM doubles"];
    cluster.weir(&select).code(2).says(&["there is no table `doubles`"]);
    cluster.weir(&["catalog", "list"]).code(0);
    cluster.weir(&["catalog", "apply", "-e", NUMBERS]).code(0).says(&[
        "created table numbers",
        "created function twice",
        "created view doubles",
    ]);
    assert_eq!(cluster.weir(&select).code(0).out, "sum\n30\n");
    let listed = cluster.json(&["catalog", "list"]);
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["numbers", "twice", "doubles"]);
    let shown = cluster.weir(&["catalog", "show", "doubles"]).code(0).out;
    assert_eq!(shown, "CREATE VIEW doubles AS SELECT twice(n) AS n FROM numbers;\n");

    // A script is wrong where it is wrong, and one that declares all it reads needs no catalog.
    let wrong = ["submit", "-e", "\nSELECT m FROM doubles"];
    cluster.weir(&wrong).code(2).says(&["line 2, column 8: there is no column `m`", "the columns here are `n`"]);
    let own = "CREATE TABLE numbers (m INT) WITH ('connector' = 'datagen', 'number-of-rows' = '2'); SELECT COUNT(m) AS c FROM numbers";
    assert_eq!(cluster.weir(&["submit", "-q", "-o", "csv", "-e", own]).code(0).out, "c\n2\n");

    // What is kept with a job is the script, and not what others have declared.
    let secret = "CREATE TABLE other (x INT -- it's ours\n) WITH ('connector' = 'filesystem', 'path' = '/tmp/o', 'format' = 'csv', 'password' = 'hush')";
    cluster.weir(&["catalog", "apply", "-e", secret]).code(2);
    let nowhere =
        "CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO nowhere SELECT n FROM doubles";
    cluster.weir(&["submit", "-q", "--name", "kept", "-e", nowhere]).code(0);
    assert!(!cluster.weir(&["jobs", "describe", "kept", "--json"]).code(0).out.contains("CREATE VIEW doubles"));

    // Another namespace has its own.
    cluster.weir(&["namespaces", "create", "other"]).code(0);
    cluster.weir(&[&select[..], &["--namespace", "other"]].concat()).code(2).says(&["there is no table `doubles`"]);
    cluster.weir(&["catalog", "list", "--namespace", "third"]).code(2).says(&["there is no namespace third"]);

    // All of a change is made, or nothing of it.
    cluster
        .weir(&["catalog", "apply", "-e", "DROP FUNCTION twice; DROP TABLE numbers;"])
        .code(2)
        .says(&["the view `doubles` of the catalog would not go on to work", "there is no table `numbers`"]);
    cluster
        .weir(&[
            "catalog",
            "apply",
            "-e",
            "CREATE TABLE files (x INT) WITH ('connector' = 'filesystem', 'path' = 'here', 'format' = 'csv')",
        ])
        .code(2)
        .says(&["table `files` has a relative path", "write it from the root"]);
    assert_eq!(cluster.json(&["catalog", "list"]).as_array().unwrap().len(), 3);
    cluster
        .weir(&[
            "catalog",
            "apply",
            "-e",
            "CREATE OR REPLACE FUNCTION twice(x BIGINT) RETURN 3 * x; DROP VIEW doubles;",
        ])
        .code(0)
        .says(&["dropped view doubles", "replaced function twice"]);
    cluster.weir(&["catalog", "apply", "-e", ""]).code(0).says(&["nothing has changed"]);
    cluster.weir(&["catalog", "show", "doubles"]).code(2).says(&["there is no `doubles` in the catalog"]);

    // It is as durable as the jobs.
    assert_eq!(cluster.terminate("local").code(), Some(0));
    cluster.start_local(1);
    let select = ["submit", "-q", "-o", "csv", "-e", "SELECT SUM(twice(n)) AS sum FROM numbers"];
    assert_eq!(cluster.weir(&select).code(0).out, "sum\n45\n");
}
