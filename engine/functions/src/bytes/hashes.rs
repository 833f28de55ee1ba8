//! `SHA1`, `SHA224`, `SHA256`, `SHA384`, `SHA512` and `SHA2`, of text and bytes, as digits to the base 16.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::hex::push_hex;
use crate::definition::{Bytes, Definition, Integers, Parameter, plan_error, unchecked};
use crate::output::texts;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes the hash of some bytes.
type Hash = fn(&[u8], &mut String);

const fn definition(
    name: &'static str,
    usage: &'static str,
    compute: fn(&[ColumnarValue], usize) -> Result<ArrayRef>,
) -> Definition {
    Definition {
        name,
        usage,
        parameters: &[Parameter::Bytes],
        required: 1,
        returns: |_, _| DataType::Utf8View,
        check: unchecked,
        compute,
    }
}

pub(crate) const SHA1: Definition =
    definition("sha1", "SHA1(text)", |arguments, rows| hashes(arguments, rows, hash::<Sha1>));
pub(crate) const SHA224: Definition =
    definition("sha224", "SHA224(text)", |arguments, rows| hashes(arguments, rows, hash::<Sha224>));
pub(crate) const SHA256: Definition =
    definition("sha256", "SHA256(text)", |arguments, rows| hashes(arguments, rows, hash::<Sha256>));
pub(crate) const SHA384: Definition =
    definition("sha384", "SHA384(text)", |arguments, rows| hashes(arguments, rows, hash::<Sha384>));
pub(crate) const SHA512: Definition =
    definition("sha512", "SHA512(text)", |arguments, rows| hashes(arguments, rows, hash::<Sha512>));

pub(crate) const SHA2: Definition = Definition {
    name: "sha2",
    usage: "SHA2(text, bits)",
    parameters: &[Parameter::Bytes, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| check_length(constants),
    compute: |arguments, rows| {
        let (bytes, lengths) = (Bytes::of(&arguments[0])?, Integers::of(&arguments[1])?);
        texts(rows, |row, value| {
            let (Some(bytes), Some(length)) = (bytes.at(row), lengths.at(row)) else { return Ok(false) };
            of_length(length)?(bytes, value.text());
            Ok(true)
        })
    },
};

fn hashes(arguments: &[ColumnarValue], rows: usize, hash: Hash) -> Result<ArrayRef> {
    let bytes = Bytes::of(&arguments[0])?;
    texts(rows, |row, value| {
        let Some(bytes) = bytes.at(row) else { return Ok(false) };
        hash(bytes, value.text());
        Ok(true)
    })
}

fn hash<D: Digest>(bytes: &[u8], text: &mut String) {
    push_hex(text, &D::digest(bytes), DIGITS);
}

fn of_length(bits: i64) -> Result<Hash> {
    Ok(match bits {
        224 => hash::<Sha224>,
        256 => hash::<Sha256>,
        384 => hash::<Sha384>,
        512 => hash::<Sha512>,
        _ => return plan_error(format!("there is no SHA-2 of {bits} bits; there are 224, 256, 384 and 512")),
    })
}

fn check_length(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.get(1) {
        Some(Some(ScalarValue::Int64(Some(bits)))) => of_length(*bits).map(|_| ()),
        _ => Ok(()),
    }
}
