//! Expressions of a wanted type over the columns at hand.

use super::bound::{bound, fits};
use super::values::without_negative_zero;
use super::{Generator, Topic};
use crate::expression::{Expression, Operator, Part, Unit};
use crate::relation::Column;
use crate::types::Type;
use crate::value::Value;

impl Generator {
    /// An expression of this type, of so many levels at most.
    pub(super) fn expression(&mut self, scope: &[Column], data_type: &Type, depth: usize) -> Expression {
        if depth == 0 || self.random.chance(25) {
            return self.leaf(scope, data_type);
        }
        match self.random.below(10) {
            0..=2 => self.choice(scope, data_type, depth),
            3 if self.may(Topic::NestedParts) => {
                self.part(scope, data_type).unwrap_or_else(|| self.choice(scope, data_type, depth))
            }
            _ => self.computed(scope, data_type, depth).unwrap_or_else(|| self.leaf(scope, data_type)),
        }
    }

    /// A column, or else a literal.
    pub(super) fn leaf(&mut self, scope: &[Column], data_type: &Type) -> Expression {
        match self.column_where(scope, |column| column.data_type == *data_type) {
            Some(column) if self.random.chance(80) || !data_type.is_scalar() => {
                Expression::column(&column.name, data_type.clone())
            }
            _ => self.literal(data_type),
        }
    }

    pub(super) fn literal(&mut self, data_type: &Type) -> Expression {
        if self.random.chance(8) || matches!(data_type, Type::Map(..) | Type::Row(_)) {
            return Expression::literal(Value::Null, data_type.clone());
        }
        let pools: Vec<&Vec<Value>> =
            self.pools.iter().filter(|(known, _)| known == data_type).map(|(_, pool)| pool).collect();
        let mut value = if pools.is_empty() || self.random.chance(30) {
            self.value(data_type, false)
        } else {
            let pool = *self.random.pick(&pools);
            self.random.pick(pool).clone()
        };
        // Two constants are compared by DataFusion while it plans, for which the zeros are two.
        without_negative_zero(&mut value);
        if matches!(&value, Value::Array(elements) if elements.is_empty() || elements.iter().any(Value::is_null)) {
            value = Value::Null;
        }
        Expression::literal(value, data_type.clone())
    }

    /// One of several expressions of the type.
    fn choice(&mut self, scope: &[Column], data_type: &Type, depth: usize) -> Expression {
        let below = depth - 1;
        let (operator, arguments) = match self.random.below(5) {
            0 | 1 => {
                let mut arguments = Vec::new();
                for _ in 0..self.random.between(1, 2) {
                    arguments.push(self.condition(scope, below));
                    arguments.push(self.expression(scope, data_type, below));
                }
                arguments.push(self.expression(scope, data_type, below));
                (Operator::Case, arguments)
            }
            2 => {
                let count = self.random.between(2, 3);
                (Operator::Coalesce, (0..count).map(|_| self.expression(scope, data_type, below)).collect())
            }
            3 if data_type.is_scalar() => {
                let value = self.expression(scope, data_type, below);
                (Operator::NullIf, vec![value, self.leaf(scope, data_type)])
            }
            _ => {
                let operand = self.scalar_of(scope);
                let mut arguments = vec![self.leaf(scope, &operand)];
                for _ in 0..self.random.between(1, 3) {
                    arguments.push(self.literal(&operand));
                    arguments.push(self.expression(scope, data_type, below));
                }
                arguments.push(self.leaf(scope, data_type));
                (Operator::CaseOf, arguments)
            }
        };
        Expression::new(operator, arguments, data_type.clone())
    }

    /// A scalar type of a column.
    pub(super) fn scalar_of(&mut self, scope: &[Column]) -> Type {
        match self.column_where(scope, |column| column.data_type.is_scalar()) {
            Some(column) => column.data_type.clone(),
            None => Type::BIGINT,
        }
    }

    /// A part of a nested column.
    fn part(&mut self, scope: &[Column], data_type: &Type) -> Option<Expression> {
        let has = |column: &Column| match &column.data_type {
            Type::Row(fields) => fields.contains(data_type),
            Type::Array(element) => **element == *data_type,
            Type::Map(_, value) => **value == *data_type,
            _ => false,
        };
        let column = self.column_where(scope, has)?;
        let whole = Expression::column(&column.name, column.data_type.clone());
        let (operator, arguments) = match &column.data_type {
            Type::Row(fields) => {
                let places: Vec<usize> = (0..fields.len()).filter(|place| fields[*place] == *data_type).collect();
                (Operator::Field(*self.random.pick(&places)), vec![whole])
            }
            Type::Array(_) => (Operator::Element(1 + self.random.below(3)), vec![whole]),
            _ => {
                let key = Value::String((*self.random.pick(&["a", "b", "none"])).to_owned());
                (Operator::Entry, vec![whole, Expression::literal(key, Type::String)])
            }
        };
        Some(Expression::new(operator, arguments, data_type.clone()))
    }

