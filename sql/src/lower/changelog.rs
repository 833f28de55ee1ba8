//! What the rows of a node are to those before them: decided for each node as it is put into the graph, from its operator and
//! from what comes in. An operator that would have to know which rows are taken back, and does not, is refused here; the
//! operators say for themselves what they take when they are built.

use weir_core::connector::Role;
use weir_core::plugin::PluginInput;
use weir_core::{
    CalcSpec, ChangelogKind, Connector, ConnectorRegistry, Edge, Error, Expr, JobGraph, JoinSpec, JoinType,
    OperatorSpec, OutputPort, Result, TableSpec, UpsertRowsSpec,
};

use crate::diagnostics::one_of;

/// The kind of the rows that an operator makes of `inputs`.
///
/// # Errors
/// A user error if it cannot take them.
pub(super) fn output_of(
    graph: &JobGraph,
    name: &str,
    operator: &OperatorSpec,
    inputs: &[Edge],
) -> Result<ChangelogKind> {
    let ordinals = inputs.iter().map(|edge| edge.ordinal + 1).max().unwrap_or(0);
    let kinds: Vec<ChangelogKind> = (0..ordinals)
        .map(|ordinal| {
            let edges = inputs.iter().filter(|edge| edge.ordinal == ordinal);
            let kinds: Vec<&ChangelogKind> = edges.map(|edge| sent_over(graph, edge)).collect();
            ChangelogKind::union(kinds).ok_or_else(union_of_upserts)
        })
        .collect::<Result<_>>()?;
    made_of(operator, &kinds).ok_or_else(|| refused(name, &kinds))
}

/// Whether rows that come over these edges may be taken back.
pub(super) fn may_retract(graph: &JobGraph, inputs: &[Edge]) -> bool {
    inputs.iter().any(|edge| !sent_over(graph, edge).is_append())
}

fn sent_over<'a>(graph: &'a JobGraph, edge: &Edge) -> &'a ChangelogKind {
    match edge.port {
        OutputPort::Main => &graph.node(edge.from).spec.changelog,
        OutputPort::Late | OutputPort::Rejected | OutputPort::Side(_) => &ChangelogKind::Append,
    }
}

/// What comes out of what comes in, by ordinal; `None` if the operator cannot take it.
fn made_of(operator: &OperatorSpec, inputs: &[ChangelogKind]) -> Option<ChangelogKind> {
    let only_appended = || inputs.iter().all(ChangelogKind::is_append).then_some(ChangelogKind::Append);
    match operator {
        // Connectors read records, and each is a row of its own.
        OperatorSpec::Discover(_) | OperatorSpec::Source(_) => Some(ChangelogKind::Append),
        OperatorSpec::Calc(calc) => calculated(calc, inputs.first()?),
        // Each copy of a row has its key, and each element of its list: copies would replace each other.
        OperatorSpec::Expand(_) | OperatorSpec::Unnest(_) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            kind => Some(kind.clone()),
        },
        OperatorSpec::Clock => inputs.first().cloned(),
        // A row that is taken back would have to get the time again that it had when it was added.
        OperatorSpec::ProcessingTime => only_appended(),
        // Rows that come too late leave by another way, on which they are only added.
        OperatorSpec::WindowAssign(_) => only_appended(),
        // They emit each result once, when its window closes, and so never take one back.
        OperatorSpec::PartialAggregate(_)
        | OperatorSpec::WindowAggregate(_)
        | OperatorSpec::WindowTopN(_)
        | OperatorSpec::WindowJoin(_)
        | OperatorSpec::IntervalJoin(_) => only_appended(),
        // What follows from rows before one stays if they do.
        OperatorSpec::Over(_) | OperatorSpec::TemporalJoin(_) => only_appended(),
        OperatorSpec::LookupJoin(lookup) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            // What was found for a row is found for good.
            kind => Some(kind.clone()).filter(|kind| kind.is_append() || lookup.retracts),
        },
        OperatorSpec::Join(JoinSpec { join_type, .. }) => joined(*join_type, inputs),
        // A row may make a session longer that is shown, and one of several.
        OperatorSpec::UpdatingSessions(_) => only_appended().map(|_| ChangelogKind::Retract),
        OperatorSpec::GroupAggregate(spec) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            // A group that is there stays as it is.
            ChangelogKind::Append if spec.aggregates.is_empty() => Some(ChangelogKind::Append),
            ChangelogKind::Append | ChangelogKind::Retract => Some(ChangelogKind::Retract),
        },
        // A row that comes may change what others are.
        OperatorSpec::UpdatingOver(_) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            ChangelogKind::Append | ChangelogKind::Retract => Some(ChangelogKind::Retract),
        },
        // A row that comes may push another one out.
        OperatorSpec::TopN(top) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            // The first that come are the first ones for good.
            ChangelogKind::Append if top.order.is_empty() => Some(ChangelogKind::Append),
            ChangelogKind::Append | ChangelogKind::Retract => Some(ChangelogKind::Retract),
        },
        OperatorSpec::PacedRows(_) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            kind => Some(kind.clone()),
        },
        OperatorSpec::FinalRows | OperatorSpec::SortedRows(_) | OperatorSpec::ChangelogRows(_) => {
            match inputs.first()? {
                ChangelogKind::Upsert(_) => None,
                ChangelogKind::Append | ChangelogKind::Retract => Some(ChangelogKind::Append),
            }
        }
        // It says for each input what it takes.
        OperatorSpec::Plugin(plugin) => {
            let takes = |(input, kind): (&PluginInput, &ChangelogKind)| match kind {
                ChangelogKind::Append => true,
                ChangelogKind::Retract => input.takes_retractions,
                ChangelogKind::Upsert(_) => false,
            };
            plugin.inputs.iter().zip(inputs).all(takes).then(|| plugin.changelog.clone())
        }
        OperatorSpec::UpsertRows(UpsertRowsSpec { key, retracts }) => match inputs.first()? {
            ChangelogKind::Upsert(_) => None,
            ChangelogKind::Append | ChangelogKind::Retract if *retracts => Some(ChangelogKind::Retract),
            ChangelogKind::Append | ChangelogKind::Retract => Some(ChangelogKind::Upsert(key.clone())),
        },
        // Its connector is asked.
        OperatorSpec::Sink(_) => Some(inputs.first().cloned().unwrap_or_default()),
    }
}

