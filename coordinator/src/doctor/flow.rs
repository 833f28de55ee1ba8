//! Whether rows flow, and what holds them up.

use weir_core::{Chain, Exchange, JobGraph, OperatorSpec};

use super::{Finding, Vertex, percent};

/// Who waits for room for more of its time than this is held up.
const HELD_UP: f64 = 0.5;
/// Who works for more of its time than this is at its limit.
const AT_ITS_LIMIT: f64 = 0.7;
/// A subtask that takes so many times its share of the rows has more than its share of the keys.
const SKEWED: f64 = 2.0;
/// Of fewer rows nothing can be said.
const ENOUGH_ROWS: u64 = 10_000;

pub(super) fn examine(graph: &JobGraph, vertices: &[Vertex<'_>]) -> Vec<Finding> {
    let chains = graph.chains();
    let flows = |chain: &Chain| !matches!(vertices[chain.head().0].node.spec.operator, OperatorSpec::Discover(_));
    let shares = |chain: &Chain| vertices[chain.head().0].shares().unwrap_or_default();
    let is_held_up = |chain: &Chain| flows(chain) && shares(chain).2 > HELD_UP;
    let mut findings = Vec::new();
    // The last of those that are held up: nobody behind it is.
    for chain in chains.iter().filter(|chain| is_held_up(chain)) {
        let behind: Vec<&Chain> = chains.iter().filter(|other| feeds(graph, chain, other)).collect();
        if behind.iter().any(|other| is_held_up(other)) {
            continue;
        }
        let slowest = behind.into_iter().max_by(|one, other| shares(one).0.total_cmp(&shares(other).0));
        findings.push(held_up_by(vertices, chain, slowest, shares(chain).2));
    }
    if findings.is_empty() {
        let busy = chains.iter().filter(|chain| flows(chain) && shares(chain).0 > AT_ITS_LIMIT);
        findings.extend(busy.filter_map(|chain| skewed(vertices, chain).or_else(|| busy_sink(vertices, chain))));
    }
    findings
}

fn feeds(graph: &JobGraph, chain: &Chain, other: &Chain) -> bool {
    let inputs = &graph.node(other.head()).spec.inputs;
    other.head() != chain.head() && inputs.iter().any(|edge| chain.nodes.contains(&edge.from))
}

/// What `chain` waits for.
fn held_up_by(vertices: &[Vertex<'_>], chain: &Chain, slowest: Option<&Chain>, share: f64) -> Finding {
    let waits = &vertices[chain.head().0].node.spec.name;
    let Some(slowest) = slowest else {
        return slow_sink(vertices, chain, &format!("{} of its time is spent waiting for it", percent(share)));
    };
    if let Some(skew) = skewed(vertices, slowest) {
        return skew;
    }
    let head = &vertices[slowest.head().0];
    let busy = head.shares().unwrap_or_default().0;
    if vertices[slowest.tail().0].is_sink() {
        let why = format!("{waits} waits for it {} of its time, and it is busy {}", percent(share), percent(busy));
        return slow_sink(vertices, slowest, &why);
    }
    Finding::new(
        "slow-operator",
        format!("it is busy {} of its time, and {waits} waits for it {} of its own", percent(busy), percent(share)),
        "more slots spread its keys wider: `weir jobs rescale`; fewer or narrower columns in front of it make it lighter",
    )
    .at(head.node)
}

fn slow_sink(vertices: &[Vertex<'_>], chain: &Chain, why: &str) -> Finding {
    Finding::new(
        "slow-sink",
        format!("the sink takes rows more slowly than they come: {why}"),
        "look at the system that it writes to; more slots write with more connections, files or partitions: `weir jobs rescale`",
    )
    .at(vertices[chain.tail().0].node)
}

/// A sink that does all of its work itself is busy and waits for nobody; if a source is in its chain, nobody waits for it either.
fn busy_sink(vertices: &[Vertex<'_>], chain: &Chain) -> Option<Finding> {
    let (busy, ..) = vertices[chain.head().0].shares()?;
    let ends_in_sink = vertices[chain.tail().0].is_sink() && !vertices[chain.head().0].is_source();
    ends_in_sink.then(|| slow_sink(vertices, chain, &format!("it is busy {} of its time", percent(busy))))
}

/// Whether one subtask of the chain has much more to do than the others.
fn skewed(vertices: &[Vertex<'_>], chain: &Chain) -> Option<Finding> {
    let head = &vertices[chain.head().0];
    let by_key = head.node.spec.inputs.iter().any(|edge| matches!(edge.exchange, Exchange::Hash(_)));
    let activity = head.activity();
    if !by_key || activity.subtasks < 2 || head.after.rows_in < ENOUGH_ROWS {
        return None;
    }
    let fair = head.after.rows_in as f64 / f64::from(activity.subtasks);
    let share = activity.most_rows_in as f64 / head.after.rows_in as f64;
    (activity.most_rows_in as f64 > fair * SKEWED.min(f64::from(activity.subtasks) * 0.9)).then(|| {
        Finding::new(
            "skewed-keys",
            format!(
                "one of its {} subtasks has taken {} of the rows: a few keys have most of them",
                activity.subtasks,
                percent(share)
            ),
            "group by something finer first, or let rows be added up in front of it: \
             SET 'table.optimizer.agg-phase-strategy' = 'TWO_PHASE'; more slots do not help",
        )
        .at(head.node)
    })
}
