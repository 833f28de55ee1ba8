//! How long operators keep what they keep, where that would else be for ever: by the hint `STATE_TTL`, or by the setting for the whole job.
//!
//! It goes by a clock that is put in front of the operator, or by event time.

use datafusion_expr::Extension;
use weir_core::{Error, NodeId, NodeSpec, OperatorSpec, Result};

use super::Lowering;
use super::shape::{Shaped, edges, node};
use super::stream::{Life, Stream};
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
        match self.lives.iter().find(|(_, is_obeyed)| !is_obeyed) {
            None => Ok(()),
            Some((name, _)) => Err(Error::user(format!("STATE_TTL of `{name}` has no effect here")).with_help(
                "it says how long a regular join keeps the rows of a side, or an aggregation without a window its groups; other operators \
                 keep what they keep by event time, or for ever",
            )),
        }
    }

    /// How long what is kept of a relation is kept, in milliseconds; `None`: for ever.
    pub(super) fn length_of(&mut self, life: Option<Life>) -> Option<u64> {
        match life {
            Some(Life { length, hint }) => {
                self.lives[hint].1 = true;
                (length > 0).then_some(length)
            }
            None => self.options.state_ttl,
        }
    }

    /// The same rows behind clocks, if what is kept of them goes by the clock.
    pub(super) fn clocked(&mut self, shaped: Shaped, is_limited: bool) -> Result<Shaped> {
        if !is_limited || self.options.state_ttl_in_event_time {
            return Ok(shaped);
        }
        let Shaped { nodes, columns, positions } = shaped;
        let clock = |from: &NodeId| {
            let parallelism = self.graph.node(*from).spec.parallelism;
            let inputs = edges(&[*from], 0, weir_core::Exchange::Forward);
            let spec = node(&self.graph, "Clock", OperatorSpec::Clock, inputs, &columns)?;
            Ok(self.graph.add(NodeSpec { parallelism, ..spec }))
        };
        let nodes = nodes.iter().map(clock).collect::<Result<_>>()?;
        Ok(Shaped { nodes, columns, positions })
    }
}
