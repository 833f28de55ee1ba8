use arrow::array::{BooleanArray, StringViewArray};
use arrow::datatypes::Int64Type;
use weir_core::AggregateFunction;

use super::*;
use crate::chunked::CHUNK;

fn names(filter: Option<usize>) -> AggregateCall {
    AggregateCall {
        function: AggregateFunction::Count,
        arguments: vec![0],
        constants: Vec::new(),
        distinct: true,
        filter,
        order_by: Vec::new(),
        name: format!("names {filter:?}"),
        data_type: DataType::Int64,
    }
}

/// The values of each list, sorted.
fn values(list: &ArrayRef) -> Vec<Vec<String>> {
    let of_list = |list: ArrayRef| {
        let mut values: Vec<String> = list.as_string_view().iter().flatten().map(str::to_owned).collect();
        values.sort();
        values
    };
    list.as_list::<i32>().iter().flatten().map(of_list).collect()
}

#[test]
fn calls_under_conditions_share_a_table_and_come_to_what_each_does_alone() {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let columns = ["first", "second"].map(|name| field(name, DataType::Boolean));
    let input = Schema::new([vec![field("name", DataType::Utf8View)], columns.to_vec()].concat());
    let calls = [names(None), names(Some(1)), names(Some(2))];
    assert_eq!(together(&calls), 3);
    assert_eq!(together(&[names(None), AggregateCall { distinct: false, ..names(None) }]), 1);
    assert_eq!(together(&[names(None), AggregateCall { arguments: vec![1], ..names(None) }]), 1);
    // With a call that counts all rows, and without.
    for calls in [&calls[..], &calls[1..]] {
        const GROUPS: usize = 10_000;
        let mut shared = create(calls, &input).unwrap().unwrap();
        let mut own: Vec<_> =
            calls.iter().map(|call| create(std::slice::from_ref(call), &input).unwrap().unwrap()).collect();
        shared.grow(GROUPS).unwrap();
        own.iter_mut().for_each(|own| own.grow(GROUPS).unwrap());
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = hash::mix(random);
            random % below
        };
        let all = Picked::First(GROUPS);
        let some = Picked::Slots((0..GROUPS as u32).rev().step_by(3).collect());
        for _ in 0..3 {
            let slots: Vec<u32> = (0..20_000).map(|_| next(GROUPS as u64) as u32 & !1).collect();
            let names: StringViewArray = slots
                .iter()
                .map(|_| Some(next(5)).filter(|name| *name > 0).map(|name| format!("the name {name}")))
                .collect();
            let mut condition = || -> ArrayRef {
                Arc::new(
                    slots
                        .iter()
                        .map(|_| Some(next(3)).filter(|is| *is > 0).map(|is| is == 1))
                        .collect::<BooleanArray>(),
                )
            };
            let columns: [ArrayRef; 3] = [Arc::new(names), condition(), condition()];
            let rows = Rows { columns: &columns, len: slots.len() };
            shared.update(&slots, rows).unwrap();
            own.iter_mut().for_each(|own| own.update(&slots, rows).unwrap());
            for picked in [&all, &some] {
                let captured = shared.capture(picked).unwrap();
                let alone: Vec<_> = own.iter_mut().map(|own| own.capture(picked).unwrap()).collect();
                for piece in picked.pieces() {
                    let mut results = Vec::new();
                    shared.all_results(picked, piece.clone(), &mut results).unwrap();
                    let states = shared.states(picked, piece.clone()).unwrap();
                    let later = captured.columns(piece.clone()).unwrap();
                    assert_eq!((results.len(), states.len(), later.len()), (calls.len(), calls.len(), calls.len()));
                    for (call, own) in own.iter_mut().enumerate() {
                        let counts = own.results(picked, piece.clone()).unwrap();
                        assert_eq!(&results[call], &counts);
                        let lists = values(&own.states(picked, piece.clone()).unwrap()[0]);
                        let lengths: Vec<i64> = lists.iter().map(|list| list.len() as i64).collect();
                        assert_eq!(counts.as_primitive::<Int64Type>().values(), &lengths[..]);
                        assert_eq!(values(&states[call]), lists);
                        assert_eq!(values(&later[call]), lists);
                        assert_eq!(values(&alone[call].columns(piece.clone()).unwrap()[0]), lists);
                    }
                }
            }
            // What has been captured stays as it was, whatever is added; and it is all that is needed to go on.
            let captured = shared.capture(&all).unwrap();
            let before = shared.states(&all, 0..CHUNK).unwrap();
            shared
                .update(&slots[..2], Rows { columns: &columns.clone().map(|column| column.slice(7, 2)), len: 2 })
                .unwrap();
            own.iter_mut().for_each(|own| {
                own.update(&slots[..2], Rows { columns: &columns.clone().map(|column| column.slice(7, 2)), len: 2 })
                    .unwrap();
            });
            let mut again = shared.fresh();
            again.grow(GROUPS).unwrap();
            again.merge(&(0..CHUNK as u32).collect::<Vec<_>>(), &captured.columns(0..CHUNK).unwrap()).unwrap();
            let loaded = again.states(&all, 0..CHUNK).unwrap();
            assert!(loaded.iter().zip(&before).all(|(loaded, before)| values(loaded) == values(before)));
        }
    }
}

#[test]
fn a_group_costs_what_its_values_cost_and_gives_it_back() {
    let input = Schema::new(vec![Field::new("name", DataType::Utf8View, true)]);
    let mut counts = create(&[names(None)], &input).unwrap().unwrap();
    const GROUPS: u32 = 1000;
    counts.grow(GROUPS as usize).unwrap();
    let slots: Vec<u32> = (0..6 * GROUPS).map(|row| row % GROUPS).collect();
    let names = slots.iter().enumerate().map(|(row, _)| match row as u32 / GROUPS {
        0 => None,
        round => Some(format!("name {}", round / 2)),
    });
    let columns: [ArrayRef; 1] = [Arc::new(names.collect::<StringViewArray>())];
    let rows = Rows { columns: &columns, len: slots.len() };
    let (all, count) = (Picked::First(GROUPS as usize), 0..GROUPS as usize);
    counts.update(&slots, rows).unwrap();
    let bytes = counts.bytes();
    assert!(bytes < 400 * GROUPS as usize, "{bytes} bytes for {GROUPS} groups of three names");
    for _ in 0..3 {
        let found = counts.results(&all, count.clone()).unwrap();
        assert!(found.as_primitive::<arrow::datatypes::Int64Type>().values().iter().all(|count| *count == 3));
        counts.clear(&(0..GROUPS).collect::<Vec<_>>()).unwrap();
        let found = counts.results(&all, count.clone()).unwrap();
        assert!(found.as_primitive::<arrow::datatypes::Int64Type>().values().iter().all(|count| *count == 0));
        counts.update(&slots, rows).unwrap();
    }
    assert!(counts.bytes() < 2 * bytes, "vacant places are used again");
}
