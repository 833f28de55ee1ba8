//! Operators of plugins. Each is one node, however many read it; its inputs are lowered with it.

use datafusion_expr::{LogicalPlan, TableScan};
use weir_core::plugin::{OperatorStep, PluginInput, PluginSpec, Spread, StepInput};
use weir_core::{CalcSpec, Edge, Error, Exchange, Expr, NodeId, NodeSpec, OperatorSpec, OutputPort, Result};

use super::Lowering;
use super::changelog;
use super::shape::{self, edges, exact};
use super::stream::{Role, Stream, StreamColumn, WindowPart};
use crate::catalog::{OperatorView, PluginOperator};

impl Lowering<'_> {
    /// The rows of an operator's output.
    pub(super) fn operator_rows(&mut self, scan: &TableScan, view: &OperatorView) -> Result<Stream> {
        let operator = &view.operator;
        let known = self.plugin_operators.get(&operator.span.start).copied();
        let node = match known {
            Some(node) => node,
            None => {
                let before = self.graph.nodes().len();
                let node = self.plugin_operator(operator)?;
                self.graph.label_from(before, &operator.step.view);
                self.plugin_operators.insert(operator.span.start, node);
                node
            }
        };
        let event_time = operator.step.event_time.as_ref().filter(|_| view.side.is_none());
        let columns: Vec<StreamColumn> = view
            .columns
            .fields()
            .iter()
            .map(|field| {
                let is_time = event_time == Some(field.name());
                let role = if is_time { Role::Time { processing: false } } else { Role::Plain };
                StreamColumn { role, ..StreamColumn::plain(field.name(), field.data_type().clone()) }
            })
            .collect();
        let node = match view.side {
            None => node,
            Some(number) => self.side(node, number, &columns)?,
        };
        let mut stream = Stream::of_nodes(vec![node], columns);
        if let Some(read) = &scan.projection {
            stream.projection = read.iter().map(|column| Expr::Column(*column)).collect();
            stream.names = read.iter().map(|column| stream.columns[*column].name.clone()).collect();
            stream.types = read.iter().map(|column| stream.columns[*column].data_type.clone()).collect();
        }
        Ok(stream)
    }

    fn plugin_operator(&mut self, operator: &PluginOperator) -> Result<NodeId> {
        let step = &operator.step;
        let mut incoming = Vec::new();
        let mut inputs = Vec::new();
        for (ordinal, (input, plan)) in step.inputs.iter().zip(&operator.inputs).enumerate() {
            let (nodes, spread) = self.plugin_input(step, input, plan)?;
            let exchange = match &spread {
                Spread::Stay => Exchange::Forward,
                Spread::Keys(keys) => Exchange::Hash(keys.clone()),
                Spread::Broadcast => Exchange::Broadcast,
            };
            incoming.extend(edges(&nodes, ordinal, exchange));
            inputs.push(PluginInput {
                columns: input.columns.clone(),
                spread,
                takes_retractions: input.takes_retractions,
            });
        }
        let spec = OperatorSpec::Plugin(PluginSpec {
            artifact: operator.artifact.clone(),
            operator: step.operator.clone(),
            config: step.config.clone(),
            uid: step.uid.clone(),
            inputs,
            output: step.output.clone(),
            changelog: step.changelog.clone(),
            side_outputs: step.side_outputs.iter().map(|side| side.columns.clone()).collect(),
            emits_at_markers: step.emits_at_markers,
            wants_ticks: step.wants_ticks,
            awaits_answers: step.awaits_answers,
            drops: step.drops.clone(),
        });
        let name = format!("Plugin({})", step.view);
        let changelog = changelog::output_of(&self.graph, &name, &spec, &incoming)?;
        let node = NodeSpec { changelog, ..NodeSpec::new(name, spec, incoming, step.output.clone()) };
        Ok(self.graph.add(node))
    }

    /// The nodes that make what an operator reads, column by column as it wants them.
    fn plugin_input(
        &mut self,
        step: &OperatorStep,
        input: &StepInput,
        plan: &LogicalPlan,
    ) -> Result<(Vec<NodeId>, Spread<usize>)> {
        let stream = self.relation(plan)?;
        let (nodes, columns) = exact(&mut self.graph, stream)?;
        let place = |name: &String| input.columns.fields().iter().position(|field| field.name() == name);
        let missing = || Error::internal(format!("`{}` reads a column that it does not read", step.view));
        if let Some(name) = &input.event_time {
            let column = &columns[place(name).ok_or_else(missing)?];
            if !matches!(column.role, Role::Time { .. } | Role::Window { part: WindowPart::Time, .. }) {
                let message = format!(
                    "`{}` wants event time in `{name}`, and in `{}` that is no time attribute",
                    step.view, input.relation
                );
                return Err(Error::user(message).with_help(format!(
                    "declare `WATERMARK FOR {name} AS {name} - INTERVAL '5' SECOND` in the table that it comes from, and pass it on as it is"
                )));
            }
        }
        let spread = match &input.spread {
            Spread::Stay => Spread::Stay,
            Spread::Broadcast => Spread::Broadcast,
            Spread::Keys(names) => {
                let keys = names.iter().map(|name| place(name).ok_or_else(missing)).collect::<Result<Vec<_>>>()?;
                keys.iter().try_for_each(|key| shape::check_key(&columns[*key].data_type))?;
                Spread::Keys(keys)
            }
        };
        Ok((nodes, spread))
    }

    /// The rows of a side output as those of a node.
    fn side(&mut self, from: NodeId, number: u16, columns: &[StreamColumn]) -> Result<NodeId> {
        let edge = Edge { from, port: OutputPort::Side(number), ordinal: 0, exchange: Exchange::Forward };
        let projection = (0..columns.len()).map(Expr::Column).collect();
        let operator = OperatorSpec::Calc(CalcSpec { predicate: None, projection });
        shape::add(&mut self.graph, "Calc", operator, vec![edge], columns)
    }
}
