//! DECIMAL among other numbers, exactly. DataFusion would make a DECIMAL(30, 15) of a DOUBLE that meets a DECIMAL, which
//! moves its digits or overflows. What is compared, and what comes to stand in one column, gets its type here instead,
//! before DataFusion looks at it:
//!
//! | what meets | comes to |
//! |---|---|
//! | DECIMAL and integers | the DECIMAL that has room for all of them |
//! | DECIMAL and DOUBLE or FLOAT | DOUBLE |
//!
//! Times and ROWs that meet get their type here too ([`super::times`], [`super::rows`]).
//!
//! A DECIMAL has no more than 38 digits. A comparison may take more, as nobody sees the type that it is made in; a value
//! may not, and is refused.

mod common_type;

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::{InList, InSubquery, ScalarFunction};
use datafusion_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion_expr::expr_schema::cast_subquery;
use datafusion_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, Join, LogicalPlan, Operator, Union, binary_expr, cast,
};
use datafusion_optimizer::AnalyzerRule;
use datafusion_optimizer::analyzer::type_coercion::coerce_union_schema;

use weir_functions::arithmetic::is_exact;

use self::common_type::{Meeting, Part, common_type};
use super::{arithmetic, rows, running_sums, sums, texts, times};
use crate::rewrite;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ExactDecimals;

impl AnalyzerRule for ExactDecimals {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::nodes_of_plan(plan, &|node| {
            let plan = match rewrite::expressions_of_node(node, exact_decimals)? {
                LogicalPlan::Join(join) => LogicalPlan::Join(join_keys(join)?),
                LogicalPlan::Union(union) => LogicalPlan::Union(branches(union)?),
                LogicalPlan::Aggregate(aggregate) => sums::typed(aggregate)?,
                LogicalPlan::Window(window) => running_sums::typed(window)?,
                other => other,
            };
            plan.recompute_schema()
        })
    }

    fn name(&self) -> &str {
        "exact_decimals"
    }
}

/// The expression over columns of `schema`, with types that are exact wherever a DECIMAL meets other numbers.
///
/// # Errors
/// A user error where no type has room for all values.
pub(crate) fn exact_decimals(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| meeting(expr, schema).map(Transformed::yes)).data()
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn meeting(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if is_comparison(op) => {
            // Columns that are equal may become the key of a join, which is a column.
            let written = [&left, &right].into_iter().any(|part| matches!(**part, Expr::Literal(..)));
            let is_key = matches!(op, Operator::Eq | Operator::IsNotDistinctFrom) && !written;
            let meeting = if is_key { Meeting::Key } else { Meeting::Comparison };
            align(&mut [&mut left, &mut right], schema, meeting)?;
            Expr::BinaryExpr(BinaryExpr { left, op, right })
        }
        Expr::BinaryExpr(BinaryExpr { mut left, op: Operator::Minus, mut right }) => {
            align_others(&mut [&mut left, &mut right], schema, Meeting::Values)?;
            times::moved(&mut left, &right, schema)?;
            arithmetic::exact(left, Operator::Minus, right, schema)?
        }
        Expr::BinaryExpr(BinaryExpr { mut left, op: Operator::Plus, mut right }) => {
            times::moved(&mut left, &right, schema)?;
            times::moved(&mut right, &left, schema)?;
            let data_type = |expr: &Expr| expr.get_type(schema).unwrap_or(DataType::Null);
            times::refuse_sum(&data_type(&left), &data_type(&right))?;
            arithmetic::exact(left, Operator::Plus, right, schema)?
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if arithmetic::is_arithmetic(op) => {
            arithmetic::exact(left, op, right, schema)?
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            align(&mut [&mut expr, &mut low, &mut high], schema, Meeting::Comparison)?;
            Expr::Between(Between { expr, negated, low, high })
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let mut parts: Vec<&mut Expr> = vec![&mut *expr];
            parts.extend(&mut list);
            align(&mut parts, schema, Meeting::Comparison)?;
            Expr::InList(InList { expr, list, negated })
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let column = subquery.subquery.schema().field(0).data_type().clone();
            let parts = [Part::of(&expr, schema), Part::Values(column.clone())];
            let times = [times::Part::of(&expr, schema), times::Part::values(column)];
            let (expr, common) = match common_type(&parts, Meeting::Key)? {
                Some(common) => (parts[0].converted(*expr, &common, schema)?, common),
                None => match times::common_type(&times, true) {
                    Some(common) => (expr.cast_to(&common, schema)?, common),
                    None => return Ok(Expr::InSubquery(InSubquery { expr, subquery, negated })),
                },
            };
            let subquery = cast_subquery(subquery, &common)?;
            Expr::InSubquery(InSubquery::new(Box::new(expr), subquery, negated))
        }
        Expr::Case(Case { expr: mut operand, mut when_then_expr, mut else_expr }) => {
            if let Some(operand) = &mut operand {
                let mut parts: Vec<&mut Expr> = vec![&mut **operand];
                parts.extend(when_then_expr.iter_mut().map(|(when, _)| &mut **when));
                align(&mut parts, schema, Meeting::Comparison)?;
            }
            let mut parts: Vec<&mut Expr> = when_then_expr.iter_mut().map(|(_, then)| &mut **then).collect();
            parts.extend(else_expr.as_deref_mut());
            align(&mut parts, schema, Meeting::Values)?;
            Expr::Case(Case { expr: operand, when_then_expr, else_expr })
        }
        Expr::ScalarFunction(call) => function(call, schema)?,
        other => other,
    })
}

