//! Which of DataFusion's rules run, and why the others do not. A rule runs if its result means the same on a stream,
//! and if lowering gains from it.
//!
//! Left out, with the reason:
//!
//! | rule | reason |
//! |---|---|
//! | `SingleDistinctToGroupBy` | splits one windowed aggregation into two, the first of which keeps every value for longer |
//! | `EliminateJoin`, `PropagateEmptyRelation`, `EliminateFilter` | make relations without a source; a condition that is never true is a filter like any other |
//! | `PushDownLimit`, `EliminateLimit` | a limit is a Top-N of its own, and stays where it is written |
//! | `OptimizeUnions`, `UnionsToFilter` | several edges into one input cost nothing |
//! | `PushDownFilter` | sorts conditions by cost and copies them to other rows; [`super::push_down`] does not |
//! | `FilterNullJoinKeys` | joins pass over null keys by themselves |
//! | `EliminateGroupByConstant` | window columns must not vanish from GROUP BY |
//! | `ExtractLeafExpressions`, `PushDownLeafProjections` | serve readers that take struct fields apart, which ours do not |
//! | `RewriteSetComparison` | `= ANY (SELECT …)` becomes a join that is refused under another name |

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::LogicalPlan;
use datafusion_optimizer::analyzer::Analyzer;
use datafusion_optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion_optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion_optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion_optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion_optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{Optimizer, OptimizerContext};

use super::cross_join::JoinsOfCrossJoins;
use super::frame_bounds::ExactFrameBounds;
use super::guard::{guarded_expressions, marked_conditions};
use super::marks::MarksOfTwoJoins;
use super::one_row::JoinsWithOneRow;
use super::push_down::PushDownConditions;
use super::ranking::RowNumbersWithoutFrame;
use crate::coercion::{ComparableConstants, Conversions, ExactDecimals, OwnTerms, SignedNumbers, StringsAsViews};
use crate::guards::Marker;

/// Coerces types, guards what can fail, then rewrites the plan until nothing changes any more. No rule sees a clock.
pub(super) fn optimise(plan: LogicalPlan, options: &Arc<ConfigOptions>) -> Result<LogicalPlan> {
    let analyzer = Analyzer::with_rules(vec![
        Arc::new(OwnTerms),
        Arc::new(ResolveGroupingFunction::new()),
        Arc::new(RowNumbersWithoutFrame),
        Arc::new(SignedNumbers),
        Arc::new(ExactDecimals),
        Arc::new(ExactFrameBounds),
        Arc::new(TypeCoercion::new()),
        Arc::new(StringsAsViews),
        // What reads a column whose type has just become another is coerced once more.
        Arc::new(TypeCoercion::new()),
        Arc::new(Conversions),
    ]);
    let context = OptimizerContext::new_with_config_options(Arc::clone(options)).without_query_execution_start_time();
    let plan = analyzer.execute_and_check(plan, options, |_, _| {})?;
    let marker = Marker::default();
    let plan = guarded_expressions(plan, &marker)?;
    let constants = Optimizer::with_rules(vec![Arc::new(ComparableConstants), Arc::new(SimplifyExpressions::new())]);
    let plan = constants.optimize(plan, &context, |_, _| {})?;
    let plan = marked_conditions(plan, &marker)?;
    let optimizer = Optimizer::with_rules(vec![
        Arc::new(ComparableConstants),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(MarksOfTwoJoins),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(JoinsWithOneRow),
        Arc::new(DecorrelateLateralJoin::new()),
        Arc::new(ExtractEquijoinPredicate::new()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(JoinsOfCrossJoins::default()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(PushDownConditions),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]);
    optimizer.optimize(plan, &context, |_, _| {})
}
