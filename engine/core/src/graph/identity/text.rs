//! The text that identities are written in.
//!
//! ```text
//!   value   number | true | false | "characters" | [value,…] | tag | tag{field:value,…}
//! ```
//!
//! Tags and fields are words of this program; characters of a user's stand between quotes, in which `"` and `\` have a `\` in
//! front. So two values that differ have texts that differ.

use std::fmt::{Display, Write};

/// What can be part of an identity.
pub trait Encode {
    /// Writes the value.
    fn encode(&self, out: &mut Text);
}

/// A text under construction.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// A tag alone.
    pub fn tag(&mut self, tag: &str) {
        self.0.push_str(tag);
    }

    /// A tag with fields.
    pub fn record(&mut self, tag: &str) -> Record<'_> {
        self.tag(tag);
        Record { out: self, fields: 0 }
    }

    /// All that was written.
    pub fn into_string(self) -> String {
        self.0
    }

    fn display(&mut self, value: impl Display) {
        write!(self.0, "{value}").expect("a string takes whatever is written");
    }

    fn quoted(&mut self, characters: &str) {
        self.0.push('"');
        for character in characters.chars() {
            if matches!(character, '"' | '\\') {
                self.0.push('\\');
            }
            self.0.push(character);
        }
        self.0.push('"');
    }

    fn items<'a, T: Encode + ?Sized + 'a>(&mut self, items: impl IntoIterator<Item = &'a T>) {
        self.0.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            item.encode(self);
        }
        self.0.push(']');
    }
}

/// The fields of a value. They are written in the order of the calls, which is part of the encoding.
pub struct Record<'a> {
    out: &'a mut Text,
    fields: usize,
}

impl Record<'_> {
    /// A field that has no default.
    pub fn field<T: Encode + ?Sized>(mut self, name: &str, value: &T) -> Self {
        self.begin(name);
        value.encode(self.out);
        self
    }

    /// A field that is left out if it is `default`.
    pub fn unless<T: Encode + PartialEq + ?Sized>(self, name: &str, value: &T, default: &T) -> Self {
        if value == default { self } else { self.field(name, value) }
    }

    /// A field that is left out if there is nothing in it.
    pub fn option<T: Encode>(self, name: &str, value: &Option<T>) -> Self {
        match value {
            None => self,
            Some(value) => self.field(name, value),
        }
    }

    /// A list that is left out if it is empty.
    pub fn list<T: Encode>(self, name: &str, items: &[T]) -> Self {
        if items.is_empty() { self } else { self.field(name, items) }
    }

    /// A truth value that is left out if it is false.
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.unless(name, &value, &false)
    }

    /// No more fields.
    pub fn end(self) {
        if self.fields > 0 {
            self.out.0.push('}');
        }
    }

    fn begin(&mut self, name: &str) {
        self.out.0.push(if self.fields == 0 { '{' } else { ',' });
        self.fields += 1;
        self.out.0.push_str(name);
        self.out.0.push(':');
    }
}

macro_rules! displayed {
    ($($type:ty),*) => {
        $(impl Encode for $type {
            fn encode(&self, out: &mut Text) {
                out.display(self);
            }
        })*
    };
}

displayed!(bool, i8, i32, i64, u8, u16, u64, usize);

impl Encode for str {
    fn encode(&self, out: &mut Text) {
        out.quoted(self);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Text) {
        out.quoted(self);
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Text) {
        out.items(self);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Text) {
        out.items(self);
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Text) {
        out.0.push('[');
        self.0.encode(out);
        out.0.push(',');
        self.1.encode(out);
        out.0.push(']');
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    fn encode(&self, out: &mut Text) {
        (**self).encode(out);
    }
}