/// Functions that compare their arguments, or that return one of them.
fn function(ScalarFunction { func, mut args }: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let is_own = |arg: &Expr| {
        let own = |data_type: &DataType| {
            matches!(data_type, DataType::Decimal128(..) | DataType::Timestamp(..) | DataType::Struct(_))
        };
        arg.get_type(schema).is_ok_and(|data_type| own(&data_type))
    };
    let is_number = |value: &Expr| value.get_type(schema).is_ok_and(|data_type| data_type.is_numeric());
    let differ = |value: &Expr, other: &Expr| {
        let types = [value.get_type(schema), other.get_type(schema)];
        matches!(types, [Ok(value), Ok(other)] if value != other) && (is_number(value) || is_number(other))
    };
    match (func.name(), &mut args[..]) {
        ("coalesce" | "greatest" | "least" | "make_array", args) => {
            texts::as_numbers(&mut args.iter_mut().collect::<Vec<_>>(), schema);
            align(&mut args.iter_mut().collect::<Vec<_>>(), schema, Meeting::Values)?;
        }
        (name, [array, element, ..]) if COMPARE_WITH_ELEMENTS.contains(&name) => {
            element_of(array, element, schema)?;
        }
        // DataFusion's returns the type that it compares in.
        ("nullif", [value, other]) if is_own(value) || is_own(other) || differ(value, other) => {
            let null = Expr::Literal(ScalarValue::try_from(value.get_type(schema)?)?, None);
            let equal = meeting(binary_expr(value.clone(), Operator::Eq, other.clone()), schema)?;
            return Ok(choice(equal, null, value.clone()));
        }
        // DataFusion's gives the tested argument the type of the others.
        ("nvl2", [tested, value, other]) if [&*tested, value, other].into_iter().any(is_own) => {
            return meeting(choice(tested.clone().is_not_null(), value.clone(), other.clone()), schema);
        }
        _ => {}
    }
    Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
}

/// Functions of an array and a value that may be an element of it.
const COMPARE_WITH_ELEMENTS: [&str; 5] =
    ["array_contains", "array_has", "array_position", "array_positions", "array_remove"];

/// Gives the elements of an array and a value that is compared with them one type, if there is a DECIMAL among them.
fn element_of(array: &mut Expr, element: &mut Expr, schema: &DFSchema) -> Result<()> {
    let Ok(DataType::List(item)) = array.get_type(schema) else { return Ok(()) };
    let parts = [Part::Values(item.data_type().clone()), Part::of(element, schema)];
    let Some(common) = common_type(&parts, Meeting::Key)? else { return Ok(()) };
    *element = parts[1].converted(std::mem::take(element), &common, schema)?;
    if *item.data_type() != common {
        let item = item.as_ref().clone().with_data_type(common);
        *array = cast(std::mem::take(array), DataType::List(Arc::new(item)));
    }
    Ok(())
}

fn choice(when: Expr, then: Expr, otherwise: Expr) -> Expr {
    let branches = vec![(Box::new(when), Box::new(then))];
    Expr::Case(Case { expr: None, when_then_expr: branches, else_expr: Some(Box::new(otherwise)) })
}

