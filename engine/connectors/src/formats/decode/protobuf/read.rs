//! From the bytes of a message into columns.

use std::ops::Range;

use super::super::column::Column;
use super::number::{self, narrow};
use super::plan::{Absent, Field, Message, Read, Shape, Slot, Step};
use super::wire::{Cursor, Wire};

pub(super) const MISMATCH: &str = "a column of another type than was planned";

/// What is wrong with a message, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Names of fields, the outermost first; none is the message itself.
    path: String,
    what: String,
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { path: String::new(), what }
    }
}

impl Wrong {
    fn within(self, field: &str) -> Self {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{field}.{}", self.path) };
        Self { path, ..self }
    }
}

/// Columns by their numbers.
pub(super) trait Columns {
    fn column(&mut self, place: usize) -> &mut Column;
}

impl Columns for [Column] {
    fn column(&mut self, place: usize) -> &mut Column {
        &mut self[place]
    }
}

/// Those of a map's entries.
struct Pair<'a>(&'a mut Column, &'a mut Column);

impl Columns for Pair<'_> {
    fn column(&mut self, place: usize) -> &mut Column {
        if place == 0 { self.0 } else { self.1 }
    }
}

/// Adds the row of a message.
///
/// # Errors
/// What is wrong with it. Columns are uneven then.
pub(in crate::formats::decode) fn decode(
    message: &mut Message,
    bytes: &[u8],
    columns: &mut [Column],
) -> Result<(), String> {
    read(message, bytes, columns).map_err(|Wrong { path, what }| match path.as_str() {
        "" => what,
        path => format!("field '{path}': {what}"),
    })
}

fn read<C: Columns + ?Sized>(message: &mut Message, bytes: &[u8], columns: &mut C) -> Result<(), Wrong> {
    find(message, bytes, columns)?;
    let Message { fields, slots, missing, .. } = message;
    for (field, slot) in fields.iter_mut().zip(slots) {
        let column = columns.column(field.column);
        append(field, slot, bytes, column).map_err(|wrong| wrong.within(&field.name))?;
    }
    missing.iter().for_each(|place| columns.column(*place).append_null());
    Ok(())
}

/// Finds the values of a message. Items of lists are appended.
fn find<C: Columns + ?Sized>(message: &mut Message, bytes: &[u8], columns: &mut C) -> Result<(), Wrong> {
    let Message { fields, steps, slots, oneofs, .. } = message;
    for (field, slot) in fields.iter_mut().zip(slots.iter_mut()) {
        *slot = Slot::Absent;
        if let Shape::Map { places, .. } = &mut field.shape {
            places.clear();
        }
    }
    let mut at = Cursor(bytes);
    while !at.0.is_empty() {
        let (number, wire) = at.tag()?;
        let place = match steps.get(number) {
            Some(Step::Read(place)) => place,
            Some(Step::Clear(oneof)) => {
                oneofs[oneof].iter().for_each(|member| slots[*member] = Slot::Absent);
                at.skip(number, wire)?;
                continue;
            }
            None => {
                at.skip(number, wire)?;
                continue;
            }
        };
        let field = &mut fields[place];
        let others = field.oneof.map_or(&[][..], |oneof| &oneofs[oneof]);
        others.iter().filter(|member| **member != place).for_each(|member| slots[*member] = Slot::Absent);
        let found = value(field, wire, (&mut at, bytes), &mut slots[place], columns);
        found.map_err(|wrong| wrong.within(&field.name))?;
    }
    Ok(())
}

/// Where the next value is in the whole message, whose rest is `at`.
fn place(at: &mut Cursor<'_>, bytes: &[u8]) -> Result<Range<usize>, String> {
    let value = at.bytes()?;
    let end = bytes.len() - at.0.len();
    Ok(end - value.len()..end)
}

