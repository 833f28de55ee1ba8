//! Aggregations per window.
//!
//! Where the windows come from decides the shape:
//!
//! | input | lowered to |
//! |---|---|
//! | a window function, read by this aggregation alone | the aggregation assigns windows itself, in two phases if it can |
//! | the same, but with expressions over window columns and others mixed | an operator that assigns them, then as below |
//! | rows that carry their window (aggregated, joined or limited before) | an aggregation by the columns at hand, in two phases if it can |
//!
//! One whose results are shown while they change is lowered as one [without a window](super::group_aggregate), unless it is of sessions:
//! those it finds itself, whenever they are shown.

use arrow::datatypes::DataType;
use datafusion_expr::Aggregate;
use weir_core::{
    AggregateCall, Error, Exchange, Expr, OperatorSpec, Result, WindowAggregateSpec, WindowKind, WindowSource,
};

use super::call::{Call, call};
use super::expand::expand;
use super::grouping::Grouping;
use super::order::in_order;
use super::shape::{Shaped, Wanted, add, edges, node, settle, shape_base};
use super::stream::{Pending, PendingWindow, Role, Stream, StreamColumn, Typed, WindowPart, shifted, timestamp};
use super::updated_windows::never_final;
use super::window::WINDOW_COLUMNS;
use super::windowed::{CarriedWindow, determines, end_of, fixed_size, start_of, window_of};
use super::{Lowering, Phases};

/// How a key of the query comes out of the aggregation.
pub(super) enum KeyPlace {
    /// As key number so many.
    Key(usize),
    /// As a column of the window.
    Window(WindowPart),
}

/// Where an aggregation's windows come from, over the stream's base.
pub(super) enum Windows {
    Assign(PendingWindow),
    Attached { window: CarriedWindow, start: Expr, end: Expr },
}

