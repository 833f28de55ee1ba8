//! What is compiled from text, kept for the next batch: regular expressions and paths are constants nearly always, and a batch may
//! have a single row.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// How many are kept, for patterns that come from the rows.
const MOST: usize = 64;

/// Compiled values of one thread, by their text.
pub(super) struct Compiled<T> {
    known: RefCell<HashMap<String, Rc<T>>>,
}

impl<T> Compiled<T> {
    pub(super) fn new() -> Self {
        Self { known: RefCell::new(HashMap::new()) }
    }

    /// What `compile` makes of `text`, or has made of it before.
    pub(super) fn of(&self, text: &str, compile: impl FnOnce(&str) -> T) -> Rc<T> {
        if let Some(known) = self.known.borrow().get(text) {
            return Rc::clone(known);
        }
        let compiled = Rc::new(compile(text));
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(text.to_owned(), Rc::clone(&compiled));
        compiled
    }
}

/// The compiled value of the row before, so that one lookup serves a batch.
pub(super) struct Last<T> {
    last: Option<(String, Rc<T>)>,
}

impl<T> Last<T> {
    pub(super) fn new() -> Self {
        Self { last: None }
    }

    /// What `find` finds for `text`, unless the row before had the same.
    pub(super) fn of(&mut self, text: &str, find: impl FnOnce(&str) -> Rc<T>) -> Rc<T> {
        match &self.last {
            Some((known, value)) if known == text => Rc::clone(value),
            _ => {
                let value = find(text);
                self.last = Some((text.to_owned(), Rc::clone(&value)));
                value
            }
        }
    }
}
