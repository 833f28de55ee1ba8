//! Tables and joins: of their modifiers sqlparser accepts those of every database.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, Spanned, TableAlias, TableFactor,
    TableFunctionArgs, TableVersion,
};
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;

use super::{Check, refuse, unless};
use crate::parse::window_function::WindowFunction;

pub(super) fn check_join(join: &Join) -> Check {
    let Join { relation, global, join_operator } = join;
    unless(*global, "GLOBAL JOIN is not supported", "leave GLOBAL out", &["GLOBAL"])?;
    let constraint = match join_operator {
        JoinOperator::CrossJoin(constraint) => {
            return unless(
                !matches!(constraint, JoinConstraint::None),
                "CROSS JOIN has no condition",
                "write JOIN … ON",
                &["CROSS", "JOIN"],
            );
        }
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => constraint,
        JoinOperator::Semi(_) => {
            return unless(true, "SEMI JOIN has to say of which side", "write LEFT SEMI JOIN", &["SEMI", "JOIN"]);
        }
        JoinOperator::Anti(_) => {
            return unless(true, "ANTI JOIN has to say of which side", "write LEFT ANTI JOIN", &["ANTI", "JOIN"]);
        }
        JoinOperator::CrossApply | JoinOperator::OuterApply => {
            return unless(
                true,
                "APPLY is not supported",
                "write `CROSS JOIN UNNEST(array)`",
                &["CROSS|OUTER", "APPLY"],
            );
        }
        JoinOperator::AsOf { match_condition: _, constraint } => constraint,
        JoinOperator::StraightJoin(_) => {
            return unless(true, "STRAIGHT_JOIN is not supported", "write JOIN", &["STRAIGHT_JOIN"]);
        }
        JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
            return unless(true, "ARRAY JOIN is not supported", "write `CROSS JOIN UNNEST(array)`", &["ARRAY", "JOIN"]);
        }
    };
    // sqlparser lets the condition away, and the planner would make it a cross join.
    let is_unnest = matches!(relation, TableFactor::UNNEST { .. });
    if matches!(constraint, JoinConstraint::None) && !is_unnest {
        return refuse(
            "this join has no condition",
            "write ON or USING behind it, or CROSS JOIN if every pair is meant",
            relation.span(),
            &["JOIN"],
        );
    }
    ControlFlow::Continue(())
}

pub(super) fn check_alias(alias: &TableAlias) -> Check {
    let TableAlias { explicit: _, name, columns, at } = alias;
    if at.is_some() || columns.iter().any(|column| column.data_type.is_some()) {
        return refuse(
            "types and AT in the alias of a table are not supported",
            "name the columns alone, as in `t (a, b)`",
            name.span,
            &[],
        );
    }
    ControlFlow::Continue(())
}

pub(super) fn check_table_factor(factor: &TableFactor) -> Check {
    match factor {
        TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            alias.iter().try_for_each(check_alias)?;
            let span = name.span();
            if name.0.len() > 3 || name.0.iter().any(|part| part.as_ident().is_none()) {
                return refuse(
                    "this name has too many parts",
                    "write `table`, `database.table` or `catalog.database.table`",
                    span,
                    &[],
                );
            }
            if !matches!(version, None | Some(TableVersion::ForSystemTimeAsOf(_))) {
                return refuse(
                    "this way to name a version of a table is not supported",
                    "write `FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k`",
                    span,
                    &["FOR"],
                );
            }
            if !with_hints.is_empty() || !index_hints.is_empty() {
                return refuse("hints are not supported yet", "options of a table stand in its own WITH", span, &[]);
            }
            if *with_ordinality || json_path.is_some() || !partitions.is_empty() || sample.is_some() {
                return refuse(
                    "this modifier of a table is not supported",
                    "leave out WITH ORDINALITY, PARTITION, TABLESAMPLE and paths behind a table's name",
                    span,
                    &[],
                );
            }
            match args {
                Some(args) => check_table_function(factor, args, span),
                None => ControlFlow::Continue(()),
            }
        }
        TableFactor::Derived { lateral: _, subquery: _, alias, sample } => {
            alias.iter().try_for_each(check_alias)?;
            unless(sample.is_some(), "TABLESAMPLE is not supported", "leave it out", &["TABLESAMPLE"])
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias: _, with_ordinality } => {
            alias.iter().try_for_each(check_alias)?;
            let span = array_exprs.first().map_or(ParserSpan::empty(), Spanned::span);
            if *with_offset {
                return refuse("WITH OFFSET is not supported", "write WITH ORDINALITY, which counts from 1", span, &[]);
            }
            if *with_ordinality && array_exprs.len() > 1 {
                return refuse("WITH ORDINALITY numbers the elements of one array", "UNNEST one array", span, &[]);
            }
            ControlFlow::Continue(())
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            alias.iter().try_for_each(check_alias)?;
            table_with_joins.joins.iter().try_for_each(check_join)
        }
        TableFactor::Function { name, .. } => refuse(
            "LATERAL functions are not supported",
            "an array becomes rows with `CROSS JOIN UNNEST(array)`",
            name.span(),
            &["LATERAL"],
        ),
        // Window functions in TABLE(…) are tables by now.
        TableFactor::TableFunction { expr, .. } => refuse(
            "this table function is not supported",
            "TUMBLE, HOP, CUMULATE, SESSION and UNNEST are",
            expr.span(),
            &["TABLE"],
        ),
        TableFactor::Pivot { .. } => unless(true, "PIVOT is not supported", "write aggregates with FILTER", &["PIVOT"]),
        TableFactor::Unpivot { .. } => unless(true, "UNPIVOT is not supported", "write UNION ALL", &["UNPIVOT"]),
        TableFactor::MatchRecognize { .. } => {
            unless(true, "MATCH_RECOGNIZE is not supported yet", "write a window join", &["MATCH_RECOGNIZE"])
        }
        TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => {
            unless(true, "JSON_TABLE is not supported", "read values with JSON_VALUE", &["JSON_TABLE|OPENJSON"])
        }
        TableFactor::XmlTable { .. } => unless(true, "XMLTABLE is not supported", "leave it out", &["XMLTABLE"]),
        TableFactor::SemanticView { .. } => unless(true, "SEMANTIC_VIEW is not supported", "leave it out", &[]),
    }
}

fn check_table_function(factor: &TableFactor, args: &TableFunctionArgs, span: ParserSpan) -> Check {
    let TableFunctionArgs { args, settings } = args;
    unless(settings.is_some(), "SETTINGS is not supported", "leave it out", &["SETTINGS"])?;
    if WindowFunction::of(factor).is_none() {
        return refuse(
            "this table function is not supported",
            "TUMBLE, HOP, CUMULATE, SESSION and UNNEST are",
            span,
            &[],
        );
    }
    for argument in args {
        let plain = matches!(
            argument,
            FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) | FunctionArg::Named { arg: FunctionArgExpr::Expr(_), .. }
        );
        if !plain {
            return refuse("this argument of a window function is not supported", "name the table", span, &[]);
        }
    }
    ControlFlow::Continue(())
}
