//! Joins of all rows that there are. They need an equality, by which rows are spread and found.

use datafusion_expr::Join;
use weir_core::{Error, Expr, JoinSpec, JoinType, OperatorSpec, Result};

use super::input::{Input, residual};
use super::{Side, padded_sides};
use crate::lower::Lowering;
use crate::lower::stream::{Role, Stream};

impl Lowering<'_> {
    /// A join without a window and without time bounds.
    pub(super) fn regular_join(
        &mut self,
        join: &Join,
        join_type: JoinType,
        sides: (Side, Side),
        condition: Vec<Expr>,
    ) -> Result<Stream> {
        if sides.0.keys.is_empty() {
            return Err(without_equality(join_type, &condition));
        }
        let width = sides.0.stream.columns.len();
        let padded = padded_sides(join_type);
        let left = Input::of(&mut self.graph, sides.0, padded.0, None, &condition, 0)?;
        let right = Input::of(&mut self.graph, sides.1, padded.1, None, &condition, width)?;
        let on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        let residual = residual(condition, &left, &right);
        let operator = OperatorSpec::Join(JoinSpec { join_type, on: on.clone(), residual });
        // A row waits for partners without an end, so its time says nothing about when it comes out.
        let role = |role: Role, _| match role {
            Role::Plain | Role::Overruled => Role::Plain,
            Role::Joined | Role::Time { .. } | Role::Window { .. } => Role::Joined,
        };
        self.joined(join, join_type, operator, "Join", &on, (left, right), &role)
    }
}

fn without_equality(join_type: JoinType, condition: &[Expr]) -> Error {
    use JoinType::{LeftAnti, LeftSemi, RightAnti, RightSemi};
    let subquery = matches!(join_type, LeftSemi | LeftAnti | RightSemi | RightAnti);
    let (what, help) = match (subquery, condition.is_empty()) {
        (true, _) => (
            "EXISTS without an equality between the subquery and the query around it",
            "add one to the subquery's WHERE, as in `b.key = a.key`",
        ),
        (false, true) => ("a cross join", "add an equality, as in `JOIN b ON a.key = b.key`"),
        (false, false) => {
            ("a join without an equality", "add one to its condition, as in `ON a.key = b.key AND a.x < b.y`")
        }
    };
    Error::user(format!("{what} compares every row with every other, which is not supported yet")).with_help(help)
}
