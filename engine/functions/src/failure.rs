//! Which expressions can fail because of a row: by a sum that overflows, a division by zero, a cast of what has no
//! counterpart. What cannot fail is evaluated over whole batches, in any order; what can is evaluated for those rows only that
//! the conditions around it let through.
//!
//! Whole numbers are followed by their range, so that `CAST(x AS BIGINT) * 2` of an `INT` is known to fit. In doubt an
//! expression can fail.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use weir_core::{Expr, LiteralValue};

use crate::arithmetic::{always_fits, digits, operator, result_type};

/// What is known about the values of an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Their type.
    pub data_type: DataType,
    /// Whether a row may have none.
    pub can_fail: bool,
    /// Whether a row may have none because its time, moved or converted, leaves what the type has room for. That takes a time
    /// hundreds of years away, so a planner may move such conditions; who evaluates them may not rely on it.
    pub time_can_fail: bool,
    /// Least and greatest value of whole numbers.
    range: Option<(i128, i128)>,
}

/// Functions that have a value for all arguments of their types.
const TOTAL: [&str; 79] = [
    "array_append",
    "array_concat",
    "array_contains",
    "array_element",
    "array_length",
    "array_position",
    "array_prepend",
    "array_remove",
    "ascii",
    "bit_length",
    "btrim",
    "cardinality",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "cos",
    "date_part",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "elt",
    "ends_with",
    "get_field",
    "greatest",
    "hash_code",
    "hex",
    "hour",
    "is_alpha",
    "is_decimal",
    "is_digit",
    "is_json",
    "isnan",
    "iszero",
    "json_quote",
    "json_string",
    "json_unquote",
    "least",
    "left",
    "left_bytes",
    "levenshtein",
    "locate",
    "lower",
    "ltrim",
    "make_array",
    "map_entries",
    "md5",
    "minute",
    "month",
    "named_struct",
    "nullif",
    "octet_length",
    "overlay",
    "parse_url",
    "quarter",
    "reverse",
    "right",
    "rtrim",
    "second",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "signum",
    "sin",
    "split",
    "split_index",
    "starts_with",
    "substr",
    "to_base64",
    "typeof",
    "unhex",
    "upper",
    "url_decode",
    "url_encode",
    "year",
];

/// Functions that have a value for all floating-point numbers.
const TOTAL_OF_FLOATS: [&str; 6] = ["abs", "ceil", "exp", "floor", "round", "trunc"];

impl Values {
    /// Of a column.
    pub fn of_type(data_type: DataType) -> Self {
        let range = match data_type {
            DataType::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            DataType::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            DataType::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
            DataType::Int64 => Some((i64::MIN.into(), i64::MAX.into())),
            DataType::UInt8 => Some((0, u8::MAX.into())),
            DataType::UInt16 => Some((0, u16::MAX.into())),
            DataType::UInt32 => Some((0, u32::MAX.into())),
            DataType::UInt64 => Some((0, u64::MAX.into())),
            _ => None,
        };
        Self { data_type, can_fail: false, time_can_fail: false, range }
    }

    /// Of an expression that is not understood.
    pub fn unknown(data_type: DataType) -> Self {
        Self { can_fail: true, ..Self::of_type(data_type) }
    }

    /// Of a constant; `number` is its value if it is a whole one.
    pub fn constant(data_type: DataType, number: Option<i128>) -> Self {
        let values = Self::of_type(data_type);
        match number {
            Some(number) if values.range.is_some() => Self { range: Some((number, number)), ..values },
            _ => values,
        }
    }

