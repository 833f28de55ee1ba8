//! Whether results come out of operators, and become visible.

use weir_core::{Chain, EventTime, JobGraph, OperatorSpec, WindowKind, WindowSource};

use super::{Finding, Looks, Vertex, span};

/// A checkpoint may take so long, and so many intervals, before it is worth a word.
const SLOW_CHECKPOINT_MS: u64 = 10_000;
const SLOW_INTERVALS: u64 = 3;

pub(super) fn examine(graph: &JobGraph, vertices: &[Vertex<'_>], looks: &Looks<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = checkpoint(graph, vertices, looks).into_iter().collect();
    let silent = vertices.iter().filter(|vertex| vertex.after.rows_in > 0 && vertex.after.rows_out == 0);
    findings.extend(silent.filter_map(|vertex| open_window(vertex)));
    if findings.is_empty() {
        findings.extend(invisible(vertices, looks));
    }
    findings
}

/// The checkpoint that is being taken is taken for too long.
fn checkpoint(graph: &JobGraph, vertices: &[Vertex<'_>], looks: &Looks<'_>) -> Option<Finding> {
    let job = looks.after;
    let under_way = job.checkpoint_in_progress?;
    let patience = SLOW_CHECKPOINT_MS.max(SLOW_INTERVALS * job.settings.checkpoint_interval_ms);
    if under_way.running_ms < patience {
        return None;
    }
    let chains = graph.chains();
    let has_passed = |chain: &Chain| vertices[chain.head().0].activity().marker >= under_way.epoch;
    let fed_by = |chain: &Chain| {
        let inputs = &graph.node(chain.head()).spec.inputs;
        inputs.iter().all(|edge| chains.iter().filter(|other| other.nodes.contains(&edge.from)).all(has_passed))
    };
    let took = span(i64::try_from(under_way.running_ms).unwrap_or(i64::MAX));
    let held_up = chains.iter().find(|chain| !has_passed(chain) && fed_by(chain));
    Some(match held_up {
        Some(chain) => {
            let head = &vertices[chain.head().0];
            let queued = head.activity().queued_bytes;
            Finding::new(
                "checkpoint-held-up",
                format!("checkpoint {} has been waiting for {took} for its marker to pass here; {queued} bytes wait in front of it", under_way.epoch),
                "markers stand behind rows: see to what makes this vertex slow, or to the sink at its end; \
                 'execution.checkpointing.timeout' says when a checkpoint is given up",
            )
            .at(head.node)
        }
        None => Finding::new(
            "checkpoint-not-stored",
            format!(
                "the marker of checkpoint {} has passed all vertices, and it has not been completed for {took}",
                under_way.epoch
            ),
            "storing it is slow, or fails: look at the checkpoint storage, and at warnings in the logs of workers and leader",
        ),
    })
}

/// A window emits when time has passed its end.
fn open_window(vertex: &Vertex<'_>) -> Option<Finding> {
    let window = match &vertex.node.spec.operator {
        OperatorSpec::WindowAggregate(spec) => Some(spec.window),
        OperatorSpec::WindowTopN(_) | OperatorSpec::WindowJoin(_) => None,
        _ => return None,
    };
    let EventTime(now) = vertex.after.watermark.filter(|time| *time > EventTime::MIN && *time < EventTime::MAX)?;
    let before = vertex.before.watermark.map_or(now, |time| time.0);
    let kind = window.and_then(|window| match window {
        WindowSource::Assign { window, .. } => Some(window),
        WindowSource::Attached { .. } => None,
    });
    let (what, left) = match kind.and_then(|kind| next_end(kind, now)) {
        Some(end) => {
            let left = end.saturating_sub(now);
            (
                format!(
                    "no window is full yet: the next one ends at {}, and time has come to {}",
                    EventTime(end),
                    EventTime(now)
                ),
                Some(left),
            )
        }
        None => (format!("no window is full yet: time has come to {}", EventTime(now)), None),
    };
    let advice = match (now > before, left) {
        (true, Some(left)) => format!("wait until event time has gone on by {}", span(left)),
        (true, None) => "wait: its time goes on".to_owned(),
        (false, _) => {
            "its time does not go on: rows that come now bring it no further, or none come; the source tells".to_owned()
        }
    };
    Some(Finding::new("window-not-full", what, advice).at(vertex.node))
}

/// The first end of a window that time has not passed.
fn next_end(window: WindowKind, now: i64) -> Option<i64> {
    let (step, offset, size) = match window {
        WindowKind::Tumble { size, offset } => (size, offset, size),
        WindowKind::Hop { slide, size, offset } => (slide, offset, size),
        WindowKind::Cumulate { step, offset, .. } => (step, offset, step),
        WindowKind::Session { .. } => return None,
    };
    // Ends lie at offset + size + n · step.
    let shift = offset.checked_add(size)?.checked_rem_euclid(step)?;
    let passed = now.checked_sub(shift)?.div_euclid(step);
    passed.checked_add(1)?.checked_mul(step)?.checked_add(shift)
}

/// Sinks have rows, and their results wait for a checkpoint.
fn invisible(vertices: &[Vertex<'_>], looks: &Looks<'_>) -> Option<Finding> {
    let job = looks.after;
    let written = vertices.iter().any(|vertex| vertex.is_sink() && vertex.after.rows_in > 0);
    let newest = job.summary.last_checkpoint.as_ref();
    let of_attempt = newest.is_some_and(|checkpoint| checkpoint.attempt == job.summary.attempt);
    if let Some(checkpoint) = newest.filter(|checkpoint| !checkpoint.committed) {
        let since = looks.now.saturating_sub(checkpoint.completed_at);
        if since > i64::try_from(SLOW_CHECKPOINT_MS).unwrap_or(i64::MAX) {
            return Some(Finding::new(
                "commit-held-up",
                format!(
                    "checkpoint {} was completed {} ago, and its results are not visible yet",
                    checkpoint.epoch,
                    span(since)
                ),
                "the system that the sink writes to does not take the commit: warnings in the logs of the workers say why",
            ));
        }
    }
    if !written || of_attempt {
        return None;
    }
    let advice = match job.settings.checkpoint_interval_ms {
        0 => "no checkpoints are taken but the last one: SET 'execution.checkpointing.interval', or `weir jobs savepoint`".to_owned(),
        interval => format!("wait: one is taken every {}", span(i64::try_from(interval).unwrap_or(i64::MAX))),
    };
    let waits = Finding::new(
        "waits-for-checkpoint",
        "sinks have taken rows, which become visible with the first checkpoint of this attempt",
        advice,
    );
    Some(if job.settings.checkpoint_interval_ms > 0 { waits.passing() } else { waits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_where_their_shape_says() {
        let tumble = WindowKind::Tumble { size: 10, offset: 0 };
        assert_eq!((next_end(tumble, 0), next_end(tumble, 9), next_end(tumble, 10)), (Some(10), Some(10), Some(20)));
        assert_eq!(next_end(tumble, -1), Some(0));
        let hop = WindowKind::Hop { slide: 4, size: 10, offset: 1 };
        assert_eq!((next_end(hop, 11), next_end(hop, 14)), (Some(15), Some(15)));
        assert_eq!(next_end(WindowKind::Cumulate { step: 5, size: 20, offset: 0 }, 7), Some(10));
        assert_eq!(next_end(WindowKind::Session { gap: 5 }, 7), None);
        assert_eq!(next_end(tumble, i64::MAX), None, "there is no such time");
    }
}