    /// What only this type has.
    fn computed(&mut self, scope: &[Column], data_type: &Type, depth: usize) -> Option<Expression> {
        let below = depth - 1;
        let own = |operator, arguments| Some(Expression::new(operator, arguments, data_type.clone()));
        match data_type {
            Type::Boolean => Some(self.condition(scope, depth)),
            Type::Integer(_) | Type::Decimal(..) | Type::Double | Type::Float => self.number(scope, data_type, depth),
            Type::String => self.text(scope, below),
            Type::Bytes | Type::Time | Type::Map(..) => None,
            Type::Timestamp { .. } | Type::Date if !self.may(Topic::TimeFunctions) => None,
            Type::Date => match self.random.below(2) {
                0 => {
                    let timestamp = self.timestamp_leaf(scope)?;
                    own(Operator::Cast(false), vec![timestamp])
                }
                _ => {
                    let date = self.expression(scope, data_type, below);
                    own(Operator::AddInterval(self.random.between(-40, 40), Unit::Day), vec![date])
                }
            },
            Type::Timestamp { digits, local } => match self.random.below(4) {
                0 | 1 => {
                    let timestamp = self.leaf(scope, data_type);
                    let unit = *self.random.pick(&Unit::ALL);
                    let count = if unit.nanos().is_some() {
                        self.random.between(-90, 90)
                    } else {
                        self.random.between(-14, 14)
                    };
                    let add = self.random.chance(50);
                    own(
                        if add { Operator::AddInterval(count, unit) } else { Operator::TimestampAdd(count, unit) },
                        vec![timestamp],
                    )
                }
                2 => {
                    let timestamp = self.leaf(scope, data_type);
                    own(Operator::FloorTo(*self.random.pick(&Unit::ALL)), vec![timestamp])
                }
                _ => {
                    let (digits, local) = (*digits, *local);
                    let column = self.column_where(scope, |column| {
                        matches!(column.data_type, Type::Timestamp { digits: other, local: also } if other != digits && also == local)
                    })?;
                    // Nanoseconds do not reach as far.
                    (digits < 9).then_some(())?;
                    own(Operator::Cast(false), vec![Expression::column(&column.name, column.data_type.clone())])
                }
            },
            Type::Array(element) if element.is_scalar() => {
                let count = self.random.between(1, 3);
                let elements = (0..count).map(|_| self.expression(scope, element, below)).collect();
                own(Operator::MakeArray, elements)
            }
            Type::Array(_) | Type::Row(_) => None,
        }
    }

    pub(super) fn timestamp_leaf(&mut self, scope: &[Column]) -> Option<Expression> {
        self.may(Topic::TimeFunctions).then_some(())?;
        let column =
            self.column_where(scope, |column| matches!(column.data_type, Type::Timestamp { local: false, .. }))?;
        Some(Expression::column(&column.name, column.data_type.clone()))
    }

    fn text(&mut self, scope: &[Column], below: usize) -> Option<Expression> {
        let text = |generator: &mut Self| generator.expression(scope, &Type::String, below);
        let own = |operator, arguments| Some(Expression::new(operator, arguments, Type::String));
        let whole = |number: i64| Expression::literal(Value::Integer(number), Type::BIGINT);
        match self.random.below(10) {
            0 => own(Operator::Upper, vec![text(self)]),
            1 => own(Operator::Lower, vec![text(self)]),
            2 => own(Operator::Trim, vec![text(self)]),
            3 => own(Operator::Reverse, vec![text(self)]),
            4 | 5 => {
                let first = text(self);
                own(Operator::Concatenate, vec![first, text(self)])
            }
            6 => {
                let literal = |text: &str| Expression::literal(Value::String(text.to_owned()), Type::String);
                own(Operator::Replace, vec![text(self), literal("a"), literal("$1é")])
            }
            7 => {
                let (from, length) = (self.random.between(1, 3), self.random.between(0, 4));
                own(Operator::Substring, vec![text(self), whole(from), whole(length)])
            }
            8 => {
                let timestamp = self.timestamp_leaf(scope)?;
                own(Operator::DateFormat, vec![timestamp])
            }
            _ => {
                let times = self.may(Topic::TimeFunctions);
                let printable = |data_type: &Type| {
                    times && matches!(data_type, Type::Timestamp { local: false, .. })
                        || matches!(data_type, Type::Integer(_) | Type::Decimal(..) | Type::Boolean | Type::Date)
                };
                let column = self.column_where(scope, |column| printable(&column.data_type))?;
                own(Operator::Cast(false), vec![Expression::column(&column.name, column.data_type.clone())])
            }
        }
    }

