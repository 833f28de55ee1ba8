//! `UNION ALL`: several edges into one input.

use datafusion_expr::Union;
use weir_core::{Exchange, ExpandSpec, Expr, NodeId, OperatorSpec, Result};

use super::Lowering;
use super::shape::{add, edges, exact};
use super::stream::{Lineage, Role, Stream, StreamColumn};

impl Lowering<'_> {
    /// The rows of all inputs.
    pub(super) fn union(&mut self, union: &Union) -> Result<Stream> {
        let mut nodes: Vec<NodeId> = Vec::new();
        let mut columns: Vec<StreamColumn> = Vec::new();
        let types: Vec<_> = union.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        for (index, input) in union.inputs.iter().enumerate() {
            let stream = self.relation(input)?;
            let stream = self.with_types(stream, &types)?;
            let (made, own) = exact(&mut self.graph, stream)?;
            nodes.extend(made);
            if index == 0 {
                columns = own;
                continue;
            }
            let mut same: Vec<(Lineage, Lineage)> = Vec::new();
            for (column, other) in columns.iter_mut().zip(&own) {
                column.role = common(column.role, other.role, &mut same);
            }
        }
        for (column, field) in columns.iter_mut().zip(union.schema.fields()) {
            column.name.clone_from(field.name());
        }
        let nodes = self.each_once(nodes, &columns)?;
        Ok(Stream::of_nodes(nodes, columns))
    }

    /// The stream with columns of just these types. DataFusion has coerced them; what is left are layouts of strings.
    fn with_types(&mut self, mut stream: Stream, types: &[arrow::datatypes::DataType]) -> Result<Stream> {
        if stream.types != types {
            stream = super::shape::settle(&mut self.graph, stream)?;
            for (index, wanted) in types.iter().enumerate() {
                if stream.types[index] != *wanted {
                    let operand = Box::new(stream.projection[index].clone());
                    stream.projection[index] = Expr::Cast { operand, data_type: wanted.clone(), safe: false };
                    stream.types[index] = wanted.clone();
                }
            }
        }
        Ok(stream)
    }

    /// A node that is named several times is replaced by one that repeats its rows, because two nodes have one stream
    /// between them at most.
    fn each_once(&mut self, nodes: Vec<NodeId>, columns: &[StreamColumn]) -> Result<Vec<NodeId>> {
        let mut distinct: Vec<(NodeId, usize)> = Vec::new();
        for node in nodes {
            match distinct.iter_mut().find(|(known, _)| *known == node) {
                Some((_, times)) => *times += 1,
                None => distinct.push((node, 1)),
            }
        }
        let mut result = Vec::new();
        for (node, times) in distinct {
            if times == 1 {
                result.push(node);
                continue;
            }
            let projection: Vec<Expr> = (0..columns.len()).map(Expr::Column).collect();
            let operator = OperatorSpec::Expand(ExpandSpec { projections: vec![projection; times] });
            result.push(add(&mut self.graph, "Expand", operator, edges(&[node], 0, Exchange::Forward), columns)?);
        }
        Ok(result)
    }
}

/// What a column is to time if two inputs bring it. `same` holds which windows of the two inputs have met so far: the
/// start of one window and the end of another do not become one.
fn common(one: Role, other: Role, same: &mut Vec<(Lineage, Lineage)>) -> Role {
    match (one, other) {
        (Role::Time { processing }, Role::Time { processing: other }) if processing == other => one,
        (
            Role::Window { part, kind, processing, lineage },
            Role::Window { part: other_part, kind: other_kind, processing: other_processing, lineage: other },
        ) if (part, kind, processing) == (other_part, other_kind, other_processing) => {
            let fits = same.iter().all(|(known, with)| (*known == lineage) == (*with == other));
            same.push((lineage, other));
            if fits { one } else { Role::Plain }
        }
        _ => Role::Plain,
    }
}