impl Lowering<'_> {
    /// An aggregation.
    ///
    /// # Errors
    /// A user error if its groups are not bounded by a window.
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Stream> {
        let mut stream = self.relation(&aggregate.input)?;
        let emission = self.emission_of(&mut stream);
        let updated = emission.filter(|emission| emission.on_update || emission.lateness > 0);
        if let Some(emission) = updated {
            emission.check(&stream)?;
            if !stream.finds_sessions() {
                return self.updated_aggregate(aggregate, stream, emission);
            }
        }
        let schema = aggregate.input.schema();
        let stream = if self.assigns_itself(aggregate, &stream)? { stream } else { settle(&mut self.graph, stream)? };
        let grouping = Grouping::of(aggregate, schema, &stream)?;
        let calls = aggregate
            .aggr_expr
            .iter()
            .map(|expression| call(expression, schema, &stream))
            .collect::<Result<Vec<_>>>()?;
        let Some(windows) = windows(&stream, &grouping)? else {
            return match emission {
                None => self.group_aggregate(aggregate, stream, &grouping, calls, None),
                Some(_) => Err(never_final()),
            };
        };
        let places = key_places(&stream, &grouping, &windows)?;
        let (before, after): (Vec<Expr>, Vec<Expr>) =
            stream.predicates.iter().cloned().partition(|predicate| !stream.reads_pending(predicate));
        let mut wanted = Vec::new();
        for (index, (key, place)) in grouping.keys.iter().zip(&places).enumerate() {
            if matches!(place, KeyPlace::Key(place) if *place == wanted.len()) {
                wanted.push(key.clone().wanted(&format!("$key{index}"), &stream.columns));
            }
        }
        let keys = wanted.len();
        match &windows {
            Windows::Assign(window) => {
                let expression = Expr::Column(window.time);
                wanted.push(Typed { expression, data_type: timestamp() }.wanted("$time", &stream.columns));
            }
            Windows::Attached { start, end, .. } => {
                for (expression, name) in [(start, "$window_start"), (end, "$window_end")] {
                    let typed = Typed { expression: expression.clone(), data_type: timestamp() };
                    wanted.push(typed.wanted(name, &stream.columns));
                }
            }
        }
        let first_argument = wanted.len();
        for call in &calls {
            wanted.extend(call.inputs(&stream.columns));
        }
        let shaped = shape_base(&mut self.graph, &stream.base, &stream.columns, before, wanted)?;
        let key_positions = shaped.positions[..keys].to_vec();
        let (shaped, key_positions) = match &grouping.sets {
            None => (shaped, key_positions),
            Some(sets) => expand(&mut self.graph, shaped, key_positions, sets, &places, aggregate)?,
        };
        let placed = placed(calls, &shaped.positions[first_argument..], &shaped.columns);
        let source = match &windows {
            Windows::Assign(window) => WindowSource::Assign { window: window.kind, time: shaped.positions[keys] },
            Windows::Attached { .. } => {
                WindowSource::Attached { start: shaped.positions[keys], end: shaped.positions[keys + 1] }
            }
        };
        let spec = WindowAggregateSpec {
            window: source,
            keys: key_positions,
            aggregates: placed,
            partial_input: false,
            spread: None,
        };
        let (kind, processing) = match &windows {
            Windows::Assign(window) => (window.kind, window.processing),
            Windows::Attached { window, .. } => (window.kind, window.processing),
        };
        let Some(emission) = updated else {
            let aggregated = self.add_aggregation(spec, &shaped, kind, processing)?;
            return self.arrange(aggregate, aggregated, &places, keys, &grouping, &after, &stream);
        };
        let sessions = self.updating_sessions(spec, &shaped, emission)?;
        let sessions = self.arrange(aggregate, sessions, &places, keys, &grouping, &after, &stream)?;
        self.in_intervals(sessions, emission)
    }

    /// Whether the aggregation can assign the windows that are pending in its input. It cannot if something is
    /// computed from a window column before.
    fn assigns_itself(&self, aggregate: &Aggregate, stream: &Stream) -> Result<bool> {
        let Pending::Window(window) = &stream.pending else { return Ok(false) };
        let session = matches!(window.kind, WindowKind::Session { .. });
        let schema = aggregate.input.schema();
        let grouping = Grouping::of(aggregate, schema, stream)?;
        let calls = aggregate.aggr_expr.iter().map(|expression| call(expression, schema, stream));
        let mut mixed = false;
        for call in calls {
            mixed |= call?
                .inputs(&stream.columns_with_pending())
                .iter()
                .any(|input| stream.reads_pending(&input.expression));
        }
        let computed = |key: &Expr| !matches!(key, Expr::Column(_)) && stream.reads_pending(key);
        mixed |= grouping.keys.iter().any(|key| computed(&key.expression));
        let only_pending = |predicate: &Expr| {
            let mut only = true;
            predicate.visit_columns(&mut |column| only &= stream.is_pending(column));
            only
        };
        if !session {
            mixed |=
                stream.predicates.iter().any(|predicate| stream.reads_pending(predicate) && !only_pending(predicate));
            let reads_pending = |predicate: &Expr| stream.reads_pending(predicate);
            let (_, later) = in_order(stream.predicates.clone(), &stream.columns_with_pending(), reads_pending);
            return Ok(!mixed && later.iter().all(reads_pending));
        }
        if mixed {
            return Err(Error::user("window columns of a SESSION cannot be computed with before the aggregation")
                .with_help(
                    "aggregate in a subquery first, and compute with its window_start and window_end around it",
                ));
        }
        let is_key = |expression: &Expr| window.partition.contains(expression);
        // What reads a window waits for the session, where values that are one key are one: -0.0 and 0.0.
        let is_exact = |expression: &Expr| {
            matches!(expression, Expr::Column(column) if stream.columns.get(*column).is_none_or(|column| {
                !column.data_type.is_floating() && !column.data_type.is_nested()
            }))
        };
        let is_key_or_pending =
            |expression: &Expr| stream.reads_pending(expression) || (is_key(expression) && is_exact(expression));
        let is_allowed = |predicate: &Expr| match stream.reads_pending(predicate) {
            true => reads_only(predicate, &is_key_or_pending),
            false => reads_only(predicate, &is_key),
        };
        if !stream.predicates.iter().all(is_allowed) {
            return Err(Error::user("rows of a SESSION are filtered after their sessions are made").with_help(
                "filter first: `SESSION((SELECT * FROM t WHERE …), DESCRIPTOR(ts), …)` over a view or subquery",
            ));
        }
        let mut keys: Vec<&Expr> =
            grouping.keys.iter().map(|key| &key.expression).filter(|key| !stream.reads_pending(key)).collect();
        keys.dedup();
        let same = keys.iter().all(|key| is_key(key)) && window.partition.iter().all(|key| keys.contains(&key));
        if !same || grouping.sets.is_some() {
            return Err(Error::user("a SESSION has to be aggregated by just the keys that it is partitioned by")
                .with_help("name the same columns in `SESSION(TABLE t PARTITION BY …)` and in GROUP BY, next to window_start and window_end"));
        }
        Ok(true)
    }

    /// One operator, or two with an exchange between them. Their output has the layout that
    /// [`WindowAggregateSpec`] describes.
    fn add_aggregation(
        &mut self,
        spec: WindowAggregateSpec,
        shaped: &Shaped,
        kind: WindowKind,
        processing: bool,
    ) -> Result<Stream> {
        let key_columns: Vec<StreamColumn> =
            spec.keys.iter().map(|key| StreamColumn { role: Role::Plain, ..shaped.columns[*key].clone() }).collect();
        let mut columns = key_columns.clone();
        columns.extend(spec.aggregates.iter().map(|call| StreamColumn::plain(&call.name, call.data_type.clone())));
        let lineage = self.lineage();
        for (name, part) in WINDOW_COLUMNS.iter().zip([WindowPart::Start, WindowPart::End, WindowPart::Time]) {
            let role = Role::Window { part, kind, lineage, processing };
            columns.push(StreamColumn { name: (*name).to_owned(), data_type: timestamp(), role });
        }
        let partial_fields: Option<Vec<_>> = spec.aggregates.iter().map(AggregateCall::partial_fields).collect();
        let node = match (partial_fields, spec.second_phase()) {
            (Some(fields), Some(second)) if self.phases == Phases::Two => {
                let mut partial = key_columns;
                for field in fields.into_iter().flatten() {
                    partial.push(StreamColumn::plain(field.name(), field.data_type().clone()));
                }
                let panes: &[&str] = match spec.window {
                    WindowSource::Assign { .. } => &["pane_start"],
                    WindowSource::Attached { .. } => &["window_start", "window_end"],
                };
                partial.extend(panes.iter().map(|&name| StreamColumn::plain(name, timestamp())));
                partial.push(StreamColumn::plain("rows", DataType::Int64));
                let first = add(
                    &mut self.graph,
                    "PartialAggregate",
                    OperatorSpec::PartialAggregate(spec.clone()),
                    edges(&shaped.nodes, 0, Exchange::Forward),
                    &partial,
                )?;
                let inputs = edges(&[first], 0, Exchange::Hash(second.keys.clone()));
                add(&mut self.graph, "WindowAggregate", OperatorSpec::WindowAggregate(second), inputs, &columns)?
            }
            _ => {
                let inputs = edges(&shaped.nodes, 0, Exchange::Hash(spec.keys.clone()));
                let operator = OperatorSpec::WindowAggregate(spec);
                let spec = node(&self.graph, "WindowAggregate", operator, inputs, &columns)?;
                match self.phases {
                    Phases::OneForTwo => self.graph.add_in_one_phase(spec),
                    Phases::One | Phases::Two => self.graph.add(spec),
                }
            }
        };
        self.windowed.push(node);
        Ok(Stream::of_nodes(vec![node], columns))
    }

    /// The aggregation's columns in the order that the query has them, and the conditions on window columns that had to
    /// wait for it.
    #[allow(clippy::too_many_arguments, reason = "all that one aggregation knows about itself")]
    fn arrange(
        &mut self,
        aggregate: &Aggregate,
        aggregated: Stream,
        places: &[KeyPlace],
        keys: usize,
        grouping: &Grouping,
        after: &[Expr],
        input: &Stream,
    ) -> Result<Stream> {
        let sets = grouping.sets.is_some();
        let grouping_id = keys;
        let calls = aggregate.aggr_expr.len();
        let first_call = keys + usize::from(sets);
        let window = |part: WindowPart| {
            let offset = match part {
                WindowPart::Start => 0,
                WindowPart::End => 1,
                WindowPart::Time => 2,
            };
            Expr::Column(first_call + calls + offset)
        };
        let mut projection: Vec<Expr> = places
            .iter()
            .map(|place| match place {
                KeyPlace::Key(key) => Expr::Column(*key),
                KeyPlace::Window(part) => window(*part),
            })
            .collect();
        if sets {
            projection.push(Expr::Column(grouping_id));
        }
        projection.extend((0..calls).map(|call| Expr::Column(first_call + call)));
        let parts = [WindowPart::Start, WindowPart::End, WindowPart::Time];
        let base = input.columns.len();
        // Of other columns than the window's they read keys only.
        let key = |column: usize| {
            let keys = grouping.keys.iter().zip(places);
            let mut places = keys.filter(|(key, _)| key.expression == Expr::Column(column)).map(|(_, place)| place);
            places.find_map(|place| match place {
                KeyPlace::Key(key) => Some(Expr::Column(*key)),
                KeyPlace::Window(_) => None,
            })
        };
        let output = |column: usize| match column.checked_sub(base) {
            Some(part) => window(parts[part]),
            None => key(column).unwrap_or(Expr::Column(column)),
        };
        let predicates = after.iter().map(|predicate| predicate.replace_columns(&output)).collect();
        let fields = aggregate.schema.fields();
        if fields.len() != projection.len() {
            return Err(Error::internal("an aggregation has another number of columns than its plan"));
        }
        Ok(Stream {
            predicates,
            projection,
            names: fields.iter().map(|field| field.name().clone()).collect(),
            types: fields.iter().map(|field| field.data_type().clone()).collect(),
            ..aggregated
        })
    }
}

