use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use weir_core::Distribution;
use weir_core::state_column::{with_default, with_id};

use super::*;

fn uid(uid: &str) -> OperatorUid {
    OperatorUid(uid.to_owned())
}

fn table(columns: Vec<Field>) -> TableSchema {
    TableSchema {
        name: "panes".into(),
        version: 1,
        schema: Arc::new(Schema::new(columns)),
        key_columns: 1,
        time_column: None,
        distribution: Distribution::Keyed,
    }
}

fn key() -> Field {
    with_id(Field::new("auction", DataType::Int32, true), 1)
}

/// `window-aggregate-1 totals/sink/window-aggregate computes`, with a table of one column.
fn kept(line: &str) -> KeptState {
    let [name, place, computes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let mut steps = place.split('/').map(str::to_owned);
    let target = steps.next().unwrap();
    let place = OperatorPlace { target, path: steps.collect(), name: None, computes: computes.into() };
    KeptState { uid: uid(name), place, tables: vec![table(vec![key()])], drops: None }
}

fn named(name: &str, kept: KeptState) -> KeptState {
    KeptState { place: OperatorPlace { name: Some(name.into()), ..kept.place }, ..kept }
}

fn lines(stored: &[KeptState], wanted: &[KeptState]) -> Vec<String> {
    let plan = RestorePlan::between(stored, wanted);
    plan.operators.iter().map(|plan| format!("{} {}: {}", plan.uid, plan.fate.word(), plan.fate.why())).collect()
}

#[test]
fn an_operator_keeps_its_state_wherever_it_stands() {
    let stored = [kept("agg-1 totals/sink/agg sum"), kept("src-1 totals/sink/agg/src read")];
    let elsewhere = [kept("src-1 others/sink/src read"), kept("agg-1 others/sink/top/agg sum")];
    assert_eq!(
        lines(&stored, &elsewhere),
        ["src-1 kept: it computes the same of the same", "agg-1 kept: it computes the same of the same"]
    );
    let plan = RestorePlan::between(&stored, &elsewhere);
    assert!(plan.is_complete());
    assert_eq!(plan.source_of(&uid("agg-1")), Some(&uid("agg-1")));
}

#[test]
fn tables_that_have_changed_are_migrated_or_rebuilt() {
    let stored = [kept("agg-1 totals/sink/agg sum")];
    let of = |columns| KeptState { tables: vec![table(columns)], ..stored[0].clone() };
    let wide = with_id(Field::new("auction", DataType::Int64, true), 1);
    let count = with_default(Field::new("rows", DataType::Int64, false), 2, "0");
    assert_eq!(
        lines(&stored, &[of(vec![wide, count])]),
        [
            "agg-1 migrated: state 'panes': auction: Int32 becomes Int64; state 'panes': rows is new, and 0 in what is there"
        ]
    );
    let narrow = with_id(Field::new("auction", DataType::Int16, true), 1);
    let misfit = [of(vec![narrow])];
    assert_eq!(
        lines(&stored, &misfit),
        ["agg-1 rebuilt: state 'panes' does not fit: column 'auction' was Int32 and is Int16"]
    );
    let plan = RestorePlan::between(&stored, &misfit);
    assert!(!plan.is_complete());
    assert_eq!(
        plan.misfits(),
        ["operator totals/sink/agg: state 'panes' does not fit: column 'auction' was Int32 and is Int16"]
    );
    let refused = plan.check(Epoch(7)).unwrap_err().context("Plugin(counts) could not start").report();
    assert!(refused.contains("checkpoint 7 does not fit the job:\nSTATE ") && is_misfit(&refused), "{refused}");
    assert!(!is_misfit("a value does not fit its column"));
    let other =
        KeptState { tables: vec![TableSchema { name: "groups".into(), ..table(vec![key()]) }], ..stored[0].clone() };
    assert_eq!(lines(&stored, &[other]), ["agg-1 migrated: state 'groups' is new; state 'panes' is gone"]);
}

/// The engine does not know what an operator of a plugin computes: a table that is gone may be one with another name.
#[test]
fn an_operator_of_a_plugin_loses_no_table_unless_it_says_so() {
    let stored = [kept("plugin-1 totals/sink/plugin fraud")];
    let renamed = |drops: &[&str]| KeptState {
        tables: vec![TableSchema { name: "windows".into(), ..table(vec![key()]) }],
        drops: Some(drops.iter().map(|name| (*name).to_owned()).collect()),
        ..stored[0].clone()
    };
    let refused = [renamed(&["others"])];
    let [line] = &lines(&stored, &refused)[..] else { panic!("one operator") };
    assert!(line.starts_with("plugin-1 rebuilt: there is state 'panes', which it no longer keeps"), "{line}");
    assert!(!RestorePlan::between(&stored, &refused).is_complete());
    assert_eq!(
        lines(&stored, &[renamed(&["panes"])]),
        ["plugin-1 migrated: state 'windows' is new; state 'panes' is gone"]
    );
}

#[test]
fn an_edited_query_finds_what_stood_in_its_places() {
    let stored = [
        kept("agg-1 totals/sink/agg sum"),
        kept("src-1 totals/sink/agg/src read"),
        kept("top-1 best/sink/top three"),
        kept("join-1 best/sink/top/join equal"),
    ];
    let wanted = [
        // Its filter was edited, so that its source reads otherwise, and it gets other rows.
        kept("src-2 totals/sink/agg/src filtered"),
        kept("agg-2 totals/sink/agg sum"),
        // Its limit was edited.
        kept("top-2 best/sink/top four"),
        kept("agg-3 more/sink/agg sum"),
    ];
    assert_eq!(
        lines(&stored, &wanted),
        [
            "src-2 rebuilt: src-1 had its place, and computed something else",
            "agg-2 migrated: what feeds it is not what fed agg-1",
            "top-2 rebuilt: top-1 had its place, and computed something else",
            "agg-3 rebuilt: the checkpoint has no such operator",
            "src-1 dropped: src-2 has its place, and cannot use it",
            "top-1 dropped: top-2 has its place, and cannot use it",
            "join-1 dropped: the job has no such operator",
        ]
    );
    let plan = RestorePlan::between(&stored, &wanted);
    assert_eq!(plan.source_of(&uid("agg-2")), Some(&uid("agg-1")));
    assert_eq!(plan.source_of(&uid("top-2")), None);
    assert_eq!(plan.source_of(&uid("top-1")), None);
}

/// Columns are known by position in what feeds an operator, and that has changed.
#[test]
fn a_place_alone_does_not_make_one_column_another() {
    let stored = [kept("agg-1 totals/sink/agg sum")];
    let bidder = with_id(Field::new("bidder", DataType::Int32, true), 1);
    let wanted = KeptState { tables: vec![table(vec![bidder])], ..kept("agg-2 totals/sink/agg sum") };
    assert_eq!(
        lines(&stored, &[wanted])[0],
        "agg-2 rebuilt: state 'panes' does not fit: column 'bidder' was 'auction'"
    );
}

#[test]
fn a_name_is_found_in_another_place() {
    let stored = [named("recent", kept("agg-1 totals/sink/agg sum"))];
    let moved = [named("recent", kept("agg-2 totals/sink/join/left/agg sum"))];
    assert_eq!(lines(&stored, &moved), ["agg-2 migrated: what feeds it is not what fed agg-1"]);
    let other_kind = [named("recent", kept("top-1 totals/sink/join/left/top three"))];
    assert_eq!(
        lines(&stored, &other_kind),
        ["top-1 rebuilt: the checkpoint has no such operator", "agg-1 dropped: the job has no such operator"]
    );
}

/// One that is there under its uid is not taken for another one's.
#[test]
fn a_place_that_has_been_left_by_one_who_is_still_there_is_free() {
    let stored = [kept("agg-1 totals/sink/agg sum")];
    let wanted = [kept("agg-2 totals/sink/agg sum"), kept("agg-1 others/sink/agg sum")];
    assert_eq!(
        lines(&stored, &wanted),
        ["agg-2 rebuilt: the checkpoint has no such operator", "agg-1 kept: it computes the same of the same"]
    );
}

#[test]
fn operators_without_state_are_not_spoken_of() {
    let stateless = KeptState { tables: Vec::new(), ..kept("calc-1 totals/sink/agg sum") };
    assert_eq!(lines(std::slice::from_ref(&stateless), std::slice::from_ref(&stateless)), [] as [&str; 0]);
}

#[test]
fn a_plan_is_a_table() {
    let stored = [kept("agg-1 totals/sink/agg sum"), kept("src-1 totals/sink/agg/src read")];
    let wanted = [kept("src-1 totals/sink/agg/src read"), named("best", kept("top-1 totals/sink/top three"))];
    assert_eq!(
        RestorePlan::between(&stored, &wanted).to_string(),
        "STATE     OPERATOR                WHY\n\
         kept      totals/sink/agg/src     it computes the same of the same\n\
         rebuilt   totals/sink/top (best)  the checkpoint has no such operator\n\
         dropped   totals/sink/agg         the job has no such operator"
    );
}

fn sink(line: &str) -> KeptState {
    KeptState { tables: Vec::new(), ..kept(line) }
}

#[test]
fn a_sink_that_is_another_one_is_told() {
    let stored = [
        kept("agg-1 totals/sink/agg sum"),
        sink("sink-1 totals/sink json"),
        sink("sink-2 twice/sink csv"),
        sink("sink-3 twice/sink csv"),
        sink("sink-4 gone/sink csv"),
    ];
    let wanted = [
        kept("agg-1 totals/sink/agg sum"),
        sink("sink-5 totals/sink parquet"),
        // It is fed by something else, and writes as before.
        sink("sink-6 twice/sink csv"),
        sink("sink-3 twice/sink csv"),
        sink("sink-7 late/sink csv"),
    ];
    let plan = RestorePlan::between(&stored, &wanted);
    assert_eq!(
        plan.to_string(),
        "STATE     OPERATOR         WHY\n\
         kept      totals/sink/agg  it computes the same of the same\n\
         changed   totals/sink      its table has another connector, other options or other columns; what it wrote stays where it is\n\
         new       late/sink        the checkpoint has no such sink\n\
         dropped   gone/sink        the job has no such sink; what it wrote stays where it is"
    );
    assert!(plan.is_complete(), "all state goes on");
    // Checkpoints of earlier versions say nothing of sinks.
    assert_eq!(RestorePlan::between(&stored[..1], &wanted).sinks, []);
}
