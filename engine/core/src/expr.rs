//! Scalar expressions of a job, resolved and typed, in a form that can be stored and sent. The planner makes them from
//! SQL; the operators compile them into kernels.

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

/// A scalar expression over the columns of one input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// Column by position.
    Column(usize),
    /// A constant.
    Literal(Literal),
    /// Two operands of types that the planner has made equal where the operator wants that.
    Binary {
        /// What is done.
        operator: BinaryOperator,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// Logical negation; null stays null.
    Not(Box<Expr>),
    /// Arithmetic negation.
    Negative(Box<Expr>),
    /// True where the operand is null.
    IsNull(Box<Expr>),
    /// True where the operand is not null.
    IsNotNull(Box<Expr>),
    /// `LIKE`, `ILIKE` and their negations.
    Like {
        /// `NOT LIKE`.
        negated: bool,
        /// `ILIKE`.
        case_insensitive: bool,
        /// The text.
        operand: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
    },
    /// `IN (…)`.
    InList {
        /// What is looked for.
        operand: Box<Expr>,
        /// Where.
        list: Vec<Expr>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    Case {
        /// Compared with each `WHEN`; without it each `WHEN` is a condition.
        operand: Option<Box<Expr>>,
        /// Pairs of `WHEN` and `THEN`.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`; null without it.
        otherwise: Option<Box<Expr>>,
    },
    /// Conversion; a value that cannot be converted is an error, or null if `safe`.
    Cast {
        /// What is converted.
        operand: Box<Expr>,
        /// To which type.
        data_type: DataType,
        /// `TRY_CAST`.
        safe: bool,
    },
    /// A scalar function by its name in the function registry.
    Function {
        /// Registry name.
        name: String,
        /// Arguments, already coerced.
        arguments: Vec<Expr>,
        /// Type of the result.
        data_type: DataType,
    },
}

impl Expr {
    /// Calls `visit` with every column position that the expression reads.
    pub fn visit_columns(&self, visit: &mut impl FnMut(usize)) {
        self.visit(&mut |part| {
            if let Expr::Column(index) = part {
                visit(*index);
            }
        });
    }

    /// Calls `visit` with the name of every function that the expression calls.
    pub fn visit_functions(&self, visit: &mut impl FnMut(&str)) {
        self.visit(&mut |part| {
            if let Expr::Function { name, .. } = part {
                visit(name);
            }
        });
    }

    /// Calls `visit` with the expression and every part of it.
    fn visit(&self, visit: &mut dyn FnMut(&Expr)) {
        visit(self);
        match self {
            Expr::Column(_) | Expr::Literal(_) => {}
            Expr::Binary { left, right, .. } | Expr::Like { operand: left, pattern: right, .. } => {
                left.visit(visit);
                right.visit(visit);
            }
            Expr::Not(operand)
            | Expr::Negative(operand)
            | Expr::IsNull(operand)
            | Expr::IsNotNull(operand)
            | Expr::Cast { operand, .. } => operand.visit(visit),
            Expr::InList { operand, list, .. } => {
                operand.visit(visit);
                list.iter().for_each(|item| item.visit(visit));
            }
            Expr::Case { operand, branches, otherwise } => {
                operand.iter().chain(otherwise).for_each(|part| part.visit(visit));
                for (when, then) in branches {
                    when.visit(visit);
                    then.visit(visit);
                }
            }
            Expr::Function { arguments, .. } => arguments.iter().for_each(|argument| argument.visit(visit)),
        }
    }

    /// The same expression over other columns: each position is replaced by `map` of it.
    #[must_use]
    pub fn map_columns(&self, map: &impl Fn(usize) -> usize) -> Expr {
        self.replace_columns(&|column| Expr::Column(map(column)))
    }

    /// The same expression with each column replaced by what `replace` has for its position.
    #[must_use]
    pub fn replace_columns(&self, replace: &dyn Fn(usize) -> Expr) -> Expr {
        let one = |expr: &Expr| Box::new(expr.replace_columns(replace));
        let all = |exprs: &[Expr]| exprs.iter().map(|expr| expr.replace_columns(replace)).collect();
        match self {
            Expr::Column(index) => replace(*index),
            Expr::Literal(literal) => Expr::Literal(literal.clone()),
            Expr::Binary { operator, left, right } => {
                Expr::Binary { operator: *operator, left: one(left), right: one(right) }
            }
            Expr::Not(operand) => Expr::Not(one(operand)),
            Expr::Negative(operand) => Expr::Negative(one(operand)),
            Expr::IsNull(operand) => Expr::IsNull(one(operand)),
            Expr::IsNotNull(operand) => Expr::IsNotNull(one(operand)),
            Expr::Like { negated, case_insensitive, operand, pattern } => Expr::Like {
                negated: *negated,
                case_insensitive: *case_insensitive,
                operand: one(operand),
                pattern: one(pattern),
            },
            Expr::InList { operand, list, negated } => {
                Expr::InList { operand: one(operand), list: all(list), negated: *negated }
            }
            Expr::Case { operand, branches, otherwise } => Expr::Case {
                operand: operand.as_deref().map(one),
                branches: branches
                    .iter()
                    .map(|(when, then)| (when.replace_columns(replace), then.replace_columns(replace)))
                    .collect(),
                otherwise: otherwise.as_deref().map(one),
            },
            Expr::Cast { operand, data_type, safe } => {
                Expr::Cast { operand: one(operand), data_type: data_type.clone(), safe: *safe }
            }
            Expr::Function { name, arguments, data_type } => {
                Expr::Function { name: name.clone(), arguments: all(arguments), data_type: data_type.clone() }
            }
        }
    }
}

/// Operators with two operands, with SQL's treatment of nulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the operator of its name")]
pub enum BinaryOperator {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    IsDistinctFrom,
    IsNotDistinctFrom,
    RegexMatch,
    RegexIMatch,
    RegexNotMatch,
    RegexNotIMatch,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    BitwiseShiftLeft,
    BitwiseShiftRight,
    StringConcat,
}

/// A constant with its Arrow type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Literal {
    /// Type of the constant.
    pub data_type: DataType,
    /// Its value, in the physical form of that type.
    pub value: LiteralValue,
}

/// Physical value of a [`Literal`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LiteralValue {
    /// SQL's null.
    Null,
    /// A truth value.
    Boolean(bool),
    /// Signed integers, dates, times, timestamps, durations and year-month intervals, in the unit of the type.
    Int(i64),
    /// Unsigned integers.
    UInt(u64),
    /// Unscaled value of a decimal, as text because JSON numbers are too small.
    Decimal(String),
    /// Floating-point numbers, as their bits, so that NaN and infinities survive any encoding.
    Float(u64),
    /// Text.
    Utf8(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// An interval of months, days and nanoseconds.
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Nanoseconds.
        nanoseconds: i64,
    },
    /// Elements of a list.
    List(Vec<Literal>),
}