/// A row that comes out stays if no partner can come or go that would take it back.
fn joined(join_type: JoinType, inputs: &[ChangelogKind]) -> Option<ChangelogKind> {
    let stays = matches!(join_type, JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi);
    match ChangelogKind::union(inputs)? {
        ChangelogKind::Upsert(_) => None,
        ChangelogKind::Append if stays => Some(ChangelogKind::Append),
        _ => Some(ChangelogKind::Retract),
    }
}

/// Row by row. A row that is replaced by key keeps its key, and is let through or not by its key alone: else it would have to
/// be said of a row that no longer passes that it is gone.
fn calculated(calc: &CalcSpec, input: &ChangelogKind) -> Option<ChangelogKind> {
    let ChangelogKind::Upsert(key) = input else { return Some(input.clone()) };
    let mut by_key_alone = true;
    calc.predicate
        .iter()
        .for_each(|predicate| predicate.visit_columns(&mut |column| by_key_alone &= key.contains(&column)));
    let place = |column: &usize| calc.projection.iter().position(|expression| *expression == Expr::Column(*column));
    let key: Option<Vec<usize>> = key.iter().map(place).collect();
    key.filter(|_| by_key_alone).map(ChangelogKind::Upsert)
}

/// Asks the connector of a table that is written.
///
/// # Errors
/// A user error if it cannot write such rows.
pub(super) fn check_sink(connectors: &dyn ConnectorRegistry, table: &TableSpec, kind: &ChangelogKind) -> Result<()> {
    let takes = |connector: &dyn Connector, kind: &ChangelogKind| {
        connector.supports(Role::Sink) && connector.takes(table, kind)
    };
    // Who opens the sink says so if there is no such connector.
    let Some(connector) = connectors.get(&table.connector) else { return Ok(()) };
    if takes(&*connector, kind) {
        return connector.check_stream(table, kind);
    }
    let others = connectors.names().into_iter().filter(|name| !name.starts_with('$'));
    let others: Vec<&str> =
        others.filter(|name| connectors.get(name).is_some_and(|other| takes(&*other, kind))).collect();
    let (name, connector) = (&table.name, &table.connector);
    let what = match kind {
        ChangelogKind::Append => "adds rows",
        ChangelogKind::Retract => "takes rows back when its results change",
        ChangelogKind::Upsert(_) => "replaces rows by key when its results change",
    };
    // What would write them if the table had a key.
    let keyed = TableSpec { primary_key: vec![0], ..table.clone() };
    let by_key = |other: &dyn Connector| {
        other.supports(Role::Sink)
            && other.takes(&keyed, &ChangelogKind::Upsert(vec![0]))
            && !other.takes(&keyed, &ChangelogKind::Retract)
    };
    let by_key =
        connectors.names().into_iter().filter(|name| connectors.get(name).is_some_and(|other| by_key(&*other)));
    let by_key: Vec<&str> = by_key.collect();
    let mut help =
        "bound the query by windows or time, so that its results do not change; such rows are written by ".to_owned();
    help.push_str(&one_of(&others));
    if !by_key.is_empty() {
        help.push_str(&format!(", and by {} into a table with a PRIMARY KEY", one_of(&by_key)));
    }
    let error =
        Error::user(format!("this query {what}, which table `{name}` cannot take: its connector is `{connector}`"));
    Err(if kind.is_append() { error } else { error.with_help(help) })
}