    /// Of a constant.
    pub fn scalar(value: &ScalarValue) -> Self {
        let number = match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(number))) if value.data_type().is_integer() => Some(number.into()),
            _ => None,
        };
        Self::constant(value.data_type(), number)
    }

    /// Of a condition over these values.
    pub fn condition<'a>(parts: impl IntoIterator<Item = &'a Values>) -> Self {
        Self::of_type(DataType::Boolean).computed_from(parts)
    }

    /// These values, which there are only where there are all of those.
    fn computed_from<'a>(mut self, parts: impl IntoIterator<Item = &'a Values>) -> Self {
        for part in parts {
            self.can_fail |= part.can_fail;
            self.time_can_fail |= part.time_can_fail;
        }
        self
    }

    /// Whether a row may have no value, for whatever reason.
    pub fn may_be_missing(&self) -> bool {
        self.can_fail || self.time_can_fail
    }

    /// Of one of these.
    pub fn any_of(parts: &[Values]) -> Self {
        let typed = parts.iter().find(|part| !part.data_type.is_null()).or(parts.first());
        let data_type = typed.map_or(DataType::Null, |part| part.data_type.clone());
        Self::of_type(data_type).computed_from(parts)
    }

    /// Of `self operator other`.
    pub fn binary(self, operator: Operator, other: Self) -> Self {
        use Operator::{Divide, Minus, Modulo, Multiply, Plus};
        let data_type = result_type(&self.data_type, operator, &other.data_type).unwrap_or(DataType::Null);
        let mut result = Self::of_type(data_type).computed_from([&self, &other]);
        if !matches!(operator, Plus | Minus | Multiply | Divide | Modulo) {
            use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
            result.can_fail |= matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch);
            return result;
        }
        if let (Some(limit), Some(left), Some(right)) = (result.range, self.range, other.range) {
            let divides_by_zero = matches!(operator, Divide | Modulo) && right.0 <= 0 && right.1 >= 0;
            match range(operator, left, right) {
                Some(range) if limit.0 <= range.0 && range.1 <= limit.1 && !divides_by_zero => {
                    result.range = Some(range)
                }
                _ => result.can_fail = true,
            }
            return result;
        }
        match digits(&self.data_type).zip(digits(&other.data_type)) {
            _ if result.data_type.is_floating() => {}
            _ if result.data_type.is_temporal() || self.data_type.is_temporal() => result.time_can_fail = true,
            Some((left, right)) if matches!(operator, Plus | Minus | Multiply) => {
                result.can_fail |= !always_fits(operator, left, right);
            }
            _ => result.can_fail = true,
        }
        result
    }

    /// Of `-self`.
    pub fn negative(self) -> Self {
        let limits = Self::of_type(self.data_type.clone());
        match (self.range, limits.range) {
            (Some((least, greatest)), Some(limit)) => {
                let fits = -greatest >= limit.0 && -least <= limit.1;
                Self {
                    can_fail: self.can_fail || !fits,
                    range: fits.then_some((-greatest, -least)).or(Some(limit)),
                    ..self
                }
            }
            _ => self,
        }
    }

    /// Of a cast; a `safe` one gives null where there is no value.
    pub fn cast(self, data_type: &DataType, safe: bool) -> Self {
        if self.data_type == *data_type {
            return self;
        }
        let mut result = Self::of_type(data_type.clone()).computed_from([&self]);
        if safe {
            return result;
        }
        match (self.range, result.range) {
            (Some(range), Some(limit)) if limit.0 <= range.0 && range.1 <= limit.1 => result.range = Some(range),
            _ if always_converts(&self, data_type) => {}
            _ if self.data_type.is_temporal() && data_type.is_temporal() => result.time_can_fail = true,
            _ => result.can_fail = true,
        }
        result
    }

    /// Of a function over these arguments.
    pub fn function(name: &str, arguments: &[Values], data_type: &DataType) -> Self {
        let of_floats = || arguments.iter().all(|argument| argument.data_type.is_floating());
        let total = TOTAL.contains(&name) || TOTAL_OF_FLOATS.contains(&name) && of_floats();
        let mut result = Self::of_type(data_type.clone()).computed_from(arguments);
        result.can_fail |= !total;
        result
    }
}

