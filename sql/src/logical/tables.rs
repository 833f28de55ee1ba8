//! Queries over the catalog's tables and views.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, Result, TableReference};
use datafusion_expr::planner::RelationPlanner;
use datafusion_expr::{AggregateUDF, Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::sqlparser::ast;
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;
use weir_core::TableSpec;
use weir_functions::Functions;

use super::capitals::Capitals;
use super::optimise::optimise;
use super::ranking;
use super::relations::WindowFunctions;
use super::shared_columns::Seen;
use crate::catalog::{Catalog, OperatorView, Relation, Table, View};
use crate::diagnostics::{Source, from_datafusion};
use crate::resolver::{Relations, Resolver};
use crate::statement::Span;

/// A table in a logical plan.
#[derive(Debug)]
pub(crate) struct ScannedTable {
    /// The table.
    pub table: Arc<Table>,
    /// The same as its connector reads it, all columns.
    pub spec: TableSpec,
}

impl TableSource for ScannedTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }
}

/// What an operator of a plugin makes, in a logical plan. What the operator reads is no part of that plan: no rule moves anything through an
/// operator that it does not know.
#[derive(Debug)]
pub(crate) struct OperatorRows(pub Arc<OperatorView>);

impl TableSource for OperatorRows {
    fn schema(&self) -> SchemaRef {
        self.0.columns.clone()
    }
}

/// A view in a logical plan: the plan takes its place.
struct PlannedView(LogicalPlan);

impl TableSource for PlannedView {
    fn schema(&self) -> SchemaRef {
        Arc::new(self.0.schema().as_arrow().clone())
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.0))
    }
}

/// Plans queries over a catalog.
pub(crate) struct Tables<'a> {
    source: Source<'a>,
    catalog: &'a Catalog,
    statement: Span,
    planners: Vec<Arc<dyn RelationPlanner>>,
    /// Where the relation stands that is being planned: DataFusion asks for tables by name alone.
    place: Arc<Mutex<ParserSpan>>,
    /// Columns of relations whose joins go by names, of the queries that are being planned, outermost first.
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Views that are being planned, outermost first, and the databases that their names are in.
    views: RefCell<Vec<(String, String)>>,
}

