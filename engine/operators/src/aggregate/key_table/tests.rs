//! Keys that come and go.

use std::collections::BTreeMap;

use arrow::array::{Int32Array, Int64Array, StringViewArray};
use weir_core::hash::mix;

use super::*;

/// Key columns of the numbers, in one of the forms in which keys are held.
fn columns(types: &[DataType], numbers: &[i64]) -> Vec<ArrayRef> {
    let column = |data_type: &DataType| -> ArrayRef {
        match data_type {
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(numbers.iter().map(|number| number / 7))),
            DataType::Int32 => {
                Arc::new(Int32Array::from_iter(numbers.iter().map(|n| (n % 7 != 3).then_some((n % 7) as i32))))
            }
            _ => {
                Arc::new(StringViewArray::from_iter_values(numbers.iter().map(|number| format!("key number {number}"))))
            }
        }
    };
    types.iter().map(column).collect()
}

/// Against a map that says which key has which slot.
#[test]
fn slots_of_removed_keys_are_given_to_new_ones_and_all_others_stay_found() {
    for types in [vec![DataType::Utf8View], vec![DataType::Int64, DataType::Int32]] {
        let layout = KeyLayout::new(types.clone()).unwrap();
        let (mut table, mut known) = (KeyTable::new(&layout, 0), BTreeMap::<i64, u32>::new());
        let (mut most, mut word) = (0, 0_u64);
        let mut random = |bound: u64| {
            word = mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
            word % bound
        };
        for _ in 0..400 {
            let numbers: Vec<i64> = (0..1 + random(40)).map(|_| random(300) as i64).collect();
            let mut slots = Vec::new();
            table.intern(&columns(&types, &numbers), numbers.len(), &mut slots).unwrap();
            for (number, slot) in numbers.iter().zip(slots) {
                match known.get(number) {
                    Some(there) => assert_eq!(*there, slot),
                    None => {
                        assert!(known.values().all(|taken| *taken != slot), "slot {slot} has two keys");
                        known.insert(*number, slot);
                    }
                }
            }
            most = most.max(known.len());
            assert_eq!((table.len(), table.slots()), (known.len(), most), "a slot is new only if none is vacant");
            let all = table.all();
            let mut taken: Vec<u32> = (0..all.len()).map(|position| all.slot(position) as u32).collect();
            let mut expected: Vec<u32> = known.values().copied().collect();
            taken.sort_unstable();
            expected.sort_unstable();
            assert_eq!(taken, expected);
            let share = 1 + random(4);
            let leaving: Vec<u32> = known.values().copied().filter(|_| random(share) == 0).collect();
            known.retain(|_, slot| !leaving.contains(slot));
            table.remove(&leaving);
        }
    }
}
