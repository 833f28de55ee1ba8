//! Joins of all rows that there are. Rows are spread and found by the columns that have to be equal; where there are none, one subtask
//! compares all with all.

use datafusion_expr::Join;
use weir_core::{Error, Exchange, Expr, JoinSpec, JoinSpread, JoinType, OperatorSpec, Result};

use super::input::{Input, residual};
use super::{Side, padded_sides};
use crate::lower::shape::edges;
use crate::lower::stream::{Role, Stream};
use crate::lower::{Lowering, changelog};

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
        let small = self.small_side(join_type, &sides)?;
        let time_to_live = (self.length_of(sides.0.stream.life), self.length_of(sides.1.stream.life));
        let is_limited = time_to_live != (None, None);
        if small.is_some() && is_limited {
            return Err(refused(
                "a join whose rows have a time to live is spread by its keys",
                "leave BROADCAST out, or keep the rows of both sides for ever: `STATE_TTL('relation' = '0 s')`",
            ));
        }
        let padded = padded_sides(join_type);
        let mut left = Input::of(&mut self.graph, sides.0, padded.0, None, &condition, 0)?;
        let mut right = Input::of(&mut self.graph, sides.1, padded.1, None, &condition, width)?;
        left.shaped = self.clocked(left.shaped, is_limited)?;
        right.shaped = self.clocked(right.shaped, is_limited)?;
        let on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        let residual = residual(condition, &left, &right);
        let spread = small.map_or(JoinSpread::Keys, JoinSpread::Broadcast);
        if let Some(small) = small {
            let large = if small == 0 { &right } else { &left };
            if changelog::may_retract(&self.graph, &edges(&large.shaped.nodes, 0, Exchange::Rebalance)) {
                return Err(refused(
                    "rows of the other side may be taken back, and have to be found by their keys then",
                    "leave BROADCAST out, or name the side whose rows change",
                ));
            }
        }
        let operator = OperatorSpec::Join(JoinSpec { join_type, on: on.clone(), residual, time_to_live, spread });
        // A row waits for partners without an end, so its time says nothing about when it comes out.
        let role = |role: Role, _| match role {
            Role::Plain | Role::Overruled => Role::Plain,
            Role::Joined | Role::Time { .. } | Role::Window { .. } => Role::Joined,
        };
        self.joined(join, join_type, operator, "Join", &on, (left, right), &role)
    }

    /// The side that a hint wants in every subtask.
    ///
    /// # Errors
    /// A user error if both are to be, or if rows of it come out by themselves.
    fn small_side(&mut self, join_type: JoinType, sides: &(Side, Side)) -> Result<Option<usize>> {
        let (small, hint) = match (sides.0.stream.broadcast, sides.1.stream.broadcast) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(refused("one side of a join at most can be in every subtask", "name the smaller one"));
            }
            (Some(hint), None) => (0, hint),
            (None, Some(hint)) => (1, hint),
        };
        if join_type.tracks(small) {
            return Err(refused(
                "rows of that side come out by themselves where nothing matches them, so each is in one place",
                "name the other side, or leave BROADCAST out",
            ));
        }
        self.broadcasts[hint].1 = true;
        Ok(Some(small))
    }
}

fn refused(why: &str, help: &str) -> Error {
    Error::user(format!("BROADCAST cannot be obeyed here: {why}")).with_help(help)
}
