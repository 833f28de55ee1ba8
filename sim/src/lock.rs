//! Mutexes of what one thread owns.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what belongs to one thread: nobody else holds it, and after a panic the history is over.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
