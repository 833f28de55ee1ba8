//! Walks over a syntax tree.
//!
//! sqlparser has its walk compiled anew for each type of visitor. Here it is compiled twice, once to look at a tree and once to change
//! it, and calls its visitor through a pointer.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Query, Select, TableFactor, Visit, VisitMut, Visitor, VisitorMut};

/// Whether a walk goes on.
pub(crate) type Step = ControlFlow<()>;

/// Looks at the nodes of a tree, each before its parts.
#[allow(unused_variables, reason = "the names say what is passed")]
pub(crate) trait Look {
    fn query(&mut self, query: &Query) -> Step {
        Step::Continue(())
    }

    fn select(&mut self, select: &Select) -> Step {
        Step::Continue(())
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Step {
        Step::Continue(())
    }

    fn expression(&mut self, expression: &Expr) -> Step {
        Step::Continue(())
    }
}

/// Changes the nodes of a tree, each behind its parts unless its name says otherwise.
#[allow(unused_variables, reason = "the names say what is passed")]
pub(crate) trait Change {
    fn query_before_parts(&mut self, query: &mut Query) -> Step {
        Step::Continue(())
    }

    fn query(&mut self, query: &mut Query) -> Step {
        Step::Continue(())
    }

    fn select(&mut self, select: &mut Select) -> Step {
        Step::Continue(())
    }

    fn table_factor_before_parts(&mut self, factor: &mut TableFactor) -> Step {
        Step::Continue(())
    }

    fn table_factor(&mut self, factor: &mut TableFactor) -> Step {
        Step::Continue(())
    }

    fn expression(&mut self, expression: &mut Expr) -> Step {
        Step::Continue(())
    }
}

/// Has `look` see the whole tree, or as much as it wants.
pub(crate) fn look(tree: &impl Visit, look: &mut dyn Look) -> Step {
    tree.visit(&mut Pointer(look))
}

/// Has `change` change the whole tree, unless it stops before.
pub(crate) fn change(tree: &mut impl VisitMut, change: &mut dyn Change) -> Step {
    tree.visit(&mut Pointer(change))
}

/// Calls `see` with each expression of the tree, before its parts.
pub(crate) fn look_at_expressions(tree: &impl Visit, mut see: impl FnMut(&Expr) -> Step) -> Step {
    look(tree, &mut Expressions(&mut see as &mut dyn FnMut(&Expr) -> Step))
}

/// Calls `edit` with each expression of the tree, behind its parts.
pub(crate) fn change_expressions(tree: &mut impl VisitMut, mut edit: impl FnMut(&mut Expr) -> Step) -> Step {
    change(tree, &mut Expressions(&mut edit as &mut dyn FnMut(&mut Expr) -> Step))
}

struct Expressions<F>(F);

impl Look for Expressions<&mut dyn FnMut(&Expr) -> Step> {
    fn expression(&mut self, expression: &Expr) -> Step {
        self.0(expression)
    }
}

impl Change for Expressions<&mut dyn FnMut(&mut Expr) -> Step> {
    fn expression(&mut self, expression: &mut Expr) -> Step {
        self.0(expression)
    }
}

/// What sqlparser's walk is compiled for.
struct Pointer<'a, T: ?Sized>(&'a mut T);

impl Visitor for Pointer<'_, dyn Look + '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        self.0.query(query)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        self.0.select(select)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        self.0.table_factor(factor)
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> Step {
        self.0.expression(expression)
    }
}

impl VisitorMut for Pointer<'_, dyn Change + '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> Step {
        self.0.query_before_parts(query)
    }

    fn post_visit_query(&mut self, query: &mut Query) -> Step {
        self.0.query(query)
    }

    fn post_visit_select(&mut self, select: &mut Select) -> Step {
        self.0.select(select)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Step {
        self.0.table_factor_before_parts(factor)
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> Step {
        self.0.table_factor(factor)
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> Step {
        self.0.expression(expression)
    }
}
