//! Joins of all rows that there are. Rows are spread and found by the columns that have to be equal; where there are none, one subtask
//! compares all with all.

use datafusion_expr::Join;
use weir_core::{Expr, JoinSpec, JoinType, OperatorSpec, Result};

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
        let width = sides.0.stream.columns.len();
        let time_to_live = (self.length_of(sides.0.stream.life), self.length_of(sides.1.stream.life));
        let is_limited = time_to_live != (None, None);
        let padded = padded_sides(join_type);
        let mut left = Input::of(&mut self.graph, sides.0, padded.0, None, &condition, 0)?;
        let mut right = Input::of(&mut self.graph, sides.1, padded.1, None, &condition, width)?;
        left.shaped = self.clocked(left.shaped, is_limited)?;
        right.shaped = self.clocked(right.shaped, is_limited)?;
        let on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        let residual = residual(condition, &left, &right);
        let operator = OperatorSpec::Join(JoinSpec { join_type, on: on.clone(), residual, time_to_live });
        // A row waits for partners without an end, so its time says nothing about when it comes out.
        let role = |role: Role, _| match role {
            Role::Plain | Role::Overruled => Role::Plain,
            Role::Joined | Role::Time { .. } | Role::Window { .. } => Role::Joined,
        };
        self.joined(join, join_type, operator, "Join", &on, (left, right), &role)
    }
}
