//! How long operators keep what they keep, where that would else be for ever: by the hint `STATE_TTL`, or by the setting for the whole job.
//!
//! It goes by a clock that is put in front of the operator, or by event time.

use datafusion_expr::Extension;
use weir_core::{Error, JobGraph, NodeId, NodeSpec, OperatorSpec, Result};

use super::Lowering;
use super::shape::{Shaped, edges, node};
use super::stream::{Kept, Life, Stream};
use crate::logical::Hinted;

impl Lowering<'_> {
    /// A relation that hints are about.
    pub(super) fn hinted(&mut self, extension: &Extension) -> Result<Stream> {
        let Some(hinted) = extension.node.as_any().downcast_ref::<Hinted>() else {
            return Err(Error::internal("a hint is about no relation"));
        };
        let mut stream = self.relation(&hinted.input)?;
        if let Some(length) = hinted.said.life {
            stream.life = Some(Life { length, hint: self.lives.len() });
            self.lives.push((hinted.name.clone(), false));
        }
        if hinted.said.broadcast {
            stream.broadcast = Some(self.broadcasts.len());
            self.broadcasts.push((hinted.name.clone(), false));
        }
        if let Some(emission) = hinted.said.emission {
            stream.emission = Some((emission, self.emissions.len()));
            self.emissions.push(false);
        }
        Ok(stream)
    }

    /// Refuses hints that no operator obeys.
    ///
    /// # Errors
    /// A user error that names the relation.
    pub fn check_hints(&self) -> Result<()> {
        if self.emissions.contains(&false) {
            return Err(Error::user(
                "EMIT and ALLOWED LATENESS say when the results of an aggregation come out, and this SELECT has none",
            )
            .with_help("write the clause behind the SELECT with the GROUP BY"));
        }
        if let Some((name, _)) = self.broadcasts.iter().find(|(_, is_obeyed)| !is_obeyed) {
            return Err(Error::user(format!("BROADCAST of `{name}` has no effect here")).with_help(
                "it is about a side of a regular join; joins of windows, of times and with versions are spread by their keys",
            ));
        }
        match self.lives.iter().find(|(_, is_obeyed)| !is_obeyed) {
            None => Ok(()),
            Some((name, _)) => Err(Error::user(format!("STATE_TTL of `{name}` has no effect here")).with_help(
                "it says how long a regular join keeps the rows of a side, an aggregation without a window its groups, and a Top-N or a function with \
                 OVER its partitions; other operators keep what they keep by event time, or for ever",
            )),
        }
    }

    /// What the settings say.
    pub(super) fn kept(&self) -> Kept {
        Kept { length: self.options.state_ttl, by_clock: !self.options.state_ttl_in_event_time }
    }

    /// How long what is kept of a relation is kept, in milliseconds; `None`: for ever.
    pub(super) fn length_of(&mut self, life: Option<Life>) -> Option<u64> {
        length(&mut self.lives, self.options.state_ttl, life)
    }

    /// The same rows behind clocks, if what is kept of them goes by the clock.
    pub(super) fn clocked(&mut self, shaped: Shaped, is_limited: bool) -> Result<Shaped> {
        match is_limited && !self.options.state_ttl_in_event_time {
            true => behind_clocks(&mut self.graph, shaped),
            false => Ok(shaped),
        }
    }
}

/// How long what is kept of a relation is kept, by a hint, which is obeyed by that, or by the setting.
pub(super) fn length(lives: &mut [(String, bool)], setting: Option<u64>, life: Option<Life>) -> Option<u64> {
    match life {
        Some(Life { length, hint }) => {
            lives[hint].1 = true;
            (length > 0).then_some(length)
        }
        None => setting,
    }
}

/// The same rows behind clocks.
pub(super) fn behind_clocks(graph: &mut JobGraph, shaped: Shaped) -> Result<Shaped> {
    let Shaped { nodes, columns, positions } = shaped;
    let clock = |from: &NodeId| {
        let parallelism = graph.node(*from).spec.parallelism;
        let inputs = edges(&[*from], 0, weir_core::Exchange::Forward);
        let spec = node(graph, "Clock", OperatorSpec::Clock, inputs, &columns)?;
        Ok(graph.add(NodeSpec { parallelism, ..spec }))
    };
    let nodes = nodes.iter().map(clock).collect::<Result<_>>()?;
    Ok(Shaped { nodes, columns, positions })
}
