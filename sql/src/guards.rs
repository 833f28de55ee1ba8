//! What keeps an expression from being evaluated for rows that the query excludes, and from being simplified to what is not the same.
//!
//! `y <> 0 AND x / y >= 1` has to hold at whatever place DataFusion's rules put its parts, and DataFusion takes every
//! expression for one that cannot fail. So those that can are hidden from it while it
//! optimises, and what its rules get wrong where a value is null:
//!
//! | written | while DataFusion has the plan |
//! |---|---|
//! | `x + y` of whole numbers or DECIMALs | a function that checks ([`weir_functions::arithmetic`]), so that constants do not wrap either |
//! | `a AND b`, `a OR b`, where `b` can fail | `a AND $guarded(n, b)`: a function of its own for each place, which no rule takes apart or has in common with another |
//! | `SUM(x / y) FILTER (WHERE y <> 0)` | `SUM(CASE WHEN y <> 0 THEN x / y END) FILTER (…)`, as arguments are computed before the filter is looked at |
//! | `x IN (1, 10 / y)` | `x = 1 OR $guarded(n, x = 10 / y)` |
//! | `a IN (1, 2) AND b IN (3)`, and other lists that it would merge wrongly | `a IN (1, 2) AND $guarded(n, b IN (3))`, see [`lists`] |
//! | `a ^ b` | `a ^ $guarded(n, b)`, as it passes over nulls where `b` is `a` |
//! | `a ~ '.*'` | `a IS NOT NULL OR NULL`, as it forgets the null |
//! | `CAST(d AS BIGINT)` of a DECIMAL, and other casts that lose digits | `$as_it_is(CAST(d AS BIGINT))`, as DataFusion would cast what it is compared with instead |
//! | a `CASE` of conditions with several `WHEN`s | one `CASE` in the other: DataFusion makes `AND` and `OR` of it, with the second condition before the negation of the first |
//!
//! Lowering takes the functions away again, and the operators evaluate what can fail behind what cannot, for the rows that
//! are left.

mod expression;
mod failure;
mod lists;
mod lossy;
mod marker;

pub(crate) use expression::guarded;
pub(crate) use failure::can_fail;
pub(crate) use lists::Position;
pub(crate) use lossy::revealed;
pub(crate) use marker::{Marker, conjuncts, mark, marked};