/// Takes over one value of a field.
fn value<C: Columns + ?Sized>(
    field: &mut Field,
    wire: Wire,
    (at, bytes): (&mut Cursor<'_>, &[u8]),
    slot: &mut Slot,
    columns: &mut C,
) -> Result<(), Wrong> {
    match &mut field.shape {
        Shape::Map { places, .. } if wire == Wire::Bytes => places.push(place(at, bytes)?),
        Shape::One { .. } if wire == field.wire && wire != Wire::Bytes => *slot = Slot::Number(at.number(wire)?),
        Shape::One { read, .. } if wire == field.wire => {
            let range = place(at, bytes)?;
            let is_message = matches!(read, Read::Message(_) | Read::Known(_) | Read::Wrapped { .. });
            *slot = match std::mem::take(slot) {
                // The parts of a message one after the other are the message.
                Slot::Bytes(before) if is_message => Slot::Own([&bytes[before], &bytes[range]].concat()),
                Slot::Own(mut before) if is_message => {
                    before.extend_from_slice(&bytes[range]);
                    Slot::Own(before)
                }
                _ => Slot::Bytes(range),
            };
        }
        Shape::Many(read) => {
            let Column::List { item, .. } = columns.column(field.column) else {
                return Err(MISMATCH.to_owned().into());
            };
            if wire == field.wire {
                match wire {
                    Wire::Bytes => append_bytes(read, at.bytes()?, item)?,
                    _ => append_number(read, at.number(wire)?, item)?,
                }
            } else if wire == Wire::Bytes {
                // Numbers are packed or not, whatever the schema says.
                let mut packed = Cursor(at.bytes()?);
                while !packed.0.is_empty() {
                    append_number(read, packed.number(field.wire)?, item)?;
                }
            } else {
                return Err(other_wire(wire, field.wire).into());
            }
        }
        _ => return Err(other_wire(wire, field.wire).into()),
    }
    Ok(())
}

fn other_wire(wire: Wire, expected: Wire) -> String {
    format!("it is written as {wire:?} and not as {expected:?}: it was written by another schema")
}

/// Appends what has been found of a field.
fn append(field: &mut Field, slot: &Slot, bytes: &[u8], column: &mut Column) -> Result<(), Wrong> {
    match &mut field.shape {
        Shape::One { read, absent } => match (slot, absent) {
            (Slot::Absent, Absent::Null) if field.nullable => column.append_null(),
            (Slot::Absent, Absent::Null) => return Err("it is NOT NULL, and has no value".to_owned().into()),
            (Slot::Absent, Absent::Required) => return Err("it is required, and has no value".to_owned().into()),
            (Slot::Absent, Absent::Default(default)) => append_one(read, default, bytes, column)?,
            (slot, _) => append_one(read, slot, bytes, column)?,
        },
        Shape::Many(_) => column.close(true),
        Shape::Map { entry, places } => {
            let Column::Map { key, value, .. } = &mut *column else { return Err(MISMATCH.to_owned().into()) };
            for place in last_of_each(&entry.fields[0], places, bytes)? {
                read_entry(entry, &bytes[place], &mut Pair(key, value))?;
            }
            column.close(true);
        }
    }
    Ok(())
}

/// Kept apart: entries are messages, too.
fn read_entry(entry: &mut Message, bytes: &[u8], columns: &mut Pair<'_>) -> Result<(), Wrong> {
    read(entry, bytes, columns)
}

/// A key as it is compared with others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The entries of a map without those that another one of their key comes after.
fn last_of_each(key: &Field, places: &[Range<usize>], bytes: &[u8]) -> Result<Vec<Range<usize>>, String> {
    if places.len() < 2 {
        return Ok(places.to_vec());
    }
    let mut keys = Vec::with_capacity(places.len());
    for (order, place) in places.iter().enumerate() {
        let mut at = Cursor(&bytes[place.clone()]);
        let mut found = match key.wire {
            Wire::Bytes => Key::Bytes(&[]),
            _ => Key::Number(0),
        };
        while !at.0.is_empty() {
            match at.tag()? {
                (1, wire) if wire == key.wire && wire == Wire::Bytes => found = Key::Bytes(at.bytes()?),
                (1, wire) if wire == key.wire => found = Key::Number(at.number(wire)?),
                (number, wire) => at.skip(number, wire)?,
            }
        }
        if let (Key::Number(bits), Shape::One { read: Read::Number(number::Number::Bool), .. }) =
            (&mut found, &key.shape)
        {
            *bits = (*bits).min(1);
        }
        keys.push((found, order));
    }
    keys.sort_unstable();
    let mut last = vec![true; places.len()];
    for pair in keys.windows(2) {
        if pair[0].0 == pair[1].0 {
            last[pair[0].1] = false;
        }
    }
    Ok(places.iter().zip(last).filter(|(_, is_last)| *is_last).map(|(place, _)| place.clone()).collect())
}

fn append_one(read: &mut Read, slot: &Slot, bytes: &[u8], column: &mut Column) -> Result<(), Wrong> {
    match slot {
        Slot::Number(bits) => append_number(read, *bits, column).map_err(Wrong::from),
        Slot::Bytes(place) => append_bytes(read, &bytes[place.clone()], column),
        Slot::Own(own) => append_bytes(read, own, column),
        Slot::Absent => Err("a value that is not there".to_owned().into()),
    }
}

#[inline]
fn append_number(read: &Read, bits: u64, column: &mut Column) -> Result<(), String> {
    match (read, column) {
        (Read::Number(number), column) => number::append(*number, bits, column),
        (Read::Enum(names), Column::Text(values)) => {
            let number = narrow(bits as i64)? as i32;
            match names.get(number) {
                Some(name) => values.append_value(name),
                // As Protobuf's JSON has a number that its writer's schema has a name for, and this one not.
                None => values.append_value(number.to_string()),
            }
            Ok(())
        }
        _ => Err(MISMATCH.to_owned()),
    }
}

fn append_bytes(read: &mut Read, bytes: &[u8], column: &mut Column) -> Result<(), Wrong> {
    match (read, &mut *column) {
        (Read::Bytes, Column::Text(values)) => values.append_value(utf8(bytes)?),
        (Read::Bytes, Column::Bytes(values)) => values.append_value(bytes),
        (Read::Text, column) => {
            let text = utf8(bytes)?;
            if !column.append_text(text) {
                return Err(format!("{} is not what the column takes", super::super::quoted(text)).into());
            }
        }
        (Read::Message(message), Column::Row { children, .. }) => {
            self::read(message, bytes, children.as_mut_slice())?;
            column.close(true);
        }
        (Read::Known(known), column) => known.append(bytes, column)?,
        (Read::Wrapped { read, wire, default }, column) => {
            let mut slot = default.clone();
            let mut at = Cursor(bytes);
            while !at.0.is_empty() {
                match at.tag()? {
                    (1, found) if found == *wire && found == Wire::Bytes => slot = Slot::Bytes(place(&mut at, bytes)?),
                    (1, found) if found == *wire => slot = Slot::Number(at.number(found)?),
                    (1, found) => return Err(other_wire(found, *wire).into()),
                    (number, found) => at.skip(number, found)?,
                }
            }
            append_one(read, &slot, bytes, column)?;
        }
        _ => return Err(MISMATCH.to_owned().into()),
    }
    Ok(())
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at byte {} of a string", error.valid_up_to() + 1))
}
