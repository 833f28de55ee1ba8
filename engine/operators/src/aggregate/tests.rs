//! Windows of all kinds against an oracle that keeps all rows, with checkpoints, restores and changes of parallelism in
//! between, and in every other case with only a part of the keys in memory.

mod distinct;
mod drive;
mod edges;
mod expiry;
mod groups;
mod oracle;
mod row;
mod scripts;
mod updated_windows;
mod updating_sessions;
mod zeros;

use proptest::prelude::*;
use weir_core::{AggregateCall, AggregateFunction, Literal, LiteralValue, WindowKind};

use arrow::datatypes::DataType;
use drive::{Event, Job};
use row::{COLUMNS, Row};

fn call(function: AggregateFunction, arguments: &[usize], data_type: DataType) -> AggregateCall {
    let name = format!("{function:?}{arguments:?}");
    let (distinct, filter, order_by, constants) = (false, None, Vec::new(), Vec::new());
    AggregateCall { function, arguments: arguments.to_vec(), constants, distinct, filter, order_by, name, data_type }
}

fn other(name: &str, arguments: &[usize], data_type: DataType) -> AggregateCall {
    call(AggregateFunction::Other(name.into()), arguments, data_type)
}

/// Positions in [`COLUMNS`].
const TIME: usize = 0;
const ID: usize = 1;
const NAME: usize = 2;
const NUMBER: usize = 3;
const FLOAT: usize = 4;
const FLAG: usize = 5;

fn mergeable() -> Vec<AggregateCall> {
    use AggregateFunction::*;
    vec![
        call(Count, &[], DataType::Int64),
        call(Count, &[NUMBER], DataType::Int64),
        AggregateCall { filter: Some(FLAG), name: "filtered".into(), ..call(Count, &[], DataType::Int64) },
        call(Sum, &[NUMBER], DataType::Int64),
        call(Sum, &[FLOAT], DataType::Float64),
        AggregateCall { filter: Some(FLAG), name: "filtered sum".into(), ..call(Sum, &[NUMBER], DataType::Int64) },
        call(Avg, &[NUMBER], DataType::Float64),
        call(Min, &[NUMBER], DataType::Int64),
        call(Max, &[FLOAT], DataType::Float64),
        call(Min, &[NAME], DataType::Utf8View),
        call(Max, &[FLAG], DataType::Boolean),
        call(Max, &[TIME], COLUMNS[TIME].1.clone()),
    ]
}

fn all() -> Vec<AggregateCall> {
    use AggregateFunction::*;
    let mut calls = mergeable();
    let comma = Literal { data_type: DataType::Utf8, value: LiteralValue::Utf8(",".into()) };
    calls.extend([
        call(FirstValue, &[NUMBER], DataType::Int64),
        call(LastValue, &[NAME], DataType::Utf8View),
        AggregateCall { distinct: true, name: "distinct".into(), ..call(Count, &[NUMBER], DataType::Int64) },
        AggregateCall { distinct: true, name: "distinct names".into(), ..call(Count, &[NAME], DataType::Int64) },
        AggregateCall {
            distinct: true,
            filter: Some(FLAG),
            name: "filtered names".into(),
            ..call(Count, &[NAME], DataType::Int64)
        },
        other("bool_or", &[FLAG], DataType::Boolean),
        other("median", &[FLOAT], DataType::Float64),
        AggregateCall {
            constants: vec![comma],
            order_by: vec![(NAME, false, false)],
            ..other("string_agg", &[NAME], DataType::Utf8View)
        },
    ]);
    calls
}

fn counts() -> Vec<AggregateCall> {
    vec![
        call(AggregateFunction::Count, &[NUMBER], DataType::Int64),
        AggregateCall { filter: Some(FLAG), ..call(AggregateFunction::Count, &[], DataType::Int64) },
    ]
}

fn kinds() -> impl Strategy<Value = WindowKind> {
    prop_oneof![
        Just(WindowKind::Tumble { size: 10, offset: 0 }),
        // Several in a batch: they share a table.
        Just(WindowKind::Tumble { size: 2, offset: 0 }),
        Just(WindowKind::Tumble { size: 7, offset: 3 }),
        Just(WindowKind::Hop { slide: 2, size: 10, offset: 0 }),
        Just(WindowKind::Hop { slide: 2, size: 30, offset: 1 }),
        Just(WindowKind::Hop { slide: 4, size: 10, offset: 0 }),
        Just(WindowKind::Hop { slide: 10, size: 4, offset: 0 }),
        Just(WindowKind::Cumulate { step: 3, size: 12, offset: 2 }),
    ]
}

fn keys() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![]),
        Just(vec![ID]),
        Just(vec![FLOAT]),
        Just(vec![ID, FLAG]),
        Just(vec![NAME]),
        Just(vec![NAME, ID, FLOAT]),
    ]
}

