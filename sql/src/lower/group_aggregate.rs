//! Aggregations without windows, or of windows that are shown while they change: their results change with every row.

use arrow::datatypes::DataType;
use datafusion_expr::Aggregate;
use weir_core::{Error, Exchange, Expr, GroupAggregateSpec, OperatorSpec, Result, UpdatedWindow};

use super::Lowering;
use super::aggregate::{KeyPlace, placed};
use super::call::Call;
use super::changelog;
use super::expand::expand;
use super::grouping::Grouping;
use super::shape::{add, edges, shape};
use super::stream::{Role, Stream, StreamColumn, Typed, timestamp};
use super::updated_windows::{Updated, end_not_named};

impl Lowering<'_> {
    /// An aggregation over all that has come so far, of a stream that nothing is pending in.
    ///
    /// # Errors
    /// A user error if the stream replaces its rows by key.
    pub(super) fn group_aggregate(
        &mut self,
        aggregate: &Aggregate,
        stream: Stream,
        grouping: &Grouping,
        calls: Vec<Call>,
        updated: Option<Updated>,
    ) -> Result<Stream> {
        let places = places(grouping);
        // Without keys there is one group; a window is forgotten at its end.
        let is_kept = grouping.keys.is_empty() || updated.is_some();
        let time_to_live = if is_kept { None } else { self.length_of(stream.life) };
        let mut wanted = Vec::new();
        for (index, (key, place)) in grouping.keys.iter().zip(&places).enumerate() {
            if matches!(place, KeyPlace::Key(place) if *place == wanted.len()) {
                wanted.push(key.clone().wanted(&format!("$key{index}"), &stream.columns));
            }
        }
        // Which key the window's end is. One that the query does not name is a key behind the others.
        let mut end = None;
        if let Some(updated) = &updated {
            let named = grouping.keys.iter().zip(&places).find(|(key, _)| key.expression == updated.end);
            end = match named {
                Some((_, KeyPlace::Key(place))) => Some(*place),
                _ if grouping.sets.is_some() => return Err(end_not_named()),
                _ => {
                    let end = Typed { expression: updated.end.clone(), data_type: timestamp() };
                    wanted.push(end.wanted("$window_end", &stream.columns));
                    Some(wanted.len() - 1)
                }
            };
        }
        let first_argument = wanted.len();
        for call in &calls {
            wanted.extend(call.inputs(&stream.columns));
        }
        let shaped = shape(&mut self.graph, stream, wanted)?;
        let keys = shaped.positions[..first_argument].to_vec();
        let (shaped, keys) = match &grouping.sets {
            None => (shaped, keys),
            Some(sets) => expand(&mut self.graph, shaped, keys, sets, &places, aggregate)?,
        };
        let shaped = self.clocked(shaped, time_to_live.is_some())?;
        let aggregates = placed(calls, &shaped.positions[first_argument..], &shaped.columns);
        let mut columns: Vec<StreamColumn> =
            keys.iter().map(|key| StreamColumn { role: Role::Plain, ..shaped.columns[*key].clone() }).collect();
        columns.extend(aggregates.iter().map(|call| StreamColumn::plain(&call.name, call.data_type.clone())));
        let inputs = edges(&shaped.nodes, 0, Exchange::Hash(keys.clone()));
        let retracts = changelog::may_retract(&self.graph, &inputs);
        let (first_call, calls) = (keys.len(), aggregates.len());
        let window = updated.zip(end).map(|(Updated { emission, .. }, end)| UpdatedWindow {
            end: keys[end],
            lateness: emission.lateness,
            early: emission.on_update,
        });
        let spec = GroupAggregateSpec { keys, aggregates, retracts, time_to_live, window };
        let node = add(&mut self.graph, "GroupAggregate", OperatorSpec::GroupAggregate(spec), inputs, &columns)?;
        if window.is_some() {
            self.windowed.push(node);
        }
        let key = |place: &KeyPlace| match place {
            KeyPlace::Key(key) => Ok(Expr::Column(*key)),
            KeyPlace::Window(_) => Err(Error::internal("a key of an aggregation without windows is one of a window")),
        };
        let mut projection = places.iter().map(key).collect::<Result<Vec<_>>>()?;
        if grouping.sets.is_some() {
            projection.push(Expr::Column(first_call - 1));
        }
        projection.extend((first_call..first_call + calls).map(Expr::Column));
        let fields = aggregate.schema.fields();
        if fields.len() != projection.len() {
            return Err(Error::internal("an aggregation has another number of columns than its plan"));
        }
        let names = fields.iter().map(|field| field.name().clone()).collect();
        let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Stream { projection, names, types, ..Stream::of_nodes(vec![node], columns) })
    }
}

/// Which key of the aggregation each key of the query is: the same expression twice is one, unless grouping sets treat the two
/// differently.
fn places(grouping: &Grouping) -> Vec<KeyPlace> {
    let mut known: Vec<&Expr> = Vec::new();
    let mut places = Vec::new();
    for key in &grouping.keys {
        let same = known.iter().position(|other| **other == key.expression).filter(|_| grouping.sets.is_none());
        places.push(KeyPlace::Key(same.unwrap_or(known.len())));
        if same.is_none() {
            known.push(&key.expression);
        }
    }
    places
}
