//! Which casts there are, as in Flink. Whatever else Arrow would make of one type in another, such as a timestamp of a number, counted in
//! the unit of the type, is refused when a query is planned.

use arrow::datatypes::DataType;

use super::{is_text, parts};

/// Kinds of types, of which a cast is possible between all or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Number,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Interval,
}

/// Whether there is a cast from one type to the other: of the elements, keys, values and fields of types that have some.
pub fn is_castable(from: &DataType, to: &DataType) -> bool {
    if from == to || *from == DataType::Null {
        return true;
    }
    if parts::has_parts(from) || parts::has_parts(to) {
        let parts = parts::of_same_kind(from, to);
        return is_text(to) || parts.is_some_and(|parts| parts.iter().all(|(from, to)| is_castable(from, to)));
    }
    // Types that no column has are their maker's business.
    let (Some(from), Some(to)) = (kind(from), kind(to)) else { return true };
    match (from, to) {
        (from, to) if from == to => true,
        (_, Kind::Text) | (Kind::Text, _) => true,
        (Kind::Boolean | Kind::Number, Kind::Boolean | Kind::Number) => true,
        (Kind::Date | Kind::Time, Kind::Timestamp) | (Kind::Timestamp, Kind::Date | Kind::Time) => true,
        _ => false,
    }
}

fn kind(data_type: &DataType) -> Option<Kind> {
    use DataType::{
        Binary, BinaryView, Date32, Date64, FixedSizeBinary, Interval, LargeBinary, Time32, Time64, Timestamp,
    };
    Some(match data_type {
        DataType::Boolean => Kind::Boolean,
        data_type if data_type.is_numeric() => Kind::Number,
        data_type if is_text(data_type) => Kind::Text,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Kind::Bytes,
        Date32 | Date64 => Kind::Date,
        Time32(_) | Time64(_) => Kind::Time,
        Timestamp(..) => Kind::Timestamp,
        Interval(_) => Kind::Interval,
        _ => return None,
    })
}