fn reads_only(predicate: &Expr, is_key: &dyn Fn(&Expr) -> bool) -> bool {
    let mut only = true;
    predicate.visit_columns(&mut |column| only &= is_key(&Expr::Column(column)));
    only
}

/// The calls over the columns that their inputs have become. No two have the same name.
pub(super) fn placed(calls: Vec<Call>, positions: &[usize], columns: &[StreamColumn]) -> Vec<AggregateCall> {
    let mut arguments = positions.iter().copied();
    let mut placed: Vec<AggregateCall> = Vec::with_capacity(calls.len());
    for call in calls {
        let mut call = call.placed(&mut arguments, columns);
        let same = placed.iter().filter(|other| other.name.starts_with(&call.name)).count();
        if same > 0 {
            call.name = format!("{}#{}", call.name, same + 1);
        }
        placed.push(call);
    }
    placed
}

/// Where the windows come from that bound the groups; `None` if nothing does.
///
/// # Errors
/// A user error if the query has a window, and its keys do not say which.
pub(super) fn windows(stream: &Stream, grouping: &Grouping) -> Result<Option<Windows>> {
    let keys: Vec<Expr> = grouping.keys.iter().map(|key| key.expression.clone()).collect();
    if let Pending::Window(window) = &stream.pending {
        let session = matches!(window.kind, WindowKind::Session { .. });
        let named = keys.iter().any(|key| match stream.role_of(key) {
            Role::Window { part, lineage, kind, .. } if lineage == window.lineage => session || determines(part, kind),
            _ => false,
        });
        return if named { Ok(Some(Windows::Assign(window.clone()))) } else { Err(unnamed(&keys, stream)) };
    }
    let Some(window) = window_of(&keys, &stream.columns) else {
        let names_a_part = keys.iter().any(|key| matches!(stream.role_of(key), Role::Window { .. }));
        return if names_a_part { Err(unnamed(&keys, stream)) } else { Ok(None) };
    };
    let end = end_of(&window, &stream.columns)?;
    let names_start = keys.iter().any(
        |key| matches!(stream.role_of(key), Role::Window { part: WindowPart::Start, lineage, .. } if lineage == window.lineage),
    );
    let start = match fixed_size(window.kind) {
        // Windows that end together may have begun apart, and are one group unless the keys say otherwise.
        None if !names_start => shifted(end.clone(), -1),
        _ => start_of(&window, &stream.columns)?,
    };
    Ok(Some(Windows::Attached { window, start, end }))
}