    fn number(&mut self, scope: &[Column], data_type: &Type, depth: usize) -> Option<Expression> {
        let below = depth - 1;
        let checked = |expression: Expression| fits(&expression, scope).then_some(expression);
        let own = |operator, arguments| checked(Expression::new(operator, arguments, data_type.clone()));
        if matches!(data_type, Type::Integer(_)) && self.random.chance(35) {
            let counted = self.counted(scope, below)?;
            return checked(Expression::new(Operator::Cast(false), vec![counted], data_type.clone()));
        }
        if self.random.chance(20) {
            let from = match self.random.below(3) {
                0 => Type::Integer(*self.random.pick(&[8, 16, 32, 64])),
                1 => self.scalar_of(scope),
                _ => Type::Decimal(10, 2),
            };
            let castable = from.is_number() && from != *data_type && from != Type::Float && *data_type != Type::Float;
            let safe =
                matches!((&from, data_type), (Type::Integer(_) | Type::Decimal(..), _) | (Type::Double, Type::Double));
            if castable && safe {
                let value = self.expression(scope, &from, below);
                return own(Operator::Cast(false), vec![value]);
            }
        }
        let left = self.expression(scope, data_type, below);
        match self.random.below(8) {
            0 => own(Operator::Negate, vec![left]),
            1 => own(Operator::Absolute, vec![left]),
            2 if self.may(Topic::Rounding) && !matches!(data_type, Type::Decimal(..)) => {
                let rounding = if self.random.chance(50) { Operator::Floor } else { Operator::Ceil };
                own(rounding, vec![left])
            }
            3 if matches!(data_type, Type::Integer(_)) => self.guarded_division(scope, data_type, left),
            _ => {
                let right = self.expression(scope, data_type, below);
                let operator = match self.random.below(3) {
                    0 => Operator::Add,
                    1 => Operator::Subtract,
                    _ => Operator::Multiply,
                };
                self.arithmetic(scope, operator, left, right, data_type)
            }
        }
    }

    /// Decimals of one type make one with more digits, which is cast back.
    fn arithmetic(
        &mut self,
        scope: &[Column],
        operator: Operator,
        left: Expression,
        right: Expression,
        data_type: &Type,
    ) -> Option<Expression> {
        let Type::Decimal(precision, scale) = data_type else {
            let result = Expression::new(operator, vec![left, right], data_type.clone());
            return fits(&result, scope).then_some(result);
        };
        let wide = match operator {
            Operator::Multiply => Type::Decimal(2 * precision + 1, 2 * scale),
            _ => Type::Decimal(precision + 1, *scale),
        };
        if matches!(wide, Type::Decimal(digits, _) if digits > 38) {
            return None;
        }
        let wide = Expression::new(operator, vec![left, right], wide);
        let result = Expression::new(Operator::Cast(false), vec![wide], data_type.clone());
        fits(&result, scope).then_some(result)
    }

    /// `CASE WHEN b <> 0 THEN a / b ELSE … END`.
    fn guarded_division(&mut self, scope: &[Column], data_type: &Type, left: Expression) -> Option<Expression> {
        let divisor = self.leaf(scope, data_type);
        // The least number has no quotient by -1.
        if bound(&left, scope)? > data_type.limit()? {
            return None;
        }
        let zero = Expression::literal(Value::Integer(0), data_type.clone());
        let compared = Operator::Compare(crate::expression::Comparison::Unequal);
        let guard = Expression::truth(compared, vec![divisor.clone(), zero]);
        let operator = if self.random.chance(50) { Operator::Divide } else { Operator::Modulo };
        let quotient = Expression::new(operator, vec![left, divisor], data_type.clone());
        let other = self.leaf(scope, data_type);
        Some(Expression::new(Operator::Case, vec![guard, quotient, other], data_type.clone()))
    }

    /// A whole number that is counted or taken from something else.
    fn counted(&mut self, scope: &[Column], below: usize) -> Option<Expression> {
        let whole = |operator, arguments| Some(Expression::new(operator, arguments, Type::BIGINT));
        match self.random.below(6) {
            0 => {
                let text = self.expression(scope, &Type::String, below);
                whole(Operator::Length, vec![text])
            }
            1 => {
                let text = self.expression(scope, &Type::String, below);
                let part = Expression::literal(
                    Value::String((*self.random.pick(&["a", "b", "é", "%"])).to_owned()),
                    Type::String,
                );
                whole(Operator::Position, vec![text, part])
            }
            2 => {
                let timestamp = self.timestamp_leaf(scope)?;
                whole(Operator::Extract(*self.random.pick(&Part::ALL)), vec![timestamp])
            }
            3 => {
                let date = self.expression(scope, &Type::Date, below);
                whole(Operator::Extract(*self.random.pick(&Part::ALL[..Part::OF_DATE])), vec![date])
            }
            4 => {
                let array = self.column_where(scope, |column| matches!(column.data_type, Type::Array(_)))?;
                whole(Operator::Cardinality, vec![Expression::column(&array.name, array.data_type.clone())])
            }
            _ => {
                let from = self.timestamp_leaf(scope)?;
                let to = self.leaf(scope, &from.data_type);
                // Of shorter units an INT may have no room for the number.
                let difference = Operator::TimestampDiff(*self.random.pick(&Unit::ALL[2..]));
                Some(Expression::new(difference, vec![from, to], Type::Integer(32)))
            }
        }
    }
}
