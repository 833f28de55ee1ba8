//! One value of a key.

use crate::record::Column;

use super::parts::{Item, ItemRows, NoKey};

/// One value, or none.
///
/// ```
/// use weir_jobs::ValueState;
///
/// let mut count = ValueState::<u64>::default();
/// *count.or_default() += 1;
/// assert_eq!(count.get(), Some(&1));
/// assert_eq!(count.take(), Some(1));
/// assert!(!count.is_set());
/// ```
#[derive(Debug, Clone)]
pub struct ValueState<T> {
    value: Option<T>,
    changed: bool,
    stored: bool,
}

impl<T> Default for ValueState<T> {
    fn default() -> Self {
        Self { value: None, changed: false, stored: false }
    }
}

impl<T> ValueState<T> {
    /// The value.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.changed |= self.value.is_some();
        self.value.as_mut()
    }

    /// The value, to be changed, which is made by `make` if there is none.
    #[inline]
    pub fn or_insert_with(&mut self, make: impl FnOnce() -> T) -> &mut T {
        self.changed = true;
        self.value.get_or_insert_with(make)
    }

    /// The value, to be changed: the type's default if there is none.
    #[inline]
    pub fn or_default(&mut self) -> &mut T
    where
        T: Default,
    {
        self.or_insert_with(T::default)
    }

    /// Whether there is a value.
    pub fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// Sets the value, and returns the one before.
    pub fn set(&mut self, value: T) -> Option<T> {
        self.changed = true;
        self.value.replace(value)
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Option<T> {
        self.changed |= self.value.is_some();
        self.value.take()
    }

    /// Drops the value.
    pub fn clear(&mut self) {
        self.take();
    }

    /// Hands over the value if it has changed since the last call; `None` where a stored one is gone.
    pub(super) fn capture_into(&mut self, row: impl FnOnce(Option<&T>)) {
        if std::mem::take(&mut self.changed) && (self.stored || self.value.is_some()) {
            row(self.value.as_ref());
            self.stored = self.value.is_some();
        }
    }
}

impl<T: Column> Item for ValueState<T> {
    type Key = NoKey;
    type Value = T;

    fn capture(&mut self, rows: &mut ItemRows<Self>) {
        self.capture_into(|value| match value {
            Some(value) => rows.put(&NoKey, value),
            None => rows.delete(&NoKey),
        });
    }

    fn load(&mut self, _key: NoKey, value: T) {
        *self = Self { value: Some(value), changed: false, stored: true };
    }

    fn is_empty(&self) -> bool {
        self.value.is_none()
    }

    fn clear(&mut self) {
        self.take();
    }
}