fn union_of_upserts() -> Error {
    Error::user("UNION ALL cannot put streams together in which rows replace each other by key: two of them may have the same key")
        .with_help("write each into a table of its own")
}

fn refused(name: &str, inputs: &[ChangelogKind]) -> Error {
    let upserts = inputs.iter().any(|kind| matches!(kind, ChangelogKind::Upsert(_)));
    let what = if upserts { "rows that replace each other by key" } else { "rows that may be taken back" };
    Error::user(format!("{name} would have to follow {what}, which is not supported yet")).with_help(
        "compute it from a stream to which rows are only added: a table, or results of windows that have closed",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use weir_core::{
        ExpandSpec, IntervalJoinSpec, JoinSpread, NodeId, NodeSpec, Ranking, UnnestSpec, WindowAggregateSpec,
        WindowAssignSpec, WindowJoinSpec, WindowKind, WindowSource, WindowTopNSpec,
    };

    use super::*;

    const WINDOW: WindowKind = WindowKind::Tumble { size: 1000, offset: 0 };

    fn calc(predicate: Option<usize>, projection: &[usize]) -> OperatorSpec {
        let projection = projection.iter().map(|column| Expr::Column(*column)).collect();
        OperatorSpec::Calc(CalcSpec { predicate: predicate.map(Expr::Column), projection })
    }

    fn upsert(key: &[usize]) -> ChangelogKind {
        ChangelogKind::Upsert(key.to_vec())
    }

    #[test]
    fn operators_without_state_hand_on_what_they_get() {
        let (append, retract) = (ChangelogKind::Append, ChangelogKind::Retract);
        let unnest = OperatorSpec::Unnest(UnnestSpec { columns: vec![0], keep_empty: false });
        let expand = OperatorSpec::Expand(ExpandSpec { projections: vec![vec![]] });
        for operator in [&calc(Some(1), &[0]), &unnest, &expand] {
            for kind in [&append, &retract] {
                assert_eq!(made_of(operator, std::slice::from_ref(kind)).as_ref(), Some(kind));
            }
        }
        assert_eq!(made_of(&unnest, &[upsert(&[0])]), None);
        assert_eq!(made_of(&expand, &[upsert(&[0])]), None);
    }

    #[test]
    fn a_calculation_keeps_keys_or_is_refused() {
        assert_eq!(made_of(&calc(None, &[2, 1, 0]), &[upsert(&[0, 2])]), Some(upsert(&[2, 0])));
        assert_eq!(made_of(&calc(Some(0), &[0]), &[upsert(&[0])]), Some(upsert(&[0])));
        assert_eq!(made_of(&calc(None, &[1]), &[upsert(&[0])]), None, "the key is gone");
        assert_eq!(made_of(&calc(Some(1), &[0, 1]), &[upsert(&[0])]), None, "a row may pass and its successor not");
    }

    #[test]
    fn operators_that_emit_when_a_window_closes_take_and_make_rows_that_stay() {
        let (append, retract) = (ChangelogKind::Append, ChangelogKind::Retract);
        let aggregate = WindowAggregateSpec {
            window: WindowSource::Assign { window: WINDOW, time: 0 },
            keys: Vec::new(),
            aggregates: Vec::new(),
            partial_input: false,
            spread: None,
        };
        let (on, join_type) = (vec![(0, 0)], JoinType::Inner);
        let top = WindowTopNSpec {
            window_end: 0,
            partition: vec![],
            order: vec![],
            limit: 1,
            with_rank: false,
            ranking: Ranking::RowNumber,
        };
        let interval = IntervalJoinSpec {
            join_type,
            on: on.clone(),
            time: (1, 1),
            lower: 0,
            upper: 0,
            residual: None,
            spread: JoinSpread::Keys,
        };
        let operators = [
            OperatorSpec::ProcessingTime,
            OperatorSpec::WindowAssign(WindowAssignSpec { window: WINDOW, time: 0, lateness: 0 }),
            OperatorSpec::PartialAggregate(aggregate.clone()),
            OperatorSpec::WindowAggregate(aggregate),
            OperatorSpec::WindowTopN(top),
            OperatorSpec::WindowJoin(WindowJoinSpec {
                join_type,
                on,
                window_end: (1, 1),
                residual: None,
                spread: JoinSpread::Keys,
            }),
            OperatorSpec::IntervalJoin(interval),
        ];
        for operator in &operators {
            let made = |left: &ChangelogKind, right: &ChangelogKind| made_of(operator, &[left.clone(), right.clone()]);
            assert_eq!(made(&append, &append), Some(ChangelogKind::Append));
            assert_eq!(made(&retract, &append), None);
            assert_eq!(made(&append, &retract), None);
            assert_eq!(made(&append, &upsert(&[0])), None);
        }
    }

    #[test]
    fn what_a_join_shows_stays_if_nothing_can_take_it_back() {
        use ChangelogKind::{Append, Retract};
        use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right, RightAnti, RightSemi};
        let made = |join_type, left: &ChangelogKind, right: &ChangelogKind| {
            let spec = JoinSpec {
                join_type,
                on: vec![(0, 0)],
                residual: None,
                time_to_live: (None, None),
                spread: JoinSpread::Keys,
            };
            made_of(&OperatorSpec::Join(spec), &[left.clone(), right.clone()])
        };
        for join_type in [Inner, LeftSemi, RightSemi] {
            assert_eq!(made(join_type, &Append, &Append), Some(Append));
        }
        for join_type in [Left, Right, Full, LeftAnti, RightAnti] {
            assert_eq!(made(join_type, &Append, &Append), Some(Retract));
        }
        for join_type in [Inner, Left, LeftSemi, RightAnti] {
            assert_eq!(made(join_type, &Append, &Retract), Some(Retract));
            assert_eq!(made(join_type, &Retract, &Append), Some(Retract));
            assert_eq!(made(join_type, &Append, &upsert(&[0])), None);
        }
    }

    #[test]
    fn inputs_of_one_ordinal_are_one_stream() {
        let mut graph = JobGraph::new();
        let schema = Arc::new(Schema::empty());
        let mut source = |number: usize, changelog| {
            let spec = NodeSpec::new("Calc", calc(None, &[number]), Vec::new(), schema.clone());
            graph.add(NodeSpec { changelog, ..spec })
        };
        let append = source(0, ChangelogKind::Append);
        let retract = source(1, ChangelogKind::Retract);
        let upserts = source(2, upsert(&[0]));
        let edge = |from: NodeId, port, ordinal| Edge { from, port, ordinal, exchange: weir_core::Exchange::Forward };
        let main = |from| edge(from, OutputPort::Main, 0);
        let of = |inputs: &[Edge]| output_of(&graph, "Calc", &calc(None, &[0]), inputs);
        assert_eq!(of(&[main(append), main(append)]).unwrap(), ChangelogKind::Append);
        assert_eq!(of(&[main(append), main(retract)]).unwrap(), ChangelogKind::Retract);
        assert_eq!(of(&[main(upserts)]).unwrap(), upsert(&[0]));
        assert!(of(&[main(upserts), main(append)]).unwrap_err().to_string().contains("UNION ALL"));
        assert_eq!(of(&[edge(retract, OutputPort::Late, 0)]).unwrap(), ChangelogKind::Append, "late rows are added");
        let join = OperatorSpec::WindowJoin(WindowJoinSpec {
            join_type: JoinType::Inner,
            on: Vec::new(),
            window_end: (0, 0),
            residual: None,
            spread: JoinSpread::Keys,
        });
        let inputs = [main(append), edge(retract, OutputPort::Main, 1)];
        let error = output_of(&graph, "WindowJoin", &join, &inputs).unwrap_err();
        assert!(
            error.to_string().starts_with("WindowJoin would have to follow rows that may be taken back"),
            "{error}"
        );
    }

    #[test]
    fn a_sink_that_cannot_take_the_rows_says_why_and_what_would() {
        let connectors = crate::catalog::tests::Fakes;
        let check = |connector: &str, kind: ChangelogKind| {
            let schema = Arc::new(Schema::empty());
            let table = TableSpec::new("totals", connector, Default::default(), schema);
            check_sink(&connectors, &table, &kind).map_err(|error| error.report())
        };
        for connector in ["files", "print"] {
            assert_eq!(check(connector, ChangelogKind::Append), Ok(()));
        }
        for kind in [ChangelogKind::Retract, upsert(&[0])] {
            assert_eq!(check("print", kind), Ok(()));
        }
        assert_eq!(
            check("files", ChangelogKind::Retract).unwrap_err(),
            "this query takes rows back when its results change, which table `totals` cannot take: its connector is \
             `files`\n  help: bound the query by windows or time, so that its results do not change; such rows are written by `print`"
        );
        assert!(check("files", upsert(&[0])).unwrap_err().starts_with("this query replaces rows by key"));
    }
}
