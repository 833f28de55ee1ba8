//! Deep structures that have a format of their own travel, and are kept, as its JSON: dataflows, what an epoch adds, merged runs.
//!
//! A long chain of operators in SQL is a deep tree, and what goes through a tree does so recursively. serde_json refuses more than
//! 128 levels, which a condition of sixty terms has already. What the planner takes has to be read back by every process, so deep
//! values are read on a stack of their own, and only what no planner makes is refused.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_core::{Error, JobGraph, Result};

/// Levels that serde_json reads by itself, on any stack.
const SHALLOW: usize = 100;
/// Levels that are read at all: more than the planner makes of the longest expression that it takes.
const DEEPEST: usize = 4000;
/// Levels that stand around a dataflow where it is stored: what comes in has to be readable in there too, or it could be taken and
/// never be read again.
const AROUND: usize = 100;
/// Measured in a debug build: reading takes less than 2 kB a level, writing 1 kB. Only what is used becomes real memory.
const DEEP_STACK: usize = 64 << 20;

/// The JSON of a value that is not deep.
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("these types have neither maps with odd keys nor writers that fail").into()
}

/// The JSON of a value that may be deep, because there is a dataflow in it.
pub fn encode_deep<T: Serialize + Sync>(value: &T) -> Bytes {
    // Without room for another stack this one has to do.
    on_deep_stack(|| encode(value)).unwrap_or_else(|_| encode(value))
}

/// The value; `name` is what errors call it.
///
/// # Errors
/// If the bytes are not JSON, are nested too deeply, or are JSON of something else.
pub fn decode<T: DeserializeOwned + Send>(bytes: &[u8], name: &str) -> Result<T> {
    if bytes.is_empty() {
        return Err(Error::data(format!("the message lacks {name}")));
    }
    let unreadable = |error| Error::data(format!("{name} cannot be read")).with_source(error);
    match depth(bytes) {
        0..=SHALLOW => serde_json::from_slice(bytes).map_err(unreadable),
        levels if levels > DEEPEST => Err(too_deep(name, levels, DEEPEST)),
        _ => on_deep_stack(|| deep(bytes))?.map_err(unreadable),
    }
}

fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("weir-json".into()).stack_size(DEEP_STACK);
        let thread = thread
            .spawn_scoped(scope, work)
            .map_err(|error| Error::environment("there is no room for the stack of a thread").with_source(error))?;
        thread.join().map_err(|_| Error::internal("reading or writing JSON panicked"))
    })
}

/// A dataflow. Its edges lead to earlier nodes, as [`JobGraph::add`] makes them, whoever sent it.
///
/// # Errors
/// Those of [`decode`], and if nodes are not in order.
pub fn decode_graph(bytes: &[u8], name: &str) -> Result<JobGraph> {
    let levels = depth(bytes);
    if levels > DEEPEST - AROUND {
        return Err(too_deep(name, levels, DEEPEST - AROUND));
    }
    let graph: JobGraph = decode(bytes, name)?;
    for (position, node) in graph.nodes().iter().enumerate() {
        if let Some(edge) = node.spec.inputs.iter().find(|edge| edge.from.0 >= position) {
            return Err(Error::data(format!(
                "{name}: node {position} is fed by node {}, which does not come before it",
                edge.from.0
            )));
        }
    }
    Ok(graph)
}

fn too_deep(name: &str, levels: usize, limit: usize) -> Error {
    Error::data(format!("{name} is nested {levels} levels deep, and may be {limit}"))
}

fn deep<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// How deep objects and arrays are nested.
fn depth(bytes: &[u8]) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next().filter(|byte| **byte != b'"') {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use weir_core::{Expr, NodeId};

    use super::*;

    fn negations(count: usize) -> Expr {
        (0..count).fold(Expr::Column(0), |operand, _| Expr::Not(Box::new(operand)))
    }

    #[test]
    fn what_a_long_chain_in_sql_becomes_can_be_read_on_a_small_stack() {
        let back = |count: usize| {
            let reader =
                move || decode::<Expr>(&encode_deep(&negations(count)), "x").map(|read| read == negations(count));
            std::thread::Builder::new().stack_size(2 << 20).spawn(reader).unwrap().join().unwrap()
        };
        // The planner takes 1500 tokens in a row: 750 operators.
        for count in [0, 10, SHALLOW, 200, 1500, DEEPEST - 1] {
            assert!(back(count).unwrap(), "{count}");
        }
    }

    #[test]
    fn what_no_planner_makes_is_refused_and_the_deepest_that_is_not_fits_the_stack() {
        let nested = |levels: usize| format!("{}0{}", "{\"Not\":".repeat(levels), "}".repeat(levels));
        let read = |levels| decode::<Expr>(nested(levels).as_bytes(), "x").unwrap_err().report();
        assert!(read(DEEPEST).starts_with("x cannot be read"), "{}", read(DEEPEST));
        let graph = decode_graph(nested(DEEPEST - AROUND + 1).as_bytes(), "x").unwrap_err();
        assert!(graph.to_string().starts_with("x is nested"), "{graph}");
        assert_eq!(read(DEEPEST + 1), format!("x is nested {} levels deep, and may be {DEEPEST}", DEEPEST + 1));
    }

    #[test]
    fn brackets_in_text_do_not_count() {
        assert_eq!(depth(br#"[{"a[[{":"\"[[\\"},1]"#), 2);
        assert_eq!(depth(br#"["[\"#), 1);
        assert_eq!(depth(b"]]]["), 1);
    }

    #[test]
    fn a_graph_whose_edges_lead_nowhere_is_refused() {
        let graph = crate::wire::tests::samples::graph();
        let text = String::from_utf8(encode(&graph).to_vec()).unwrap();
        assert_eq!(decode_graph(text.as_bytes(), "x").unwrap().nodes().len(), graph.nodes().len());
        let edge = serde_json::to_string(&NodeId(0)).unwrap();
        let from = format!("\"from\":{edge}");
        assert!(text.contains(&from), "{text}");
        let error = decode_graph(text.replace(&from, "\"from\":7").as_bytes(), "x").unwrap_err();
        assert_eq!(error.to_string(), "x: node 1 is fed by node 7, which does not come before it");
    }
}
