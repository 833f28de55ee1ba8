//! Expressions: what the generator makes, the script says, and the evaluator computes.

mod evaluate;
mod sql;
mod time;

pub use evaluate::{Scope, Undefined, evaluate};
pub use sql::{literal, sql};
pub use time::{Part, Unit};

use crate::types::Type;
use crate::value::Value;

/// An operator and its arguments.
#[derive(Debug, Clone)]
pub struct Expression {
    /// What is done.
    pub operator: Operator,
    /// With what.
    pub arguments: Vec<Expression>,
    /// Type of the result.
    pub data_type: Type,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`.
    Equal,
    /// `<>`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
}

/// What an expression does.
#[derive(Debug, Clone)]
pub enum Operator {
    /// A column by its name, which is the only one of that name in the query.
    Column(String),
    /// A constant.
    Literal(Value),
    /// Two truth values.
    And,
    /// Two truth values.
    Or,
    /// A truth value.
    Not,
    /// Two values of types that have an order together; of nested types for `=` and `<>` only.
    Compare(Comparison),
    /// `IS [NOT] DISTINCT FROM`; true: with `NOT`.
    DistinctFrom(bool),
    /// `IS [NOT] NULL`; true: with `NOT`.
    IsNull(bool),
    /// `IS [NOT] TRUE | FALSE`.
    IsTruth {
        /// Which truth value.
        truth: bool,
        /// With `NOT`.
        negated: bool,
    },
    /// A value and those that it may be; true: `NOT IN`.
    In(bool),
    /// A value and two bounds; true: `NOT BETWEEN`.
    Between(bool),
    /// A text and a pattern.
    Like {
        /// `NOT LIKE`.
        negated: bool,
        /// `ESCAPE`.
        escape: Option<char>,
    },
    /// Conditions and values in turn, and the value if none holds.
    Case,
    /// An operand; values it may have and results in turn; the result if it has none of them.
    CaseOf,
    /// The first that is not null.
    Coalesce,
    /// The first, unless it equals the second.
    NullIf,
    /// Numbers of one type.
    Add,
    /// Numbers of one type.
    Subtract,
    /// Numbers of one type.
    Multiply,
    /// Whole numbers, or doubles.
    Divide,
    /// Whole numbers.
    Modulo,
    /// A number.
    Negate,
    /// A number.
    Absolute,
    /// A number that is rounded down to a whole one.
    Floor,
    /// A number that is rounded up to a whole one.
    Ceil,
    /// To the expression's type; true: `TRY_CAST`.
    Cast(bool),
    /// A text.
    Upper,
    /// A text.
    Lower,
    /// A text.
    Trim,
    /// A text.
    Reverse,
    /// Characters of a text.
    Length,
    /// Texts, null if one of them is.
    Concatenate,
    /// A text, what is replaced in it, and by what.
    Replace,
    /// A text, a start from 1 and a length, which are literals.
    Substring,
    /// A text, and one that it may begin with.
    StartsWith,
    /// A text, and one that is looked for in it.
    Position,
    /// `+` or `-` an interval of so many units.
    AddInterval(i64, Unit),
    /// `TIMESTAMPADD`.
    TimestampAdd(i64, Unit),
    /// `TIMESTAMPDIFF` of two timestamps of one type.
    TimestampDiff(Unit),
    /// `EXTRACT`.
    Extract(Part),
    /// `FLOOR(… TO …)`.
    FloorTo(Unit),
    /// `DATE_FORMAT` with a pattern for everything.
    DateFormat,
    /// A field of a row, by its place.
    Field(usize),
    /// An element of an array, from 1.
    Element(usize),
    /// A value of a map, by a key.
    Entry,
    /// `CARDINALITY` of an array.
    Cardinality,
    /// An array, and a value that may be in it.
    ArrayContains,
    /// An array of these.
    MakeArray,
    /// A row of these.
    MakeRow,
}

impl Expression {
    /// An operator with arguments.
    pub fn new(operator: Operator, arguments: Vec<Expression>, data_type: Type) -> Self {
        Self { operator, arguments, data_type }
    }

    /// A column.
    pub fn column(name: &str, data_type: Type) -> Self {
        Self::new(Operator::Column(name.to_owned()), Vec::new(), data_type)
    }

    /// A constant.
    pub fn literal(value: Value, data_type: Type) -> Self {
        Self::new(Operator::Literal(value), Vec::new(), data_type)
    }

    /// A truth value.
    pub fn truth(operator: Operator, arguments: Vec<Expression>) -> Self {
        Self::new(operator, arguments, Type::Boolean)
    }

    /// Calls `visit` for each column in it.
    pub fn columns(&self, visit: &mut impl FnMut(&str)) {
        if let Operator::Column(name) = &self.operator {
            visit(name);
        }
        self.arguments.iter().for_each(|argument| argument.columns(visit));
    }

    /// Whether it reads this column.
    pub fn reads(&self, name: &str) -> bool {
        let mut found = false;
        self.columns(&mut |column| found |= column == name);
        found
    }
}