/// What comes out of whole numbers between these; `None` if that is not known.
fn range(operator: Operator, left: (i128, i128), right: (i128, i128)) -> Option<(i128, i128)> {
    let of_ends = |compute: fn(i128, i128) -> Option<i128>| {
        let ends = [(left.0, right.0), (left.0, right.1), (left.1, right.0), (left.1, right.1)];
        let ends = ends.into_iter().map(|(left, right)| compute(left, right)).collect::<Option<Vec<_>>>()?;
        Some((*ends.iter().min()?, *ends.iter().max()?))
    };
    match operator {
        Operator::Plus => of_ends(i128::checked_add),
        Operator::Minus => of_ends(i128::checked_sub),
        Operator::Multiply => of_ends(i128::checked_mul),
        // Nothing is farther from zero than the dividend.
        Operator::Divide if right.0 > 0 => Some((left.0.min(0), left.1.max(0))),
        Operator::Divide => {
            let far = left.0.abs().max(left.1.abs());
            Some((-far, far))
        }
        // The remainder has the dividend's sign, is none the farther from zero, and nearer to it than the divisor.
        Operator::Modulo => {
            let nearer = (right.0.abs().max(right.1.abs()) - 1).max(0);
            Some((left.0.clamp(-nearer, 0), left.1.clamp(0, nearer)))
        }
        _ => None,
    }
}

fn always_converts(from: &Values, to: &DataType) -> bool {
    use DataType::{Decimal128, Utf8, Utf8View};
    let is_text = |data_type: &DataType| matches!(data_type, Utf8 | Utf8View | DataType::LargeUtf8);
    match (&from.data_type, to) {
        (DataType::Null, _) => true,
        (from, to) if is_text(to) => is_text(from) || from.is_primitive() || *from == DataType::Boolean,
        (DataType::Boolean, to) => to.is_integer() || to.is_floating(),
        (from, to) if to.is_floating() => from.is_numeric(),
        (_, Decimal128(precision, scale)) if from.range.is_some() => {
            let digits = from.range.map_or(0, |(least, greatest)| least.abs().max(greatest.abs()).to_string().len());
            digits as i64 <= i64::from(*precision) - i64::from(*scale)
        }
        (Decimal128(precision, scale), Decimal128(to_precision, to_scale)) => {
            // Digits that go may round up, and carry.
            let carry = i16::from(to_scale < scale);
            let whole = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
            whole(*to_precision, *to_scale) >= whole(*precision, *scale) + carry
        }
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => unit_length(*to) >= unit_length(*from),
        (DataType::Timestamp(..), DataType::Date32) => true,
        (DataType::Date32, DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)) => true,
        _ => false,
    }
}

fn unit_length(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Nanosecond => 0,
        TimeUnit::Microsecond => 1,
        TimeUnit::Millisecond => 2,
        TimeUnit::Second => 3,
    }
}

/// What is known about the values of `expr` over rows whose column `n` has the type `column(n)`.
pub fn values(expr: &Expr, column: &dyn Fn(usize) -> DataType) -> Values {
    let of = |expr: &Expr| values(expr, column);
    match expr {
        Expr::Column(index) => Values::of_type(column(*index)),
        Expr::Literal(literal) => {
            let number = match literal.value {
                LiteralValue::Int(number) => Some(number.into()),
                LiteralValue::UInt(number) => Some(number.into()),
                _ => None,
            };
            Values::constant(literal.data_type.clone(), number)
        }
        Expr::Binary { operator: op, left, right } => of(left).binary(operator(*op), of(right)),
        Expr::Not(operand) | Expr::IsNull(operand) | Expr::IsNotNull(operand) => Values::condition([&of(operand)]),
        Expr::Negative(operand) => of(operand).negative(),
        Expr::Like { operand, pattern, .. } => Values::condition([&of(operand), &of(pattern)]),
        Expr::InList { operand, list, .. } => {
            Values::condition(std::iter::once(&**operand).chain(list).map(of).collect::<Vec<_>>().iter())
        }
        Expr::Case { operand, branches, otherwise } => {
            let conditions = operand.iter().map(|operand| &**operand).chain(branches.iter().map(|(when, _)| when));
            let conditions: Vec<Values> = conditions.map(of).collect();
            let results = branches.iter().map(|(_, then)| then).chain(otherwise.as_deref());
            Values::any_of(&results.map(of).collect::<Vec<_>>()).computed_from(&conditions)
        }
        Expr::Cast { operand, data_type, safe } => of(operand).cast(data_type, *safe),
        Expr::Function { name, arguments, data_type } => {
            Values::function(name, &arguments.iter().map(of).collect::<Vec<_>>(), data_type)
        }
    }
}

#[cfg(test)]
mod tests;
