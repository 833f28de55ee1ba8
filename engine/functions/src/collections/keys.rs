//! The keys of maps that are put together: of a key that is there twice the last value counts.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, ArrayRef, DynComparator, make_comparator};
use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use datafusion_common::{DataFusionError, Result};
use weir_core::hash::{canonical_keys, hash_rows, is_hashable};

use super::assemble::Origin;

/// Entries up to which looking through all of them is the fastest.
pub(crate) const FEW: usize = 16;

/// Keys of several sources, of one type.
pub(super) struct Keys {
    sources: Vec<Source>,
    /// Compares keys of one source with keys of another.
    compare: Vec<Vec<DynComparator>>,
}

struct Source {
    keys: ArrayRef,
    nulls: Option<NullBuffer>,
    /// Of each key, once they are needed.
    hashes: OnceCell<Vec<u64>>,
}

impl Source {
    fn hash(&self, key: usize) -> u64 {
        let hashes = self.hashes.get_or_init(|| {
            let mut hashes = Vec::new();
            // Nothing but a type that has no hashes can fail.
            let _ = hash_rows(std::slice::from_ref(&self.keys), self.keys.len(), &mut hashes);
            hashes
        });
        hashes.get(key).copied().unwrap_or_default()
    }
}

impl Keys {
    pub(super) fn of(sources: Vec<ArrayRef>) -> Result<Self> {
        let sources: Vec<ArrayRef> = sources.iter().map(canonical_keys).collect();
        let compare = sources
            .iter()
            .map(|left| {
                let with = |right: &ArrayRef| make_comparator(left.as_ref(), right.as_ref(), SortOptions::default());
                sources.iter().map(with).collect()
            })
            .collect::<Result<_, _>>()?;
        let source = |keys: ArrayRef| Source { nulls: keys.logical_nulls(), keys, hashes: OnceCell::new() };
        Ok(Self { sources: sources.into_iter().map(source).collect(), compare })
    }

    /// The sources, with one representation of keys that are equal.
    pub(super) fn sources(&self) -> Vec<&dyn Array> {
        self.sources.iter().map(|source| source.keys.as_ref()).collect()
    }

    /// Adds the entries of a map, each in the place of an earlier one of the same key.
    pub(super) fn put(&self, entries: Vec<Origin>, origins: &mut Vec<Origin>) -> Result<()> {
        let is_null =
            |(source, key): &Origin| self.sources[*source].nulls.as_ref().is_some_and(|nulls| nulls.is_null(*key));
        if entries.iter().any(is_null) {
            return Err(DataFusionError::Execution("the key of a map must not be null".to_owned()));
        }
        let begin = origins.len();
        let hashed = entries.len() > FEW && self.sources.iter().all(|source| is_hashable(source.keys.data_type()));
        let mut places = HashMap::new();
        for entry in entries {
            let is_same = |known: &Origin| self.compare[known.0][entry.0](known.1, entry.1).is_eq();
            let search = |origins: &[Origin]| origins[begin..].iter().position(is_same).map(|place| begin + place);
            let place = match hashed {
                true => match places.entry(self.sources[entry.0].hash(entry.1)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(origins.len());
                        None
                    }
                    Entry::Occupied(place) if is_same(&origins[*place.get()]) => Some(*place.get()),
                    // Other keys may have the same hash.
                    Entry::Occupied(_) => search(origins),
                },
                false => search(origins),
            };
            match place {
                Some(place) => origins[place] = entry,
                None => origins.push(entry),
            }
        }
        Ok(())
    }
}
