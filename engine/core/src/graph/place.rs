//! Where an operator stands in its job. A uid says that an operator is the same as before, and says nothing of one that is not; its
//! place does: an edited query has operators in the places of those that it had before.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Edge, JobGraph, OperatorSpec, OutputPort, identity};
use crate::{NodeId, OperatorUid};

/// The way to an operator from the target of its statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorPlace {
    /// Table that the statement writes. Of an operator that several statements share, the first one's by name.
    pub target: String,
    /// Operators with state from the target to this one, which comes last, and the inputs on the way: `window-join`,
    /// `left`, `source bids`. Those without state are left out: an edit of the query, or another version of the planner,
    /// puts them in and takes them out again.
    pub path: Vec<String>,
    /// The user's name for the operator's rows: [`NodeSpec::label`](super::NodeSpec::label).
    pub name: Option<String>,
    /// A hash of what the operator computes, whatever feeds it: two of them are alike if it is the same.
    pub computes: String,
}

/// `totals/window-join/left/source bids`, with the user's name behind it.
impl fmt::Display for OperatorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)?;
        self.path.iter().try_for_each(|step| write!(f, "/{step}"))?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

impl JobGraph {
    /// Places of all nodes. The same whatever the order of the statements is.
    pub fn places(&self) -> BTreeMap<OperatorUid, OperatorPlace> {
        let mut places: Vec<Option<OperatorPlace>> = vec![None; self.nodes.len()];
        // What reads a node stands behind it.
        for index in (0..self.nodes.len()).rev() {
            let node = &self.nodes[index].spec;
            let readers = self.outputs(NodeId(index)).filter_map(|(reader, edge)| {
                let OperatorPlace { target, mut path, .. } = places[reader.0].clone()?;
                path.extend(input_name(&self.node(reader).spec.inputs, edge));
                // A table for late or rejected rows comes and goes; what computes the results stays where it is.
                Some((edge.port != OutputPort::Main, target, path))
            });
            let (target, mut path) = match &node.operator {
                OperatorSpec::Sink(sink) => (sink.table.name.clone(), Vec::new()),
                _ => readers.min().map(|(_, target, path)| (target, path)).unwrap_or_default(),
            };
            path.extend(step(&node.operator));
            let (name, computes) = (node.label.clone(), identity::computes(&node.operator));
            places[index] = Some(OperatorPlace { target, path, name, computes });
        }
        let uids = self.nodes.iter().map(|node| node.uid.clone());
        uids.zip(places.into_iter().flatten()).collect()
    }
}

/// What an operator with state is called on the way.
fn step(operator: &OperatorSpec) -> Option<String> {
    match operator {
        OperatorSpec::Discover(discover) => Some(format!("discover {}", discover.table.name)),
        OperatorSpec::Source(source) => Some(format!("source {}", source.table.name)),
        OperatorSpec::Sink(_) => Some("sink".to_owned()),
        OperatorSpec::Plugin(plugin) => Some(format!("plugin {}", plugin.known_as())),
        OperatorSpec::ProcessingTime
        | OperatorSpec::WindowAggregate(_)
        | OperatorSpec::WindowTopN(_)
        | OperatorSpec::WindowJoin(_)
        | OperatorSpec::IntervalJoin(_)
        | OperatorSpec::Join(_)
        | OperatorSpec::GroupAggregate(_)
        | OperatorSpec::UpdatingSessions(_)
        | OperatorSpec::TopN(_)
        | OperatorSpec::Over(_)
        | OperatorSpec::UpdatingOver(_)
        | OperatorSpec::TemporalJoin(_)
        | OperatorSpec::LookupJoin(_)
        | OperatorSpec::FinalRows
        | OperatorSpec::SortedRows(_)
        | OperatorSpec::PacedRows(_) => Some(operator.tag().to_owned()),
        OperatorSpec::Calc(_)
        | OperatorSpec::Clock
        | OperatorSpec::Expand(_)
        | OperatorSpec::Unnest(_)
        | OperatorSpec::WindowAssign(_)
        | OperatorSpec::PartialAggregate(_)
        | OperatorSpec::UpsertRows(_)
        | OperatorSpec::ChangelogRows(_) => None,
    }
}

/// What an edge is called where its reader has others: the side of a join, the number of a `UNION ALL`'s input.
fn input_name(edges: &[Edge], edge: &Edge) -> Option<String> {
    let same: Vec<&Edge> = edges.iter().filter(|other| other.ordinal == edge.ordinal).collect();
    let number = same.iter().position(|other| *other == edge).filter(|_| same.len() > 1);
    let side = edges.iter().any(|other| other.ordinal > 0).then(|| match edge.ordinal {
        0 => "left".to_owned(),
        1 => "right".to_owned(),
        ordinal => format!("side {}", ordinal + 1),
    });
    match (side, number) {
        (None, None) => None,
        (Some(side), None) => Some(side),
        (None, Some(number)) => Some(format!("input {}", number + 1)),
        (Some(side), Some(number)) => Some(format!("{side} {}", number + 1)),
    }
}
