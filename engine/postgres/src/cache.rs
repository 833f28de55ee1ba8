//! Answers to lookups that may be used again, by key.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::row::OwnedRow;

use crate::options::CacheOptions;

/// What the database has answered for one key.
struct Answer {
    rows: RecordBatch,
    /// When it came, in milliseconds since 1970.
    written: i64,
    /// When it was used last.
    used: i64,
    /// Its place in the order of uses.
    turn: u64,
}

/// Answers, of which those go that were not used for longest.
pub(crate) struct Cache {
    options: CacheOptions,
    answers: HashMap<OwnedRow, Answer>,
    /// By the turn in which they were used last.
    turns: BTreeMap<u64, OwnedRow>,
    turn: u64,
}

impl Cache {
    pub(crate) fn new(options: CacheOptions) -> Self {
        Self { options, answers: HashMap::new(), turns: BTreeMap::new(), turn: 0 }
    }

    /// The rows of a key, if they are known and still count at `now`.
    pub(crate) fn get(&mut self, key: &OwnedRow, now: i64) -> Option<RecordBatch> {
        let answer = self.answers.get_mut(key)?;
        let is_within = |since: i64, limit: Option<i64>| limit.is_none_or(|limit| now < since.saturating_add(limit));
        self.turns.remove(&answer.turn);
        if !is_within(answer.written, self.options.after_write) || !is_within(answer.used, self.options.after_access) {
            self.answers.remove(key);
            return None;
        }
        self.turn += 1;
        (answer.used, answer.turn) = (now, self.turn);
        self.turns.insert(self.turn, key.clone());
        Some(answer.rows.clone())
    }

    /// Keeps an answer. Of one without rows, if it is to.
    pub(crate) fn put(&mut self, key: OwnedRow, rows: RecordBatch, now: i64) {
        if rows.num_rows() == 0 && !self.options.keeps_missing {
            return;
        }
        self.turn += 1;
        let answer = Answer { rows, written: now, used: now, turn: self.turn };
        if let Some(before) = self.answers.insert(key.clone(), answer) {
            self.turns.remove(&before.turn);
        }
        self.turns.insert(self.turn, key);
        while self.answers.len() > self.options.keys
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.answers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::DataType;
    use arrow::row::{RowConverter, SortField};

    use super::*;

    const OPTIONS: CacheOptions = CacheOptions { keys: 2, after_write: None, after_access: None, keeps_missing: true };

    fn key(value: i64) -> OwnedRow {
        let converter = RowConverter::new(vec![SortField::new(DataType::Int64)]).unwrap();
        let column: ArrayRef = Arc::new(Int64Array::from(vec![value]));
        converter.convert_columns(&[column]).unwrap().row(0).owned()
    }

    fn rows(values: &[i64]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("v", column)]).unwrap()
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut cache = Cache::new(OPTIONS);
        cache.put(key(1), rows(&[10]), 0);
        cache.put(key(2), rows(&[20, 21]), 0);
        assert_eq!(cache.get(&key(1), 1), Some(rows(&[10])));
        cache.put(key(3), rows(&[]), 2);
        assert_eq!((cache.get(&key(2), 3), cache.get(&key(1), 3)), (None, Some(rows(&[10]))));
        assert_eq!(cache.get(&key(3), 3), Some(rows(&[])), "that there is nothing is known");
        cache.put(key(1), rows(&[11]), 4);
        assert_eq!((cache.get(&key(1), 5), cache.get(&key(3), 5)), (Some(rows(&[11])), Some(rows(&[]))));
        assert_eq!((cache.answers.len(), cache.turns.len()), (2, 2));
    }

    #[test]
    fn answers_grow_old_by_their_age_and_unused() {
        let mut cache = Cache::new(CacheOptions { after_write: Some(100), after_access: Some(60), ..OPTIONS });
        cache.put(key(1), rows(&[10]), 0);
        assert!(cache.get(&key(1), 59).is_some());
        assert!(cache.get(&key(1), 99).is_some());
        assert!(cache.get(&key(1), 100).is_none(), "its age counts, however often it is used");
        cache.put(key(1), rows(&[10]), 200);
        assert!(cache.get(&key(1), 260).is_none(), "unused for too long");
        assert!(cache.turns.is_empty());
        let mut cache = Cache::new(CacheOptions { keeps_missing: false, ..OPTIONS });
        cache.put(key(1), rows(&[]), 0);
        assert!(cache.get(&key(1), 0).is_none());
    }
}
