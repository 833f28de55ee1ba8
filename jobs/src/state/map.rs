//! A value for each of a key's own keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use crate::record::Column;

use super::parts::{Item, ItemRows};

/// A type of keys of a map: a column whose values are in an order.
pub trait MapKey: Column + Clone + Ord {}

impl<K: Column + Clone + Ord> MapKey for K {}

/// A value for each key of its own, in the order of these. A change costs the rows that it is about.
///
/// ```
/// use weir_jobs::MapState;
///
/// let mut stock = MapState::<String, u32>::default();
/// *stock.or_default("apples") += 3;
/// assert_eq!(stock.get("apples"), Some(&3));
/// assert_eq!(stock.remove("apples"), Some(3));
/// ```
#[derive(Debug, Clone)]
pub struct MapState<K, V> {
    entries: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

impl<K, V> Default for MapState<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), changed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V> MapState<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let (own, _) = self.entries.get_key_value(key)?;
        if !self.changed.contains(key) {
            self.changed.insert(own.clone());
        }
        self.entries.get_mut(key)
    }

    /// The value of a key, to be changed: the type's default if there is none.
    pub fn or_default(&mut self, key: impl Into<K>) -> &mut V
    where
        V: Default,
    {
        let key = key.into();
        self.changed.insert(key.clone());
        self.entries.entry(key).or_default()
    }

    /// Whether there is a value of a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// Sets the value of a key, and returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.changed.insert(key.clone());
        self.entries.insert(key, value)
    }

    /// Takes the value of a key out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let (key, value) = self.entries.remove_entry(key)?;
        self.changed.insert(key);
        Some(value)
    }

    /// All entries.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The entries whose keys are in a range.
    pub fn range(&self, keys: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.range(keys)
    }

    /// All values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.entries.values()
    }

    /// Keeps the entries that meet a condition.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let changed = &mut self.changed;
        self.entries.retain(|key, value| {
            let kept = keep(key, value);
            if !kept {
                changed.insert(key.clone());
            }
            kept
        });
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.changed.extend(std::mem::take(&mut self.entries).into_keys());
    }
}

impl<K: MapKey, V: Column> Item for MapState<K, V> {
    type Key = K;
    type Value = V;

    const KEY_NAME: &'static str = "map_key";

    fn capture(&mut self, rows: &mut ItemRows<Self>) {
        for key in std::mem::take(&mut self.changed) {
            match self.entries.get(&key) {
                Some(value) => rows.put(&key, value),
                None => rows.delete(&key),
            }
        }
    }

    fn load(&mut self, key: K, value: V) {
        self.entries.insert(key, value);
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn clear(&mut self) {
        Self::clear(self);
    }
}