fn rows() -> impl Strategy<Value = Row> {
    let text = prop_oneof![Just(""), Just("a"), Just("b"), Just("text that does not fit into a view"), Just("ab")];
    (
        prop::option::weighted(0.95, -20_i64..60),
        prop::option::weighted(0.8, 0_i64..4),
        prop::option::weighted(0.8, text.prop_map(str::to_owned)),
        prop::option::weighted(0.8, -5_i64..5),
        prop::option::weighted(0.8, prop_oneof![Just(-0.0), Just(0.0), Just(1.5), Just(-2.5)]),
        prop::option::weighted(0.8, any::<bool>()),
    )
        .prop_map(|(time, id, name, number, float, flag)| Row { time, id, name, number, float, flag })
}

fn spread() -> impl Strategy<Value = Option<usize>> {
    prop::option::weighted(0.3, 0_usize..3)
}

/// Batches with rows around a time that goes on, watermarks that mostly stay behind it, and checkpoints.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (prop::collection::vec(rows(), 0..12), 0_i64..8).prop_map(|(rows, step)| (Some(rows), step, None)),
        2 => (-15_i64..12).prop_map(|ahead| (None, ahead, None)),
        1 => (1_usize..4).prop_map(|parallelism| (None, 0, Some(parallelism))),
    ];
    prop::collection::vec(event, 1..24).prop_map(|events| {
        let mut now = 0;
        let mut events: Vec<Event> = events
            .into_iter()
            .map(|event| match event {
                (Some(mut rows), step, _) => {
                    now += step;
                    // Most rows near now; every tenth anywhere.
                    for row in rows.iter_mut().skip_while(|row| row.number == Some(0)) {
                        row.time = row.time.map(|time| now + time.rem_euclid(13) - 6);
                    }
                    Event::Rows(rows)
                }
                (None, _, Some(parallelism)) => Event::Checkpoint(parallelism),
                (None, ahead, None) => Event::Watermark(now + ahead),
            })
            .collect();
        events.push(Event::Watermark(i64::MAX));
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_agree_with_the_oracle(
        kind in kinds(), keys in keys(), spread in spread(), evicting in any::<bool>(), events in events()
    ) {
        let job = Job { evicting, spread, ..Job::new(kind, keys, all()) };
        prop_assert_eq!(job.run(&events), oracle::windows(&job, kind, &events));
    }

    #[test]
    fn hops_of_counts_release_panes(keys in keys(), evicting in any::<bool>(), events in events()) {
        let kind = WindowKind::Hop { slide: 2, size: 12, offset: 0 };
        let job = Job { evicting, ..Job::new(kind, keys, counts()) };
        prop_assert_eq!(job.run(&events), oracle::windows(&job, kind, &events));
    }

    #[test]
    fn two_phases_agree_with_the_oracle(
        kind in kinds(), keys in keys(), spread in spread(), evicting in any::<bool>(), events in events()
    ) {
        let job = Job { two_phases: true, spread, evicting, ..Job::new(kind, keys, mergeable()) };
        prop_assert_eq!(job.run(&events), oracle::windows(&job, kind, &events));
    }

    #[test]
    fn attached_windows_agree_with_the_oracle(
        keys in keys(), many in any::<bool>(), evicting in any::<bool>(), events in events()
    ) {
        let kind = WindowKind::Hop { slide: if many { 2 } else { 5 }, size: 10, offset: 0 };
        let mut calls = all();
        // Without an event time the order of arrival decides, which the oracle has not kept apart.
        calls.retain(|call| !matches!(call.function, AggregateFunction::FirstValue | AggregateFunction::LastValue));
        let job = Job { attached: true, evicting, ..Job::new(kind, keys, calls) };
        prop_assert_eq!(job.run(&events), oracle::attached(&job, kind, &events));
    }

    #[test]
    fn two_phases_of_attached_windows_agree_with_the_oracle(
        keys in keys(), many in any::<bool>(), spread in spread(), evicting in any::<bool>(), events in events()
    ) {
        let kind = match many {
            true => WindowKind::Hop { slide: 2, size: 10, offset: 0 },
            false => WindowKind::Cumulate { step: 3, size: 9, offset: 0 },
        };
        let job = Job { two_phases: true, attached: true, spread, evicting, ..Job::new(kind, keys, mergeable()) };
        prop_assert_eq!(job.run(&events), oracle::attached(&job, kind, &events));
    }

    #[test]
    fn sessions_agree_with_the_oracle(gap in 1_i64..9, keys in keys(), evicting in any::<bool>(), events in events()) {
        let job = Job { evicting, ..Job::new(WindowKind::Session { gap }, keys, all()) };
        prop_assert_eq!(job.run(&events), oracle::sessions(&job, gap, &events));
    }
}
