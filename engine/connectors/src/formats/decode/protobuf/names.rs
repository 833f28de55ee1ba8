//! The names of an enum's numbers.

use std::collections::BTreeMap;

use protox::prost_reflect::EnumDescriptor;

/// Names by number.
#[derive(Debug)]
pub(super) struct Names {
    /// Of the numbers from zero, as most enums have them.
    first: Vec<Option<Box<str>>>,
    others: BTreeMap<i32, Box<str>>,
}

impl Names {
    pub(super) fn new(of: &EnumDescriptor) -> Self {
        const FIRST: i32 = 128;
        let mut names = Self { first: Vec::new(), others: BTreeMap::new() };
        // Of several names of one number it is the first.
        for value in of.values() {
            match usize::try_from(value.number()) {
                Ok(place) if value.number() < FIRST => {
                    if names.first.len() <= place {
                        names.first.resize(place + 1, None);
                    }
                    names.first[place].get_or_insert_with(|| value.name().into());
                }
                _ => drop(names.others.entry(value.number()).or_insert_with(|| value.name().into())),
            }
        }
        names
    }

    pub(super) fn get(&self, number: i32) -> Option<&str> {
        let first = usize::try_from(number).ok().and_then(|place| self.first.get(place));
        first.and_then(Option::as_deref).or_else(|| self.others.get(&number).map(|name| &**name))
    }
}
