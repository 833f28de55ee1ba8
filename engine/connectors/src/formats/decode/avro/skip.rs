//! Passing over what is not read.

use super::cursor::Cursor;
use crate::formats::avro::{AvroSchema, Named, Type};

/// A datum of people has not so many parts in each other; the stack has not more room.
const DEPTH: usize = 200;

/// Passes over a value.
///
/// # Errors
/// If it is no value of the type.
pub(super) fn skip(at: &mut Cursor<'_>, of: &Type, schema: &AvroSchema, depth: usize) -> Result<(), String> {
    if depth > DEPTH {
        return Err(format!("it has more than {DEPTH} values in each other"));
    }
    match of {
        Type::Null => {}
        Type::Boolean => drop(at.take(1)?),
        Type::Int(_) => drop(at.int()?),
        Type::Long(_) => drop(at.long()?),
        Type::Float => drop(at.take(4)?),
        Type::Double => drop(at.take(8)?),
        Type::Bytes(_) | Type::String => drop(at.bytes()?),
        Type::Array(item) | Type::Map(item) => {
            let is_map = matches!(of, Type::Map(_));
            while let Some((count, size)) = at.block()? {
                if let Some(size) = size {
                    at.take(size)?;
                    continue;
                }
                for _ in 0..count {
                    if is_map {
                        at.bytes()?;
                    }
                    skip(at, item, schema, depth + 1)?;
                }
            }
        }
        Type::Union(branches) => {
            let branch = at.long()?;
            let chosen = usize::try_from(branch).ok().and_then(|branch| branches.get(branch));
            skip(at, chosen.ok_or_else(|| no_branch(branch, branches.len()))?, schema, depth + 1)?;
        }
        Type::Named(place) => match &schema.named[*place] {
            Named::Record(fields) => {
                for (_, field) in fields {
                    skip(at, field, schema, depth + 1)?;
                }
            }
            Named::Enum(symbols) => {
                let symbol = at.int()?;
                if usize::try_from(symbol).is_ok_and(|symbol| symbol < symbols.len()) {
                    return Ok(());
                }
                return Err(format!("the symbol {symbol} of {}", symbols.len()));
            }
            Named::Fixed(size, _) => drop(at.take(*size)?),
            Named::Open => return Err("a type without a definition".to_owned()),
        },
    }
    Ok(())
}

pub(super) fn no_branch(branch: i64, branches: usize) -> String {
    format!("the branch {branch} of a union of {branches}")
}