/// Gives expressions that meet one type, if there is a DECIMAL among them.
fn align(expressions: &mut [&mut Expr], schema: &DFSchema, meeting: Meeting) -> Result<()> {
    if meeting != Meeting::Values {
        texts::as_numbers(expressions, schema);
        texts_as_decimals(expressions, schema);
        for expr in expressions.iter_mut() {
            **expr = arithmetic::without_narrowing(std::mem::take(*expr), schema);
        }
    }
    let parts: Vec<Part> = expressions.iter().map(|expr| Part::of(expr, schema)).collect();
    let Some(common) = common_type(&parts, meeting)? else { return align_others(expressions, schema, meeting) };
    for (expr, part) in expressions.iter_mut().zip(&parts) {
        **expr = part.converted(std::mem::take(*expr), &common, schema)?;
    }
    Ok(())
}

/// Text of a column beside exact numbers is compared as a number with all its decimals: a cast to a whole number would cut them off.
fn texts_as_decimals(expressions: &mut [&mut Expr], schema: &DFSchema) {
    let types: Vec<DataType> = expressions.iter().map(|expr| expr.get_type(schema).unwrap_or(DataType::Null)).collect();
    if !types.iter().any(is_exact) || !types.iter().all(|data_type| is_exact(data_type) || data_type.is_string()) {
        return;
    }
    for (expr, _) in expressions.iter_mut().zip(types).filter(|(_, data_type)| data_type.is_string()) {
        // As many digits before the point as a BIGINT has.
        **expr = cast(std::mem::take(*expr), DataType::Decimal128(DECIMAL128_MAX_PRECISION, 18));
    }
}

/// The same, if there is a timestamp or a ROW among them.
fn align_others(expressions: &mut [&mut Expr], schema: &DFSchema, meeting: Meeting) -> Result<()> {
    let compared = meeting != Meeting::Values;
    let parts: Vec<times::Part> = expressions.iter().map(|expr| times::Part::of(expr, schema)).collect();
    let types = || expressions.iter().map(|expr| expr.get_type(schema).unwrap_or(DataType::Null)).collect::<Vec<_>>();
    let common = times::common_type(&parts, compared).or_else(|| rows::common_type(&types(), compared));
    let Some(common) = common else { return Ok(()) };
    for expr in expressions.iter_mut() {
        // DataFusion would ask whether it can make this cast; it is Weir that does.
        if expr.get_type(schema)? != common {
            **expr = cast(std::mem::take(*expr), common.clone());
        }
    }
    Ok(())
}

/// `USING` and such compare columns of two inputs without an expression.
fn join_keys(mut join: Join) -> Result<Join> {
    for (left, right) in &mut join.on {
        let schemas = [join.left.schema(), join.right.schema()];
        let parts = [Part::of(left, schemas[0]), Part::of(right, schemas[1])];
        let Some(common) = common_type(&parts, Meeting::Key)? else {
            let times = [times::Part::of(left, schemas[0]), times::Part::of(right, schemas[1])];
            if let Some(common) = times::common_type(&times, true) {
                *left = std::mem::take(left).cast_to(&common, schemas[0])?;
                *right = std::mem::take(right).cast_to(&common, schemas[1])?;
            }
            continue;
        };
        *left = parts[0].converted(std::mem::take(left), &common, schemas[0])?;
        *right = parts[1].converted(std::mem::take(right), &common, schemas[1])?;
    }
    Ok(join)
}

fn branches(Union { inputs, schema }: Union) -> Result<Union> {
    let mut fields = Vec::new();
    for (index, (qualifier, field)) in schema.iter().enumerate() {
        let parts: Vec<Part> =
            inputs.iter().map(|input| Part::Values(input.schema().field(index).data_type().clone())).collect();
        let own = |input: &Arc<LogicalPlan>| times::Part::values(input.schema().field(index).data_type().clone());
        let common = common_type(&parts, Meeting::Values)?
            .or_else(|| times::common_type(&inputs.iter().map(own).collect::<Vec<_>>(), false));
        fields.push((qualifier.cloned(), common.map(|common| field.as_ref().clone().with_data_type(common))));
    }
    if fields.iter().all(|(_, field)| field.is_none()) {
        return Ok(Union { inputs, schema });
    }
    let branch = |input: Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let own = input.schema().fields().iter();
        let target = fields.iter().zip(own).map(|((qualifier, common), own)| {
            (qualifier.clone(), common.clone().map_or_else(|| own.clone(), Arc::new))
        });
        let target = DFSchema::new_with_metadata(target.collect(), schema.metadata().clone())?;
        coerce_plan_expr_for_schema(Arc::unwrap_or_clone(input), &target).map(Arc::new)
    };
    let inputs: Vec<_> = inputs.into_iter().map(branch).collect::<Result<_>>()?;
    let schema = Arc::new(coerce_union_schema(&inputs)?);
    Ok(Union { inputs, schema })
}