fn unnamed(keys: &[Expr], stream: &Stream) -> Error {
    if keys.iter().any(|key| matches!(stream.role_of(key), Role::Window { .. })) {
        return Error::user("window_start alone does not say which window a row is in: several windows start together")
            .with_help("name window_end in GROUP BY too");
    }
    Error::user("the aggregation does not say that it is one of each window").with_help(
        "name the window's columns: `GROUP BY window_start, window_end, …`; to aggregate over all that has come, read the table \
         without the window function",
    )
}

/// Which keys are columns of the window, and which have to be kept by the aggregation.
pub(super) fn key_places(stream: &Stream, grouping: &Grouping, windows: &Windows) -> Result<Vec<KeyPlace>> {
    let lineage = match windows {
        Windows::Assign(window) => window.lineage,
        Windows::Attached { window, .. } => window.lineage,
    };
    let mut next = 0;
    let mut places: Vec<KeyPlace> = Vec::new();
    let mut known: Vec<(&Expr, usize)> = Vec::new();
    for (index, key) in grouping.keys.iter().enumerate() {
        match stream.role_of(&key.expression) {
            Role::Window { part, lineage: other, .. } if other == lineage => {
                if let Some(sets) = &grouping.sets
                    && !sets.iter().all(|set| set[index])
                {
                    return Err(Error::user("a grouping set leaves the window out").with_help(
                        "write `GROUP BY window_start, window_end, GROUPING SETS (…)`: the window belongs to every set",
                    ));
                }
                places.push(KeyPlace::Window(part));
            }
            _ => {
                // The same expression twice is one key, unless grouping sets treat the two differently.
                let same = known.iter().find(|(expression, _)| **expression == key.expression);
                let place = match same {
                    Some((_, place)) if grouping.sets.is_none() => *place,
                    _ => {
                        next += 1;
                        next - 1
                    }
                };
                known.push((&key.expression, place));
                places.push(KeyPlace::Key(place));
            }
        }
    }
    Ok(places)
}

impl Call {
    /// The columns that the call reads.
    pub(super) fn inputs(&self, columns: &[StreamColumn]) -> Vec<Wanted> {
        self.typed_inputs().map(|input| input.clone().wanted("$argument", columns)).collect()
    }
}
