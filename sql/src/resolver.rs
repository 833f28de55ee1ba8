//! What DataFusion's planner asks while it plans: functions, types, and the relations of whoever has it plan.
//!
//! The planner is compiled anew for each type that answers it, and it is large: so there is one such type, [`Resolver`].

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use weir_functions::Functions;

use crate::parse::FlinkTypes;
use crate::syntax::expr_planners;

/// What a query can read, and the functions over several rows that it can call.
pub(crate) trait Relations {
    /// The functions that a query can call. Those over several rows only if it can read some.
    fn functions(&self) -> &Functions;

    /// The function of that name that is computed row by row.
    fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions().scalar(name)
    }

    /// The relation of that name.
    ///
    /// # Errors
    /// If there is none.
    fn table(&self, name: TableReference) -> Result<Arc<dyn TableSource>>;

    /// What plans relations that are not names.
    fn planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &[]
    }

    /// The aggregate function of that name.
    fn aggregate(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    /// Names of all aggregate functions.
    fn aggregate_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The function with an `OVER` clause of that name.
    fn window(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    /// Names of all functions with an `OVER` clause.
    fn window_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// See the module's documentation.
pub(crate) struct Resolver<'a> {
    options: ConfigOptions,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    types: Arc<FlinkTypes>,
    relations: &'a dyn Relations,
}

impl<'a> Resolver<'a> {
    /// Over these relations.
    pub fn new(relations: &'a dyn Relations) -> Self {
        let mut options = ConfigOptions::default();
        // An ORDER BY in a subquery is refused like any other, so it has to be seen.
        options.sql_parser.enable_subquery_sort_elimination = false;
        Self { options, expr_planners: expr_planners(), types: Arc::new(FlinkTypes), relations }
    }

    /// The planner that asks it.
    pub fn planner(&self) -> SqlToRel<'_, Self> {
        let options = ParserOptions {
            enable_ident_normalization: false,
            collect_spans: true,
            // As in Flink, null is less than every value.
            default_null_ordering: NullOrdering::NullsMin,
            parse_float_as_decimal: true,
            ..ParserOptions::default()
        };
        SqlToRel::new_with_options(self, options)
    }
}

impl ContextProvider for Resolver<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        self.relations.table(name)
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.relations.planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(self.types.clone())
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.relations.scalar(name)
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.relations.aggregate(name)
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.relations.window(name)
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.relations.functions().scalar_names()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.relations.aggregate_names()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.relations.window_names()
    }
}