impl<'a> Tables<'a> {
    /// For one statement of the script.
    pub fn new(text: &'a str, catalog: &'a Catalog, statement: Span) -> Self {
        let place = Arc::new(Mutex::new(ParserSpan::empty()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        Self {
            source: Source::new(text),
            catalog,
            statement,
            planners: vec![Arc::new(WindowFunctions::new(text, place.clone(), seen.clone()))],
            place,
            seen,
            views: RefCell::new(Vec::new()),
        }
    }

    /// The plan of a query, optimised.
    ///
    /// # Errors
    /// A user error at its place in the script.
    pub fn query(&self, query: &ast::Query) -> weir_core::Result<LogicalPlan> {
        let mut query = query.clone();
        self.catalog.own_functions().write_out(&self.source, &mut query)?;
        super::group_by::check(&self.source, &query, self.catalog.functions())?;
        let plan = self.to_plan(&query).map_err(|error| self.error(error))?;
        super::misread::check(&self.source, self.statement, &plan)?;
        super::comparisons::check(&self.source, self.statement, &plan)?;
        let plan = super::subqueries::reworded(plan).map_err(|error| self.error(error))?;
        let mut options = ConfigOptions::default();
        // A subquery for a value becomes a join, also where it refers to nothing.
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        optimise(plan, &Arc::new(options)).map_err(|error| self.error(error))
    }

    /// DataFusion's error at its place in the script.
    fn error(&self, error: DataFusionError) -> weir_core::Error {
        from_datafusion(self.source.text(), self.statement, error)
    }

    fn to_plan(&self, query: &ast::Query) -> Result<LogicalPlan> {
        let resolver = Resolver::new(self);
        let planner = resolver.planner();
        let mut query = query.clone();
        super::hints::write_out(&mut query, &self.source, self.statement).map_err(travelling)?;
        let mut as_of =
            super::versions::write_out(&mut query, &self.source, (self.catalog, &self.database()), self.statement)
                .map_err(travelling)?;
        super::unnest_factor::make_lateral(&mut query);
        super::derived_order::leave_out(&mut query);
        super::grouping_sets::write_out(&mut query);
        super::group_id::number(&mut query);
        let mut capitals = Capitals::default();
        loop {
            super::duplicates::rename(&mut query, self.catalog.functions());
            let marked = super::shared_columns::marked(&query, &self.source).map_err(travelling)?;
            let (planned, seen) = match marked {
                Some((marked, relations)) => (marked, Seen::of(relations)),
                None => (query.clone(), Seen::default()),
            };
            self.seen.lock().map(|mut all| all.push(seen)).map_err(poisoned)?;
            let plan = planner.sql_statement_to_plan(ast::Statement::Query(Box::new(planned)));
            let seen = self.seen.lock().map_err(poisoned)?.pop();
            if let Some(complete) = seen.and_then(|mut seen| seen.complete()) {
                super::shared_columns::write_out(&mut query, &self.source, self.statement, complete)
                    .map_err(travelling)?;
                continue;
            }
            match plan {
                Ok(plan) => {
                    let plan = super::as_of::resolved(plan, &self.source, &mut as_of)?;
                    let plan = super::first_of_each::joined(super::lateral::unnests(plan)?)?;
                    return super::set_operations::counted(plan);
                }
                Err(error) if capitals.correct(&mut query, &error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The database of names that name none.
    fn database(&self) -> String {
        let views = self.views.borrow();
        views.last().map_or(self.catalog.databases().current(), |(_, database)| database).to_owned()
    }

    fn view(&self, view: &View) -> Result<Arc<dyn TableSource>> {
        if self.views.borrow().iter().any(|(name, _)| *name == view.name) {
            return Err(DataFusionError::External(Box::new(
                self.source
                    .error(view.span, format!("the view `{}` reads itself", view.name))
                    .with_help("give the view that it was before another name"),
            )));
        }
        self.views.borrow_mut().push((view.name.clone(), view.database.clone()));
        let mut query = view.query.clone();
        let plan = match self.catalog.own_functions().write_out(&self.source, &mut query) {
            Ok(()) => self.to_plan(&query),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        };
        self.views.borrow_mut().pop();
        // A Weir error comes through as it is: the planner takes any other for a table that is not there.
        let plan = plan.map_err(|error| DataFusionError::External(Box::new(self.error(error))))?;
        if view.columns.is_empty() {
            return Ok(Arc::new(PlannedView(plan)));
        }
        let fields = plan.schema().fields().len();
        if fields != view.columns.len() {
            return Err(DataFusionError::External(Box::new(self.source.error(
                view.span,
                format!("the view `{}` names {} columns, but its query has {fields}", view.name, view.columns.len()),
            ))));
        }
        let renamed: Vec<Expr> = plan
            .schema()
            .columns()
            .into_iter()
            .zip(&view.columns)
            .map(|(column, name)| Expr::Column(column).alias(name))
            .collect();
        Ok(Arc::new(PlannedView(LogicalPlanBuilder::from(plan).project(renamed)?.build()?)))
    }
}

/// An error of ours on its way through DataFusion.
fn travelling(error: weir_core::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn poisoned<T>(_: std::sync::PoisonError<T>) -> DataFusionError {
    DataFusionError::Internal("a planner has panicked".to_owned())
}

impl Relations for Tables<'_> {
    fn functions(&self) -> &Functions {
        self.catalog.functions()
    }

    fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        super::as_of::function(name).or_else(|| self.functions().scalar(name))
    }

    fn table(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let weir = |error: weir_core::Error| DataFusionError::External(Box::new(error));
        let place = self.place.lock().map_or(ParserSpan::empty(), |place| *place);
        let span = self.source.span(place).unwrap_or(self.statement);
        let parts: Vec<&str> = name.catalog().into_iter().chain(name.schema()).chain([name.table()]).collect();
        match self.catalog.resolve_hinted(&self.source, &self.database(), &parts.join("."), span).map_err(weir)? {
            Relation::View(view) => self.view(&view),
            Relation::Operator(view) => Ok(Arc::new(OperatorRows(view))),
            Relation::Table(table) => {
                let spec = table.source_spec(&self.source, span).map_err(weir)?;
                Ok(Arc::new(ScannedTable { table, spec }))
            }
        }
    }

    fn planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.planners
    }

    fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions().aggregate(name)
    }

    fn aggregate_names(&self) -> Vec<String> {
        self.functions().aggregate_names()
    }

    fn window(&self, name: &str) -> Option<Arc<WindowUDF>> {
        ranking::window_function(name)
    }

    fn window_names(&self) -> Vec<String> {
        ranking::names()
    }
}
