//! The functions that a job calls.

use std::collections::BTreeSet;

use super::{CalcSpec, JobGraph, OperatorSpec, SourceSpec};
use crate::plugin::PluginFunction;
use crate::{AggregateCall, AggregateFunction, Expr};

impl JobGraph {
    /// The functions of plugins that it calls.
    pub fn functions(&self) -> &[PluginFunction] {
        &self.functions
    }

    /// Those of `known` that its expressions call become [its functions](Self::functions).
    pub fn bind_functions<'a>(&mut self, known: impl IntoIterator<Item = &'a PluginFunction>) {
        let mut called = BTreeSet::new();
        for node in &self.nodes {
            node.spec.operator.visit_expressions(&mut |expression| {
                expression.visit_functions(&mut |name| {
                    called.insert(name.to_owned());
                });
            });
            called.extend(node.spec.operator.aggregates().iter().filter_map(|call| match &call.function {
                AggregateFunction::Other(name) => Some(name.clone()),
                _ => None,
            }));
        }
        self.functions = known.into_iter().filter(|function| called.contains(&function.name)).cloned().collect();
    }
}

impl OperatorSpec {
    /// The aggregates that it computes by itself.
    fn aggregates(&self) -> &[AggregateCall] {
        match self {
            OperatorSpec::PartialAggregate(spec) | OperatorSpec::WindowAggregate(spec) => &spec.aggregates,
            OperatorSpec::GroupAggregate(spec) => &spec.aggregates,
            OperatorSpec::UpdatingSessions(spec) => &spec.aggregates,
            _ => &[],
        }
    }

    /// Calls `visit` with every expression that is computed.
    fn visit_expressions(&self, visit: &mut dyn FnMut(&Expr)) {
        match self {
            OperatorSpec::Source(spec) => source(spec, visit),
            OperatorSpec::Calc(spec) => calc(spec, visit),
            OperatorSpec::Expand(spec) => spec.projections.iter().flatten().for_each(visit),
            OperatorSpec::WindowJoin(spec) => spec.residual.iter().for_each(visit),
            OperatorSpec::IntervalJoin(spec) => spec.residual.iter().for_each(visit),
            OperatorSpec::Join(spec) => spec.residual.iter().for_each(visit),
            OperatorSpec::TemporalJoin(spec) => spec.residual.iter().for_each(visit),
            OperatorSpec::LookupJoin(spec) => {
                source(&spec.source, visit);
                spec.calcs.iter().for_each(|spec| calc(spec, visit));
                spec.residual.iter().for_each(visit);
            }
            OperatorSpec::Discover(_)
            | OperatorSpec::Unnest(_)
            | OperatorSpec::ProcessingTime
            | OperatorSpec::Clock
            | OperatorSpec::WindowAssign(_)
            | OperatorSpec::PartialAggregate(_)
            | OperatorSpec::WindowAggregate(_)
            | OperatorSpec::WindowTopN(_)
            | OperatorSpec::GroupAggregate(_)
            | OperatorSpec::UpdatingSessions(_)
            | OperatorSpec::TopN(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::UpdatingOver(_)
            | OperatorSpec::FinalRows
            | OperatorSpec::SortedRows(_)
            | OperatorSpec::UpsertRows(_)
            | OperatorSpec::PacedRows(_)
            | OperatorSpec::ChangelogRows(_)
            | OperatorSpec::Plugin(_)
            | OperatorSpec::Sink(_) => {}
        }
    }
}

fn source(spec: &SourceSpec, visit: &mut dyn FnMut(&Expr)) {
    spec.projection.iter().flatten().chain(&spec.filter).for_each(&mut *visit);
    spec.watermark.iter().for_each(|watermark| visit(&watermark.expression));
}

fn calc(spec: &CalcSpec, visit: &mut dyn FnMut(&Expr)) {
    spec.predicate.iter().chain(&spec.projection).for_each(visit);
}
