//! `ORDER BY` of a subquery in `FROM` that has no limit: it says nothing of a table. The plan of one without a name cannot be told from that of
//! the query around it, whose order it would be taken for.

use datafusion_sql::sqlparser::ast::{Query, TableFactor};

use crate::walk::{Change, Step, change};

/// Leaves it out.
pub(super) fn leave_out(query: &mut Query) {
    let _ = change(query, &mut Rewrite);
}

struct Rewrite;

impl Change for Rewrite {
    fn table_factor(&mut self, factor: &mut TableFactor) -> Step {
        if let TableFactor::Derived { subquery, alias: None, .. } = factor
            && subquery.limit_clause.is_none()
            && subquery.fetch.is_none()
        {
            subquery.order_by = None;
        }
        Step::Continue(())
    }
}
