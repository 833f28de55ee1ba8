//! Whether input comes, and event time with it.

use weir_core::{EventTime, OperatorSpec};

use super::{Finding, Vertex, span};

/// So far apart splits are no longer just read in turns.
const FAR_APART_MS: u64 = 60_000;
/// Clocks of one data centre do not differ by so much.
const AHEAD_MS: i64 = 60_000;
/// Rows that are so old do not come from now.
const BEHIND_MS: i64 = 3_600_000;

pub(super) fn examine(vertices: &[Vertex<'_>], now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for vertex in vertices.iter().filter(|vertex| vertex.is_source()) {
        findings.extend(source(vertex, now));
    }
    for vertex in vertices {
        let late = vertex.after.late_rows.saturating_sub(vertex.before.late_rows);
        if late > 0 {
            let taken = vertex.rows_in().max(late);
            findings.push(
                Finding::new(
                    "late-rows",
                    format!("{late} of {taken} rows came behind the watermark just now, and are left out"),
                    "give the watermark of the source more delay, or look for a producer whose clock is ahead: its rows drive the \
                     watermark; `INSERT INTO … SELECT * FROM \"<table>$late\"` keeps them",
                )
                .at(vertex.node),
            );
        }
    }
    findings
}

fn source(vertex: &Vertex<'_>, now: i64) -> Option<Finding> {
    let OperatorSpec::Source(spec) = &vertex.node.spec.operator else { return None };
    let activity = vertex.activity();
    let watermark = vertex.after.watermark;
    if watermark == Some(EventTime::MAX) {
        return None;
    }
    if vertex.after.rows_in == 0 {
        let (what, advice) = match activity.splits {
            0 => (
                "no file, partition or topic to read has been found".to_owned(),
                "check the path, topic or pattern of the table, and what this worker may see of it",
            ),
            splits => (
                format!("no row has come yet from any of its {splits} splits"),
                "check that something is written there, and where the table begins to read: 'scan.startup.mode'",
            ),
        };
        return Some(Finding::new("no-input", what, advice).at(vertex.node));
    }
    if vertex.after.rejected_rows > vertex.before.rejected_rows && vertex.rows_in() == 0 {
        return Some(
            Finding::new(
                "rejected",
                "all that comes is rejected: it cannot be decoded, or has no event time",
                "check the table's format and columns; 'dead-letter.table' keeps what is rejected, and why",
            )
            .at(vertex.node),
        );
    }
    // Tables without event time have nothing more to say.
    spec.watermark.as_ref()?;
    idle_split(vertex).or_else(|| clock(vertex, now))
}

fn idle_split(vertex: &Vertex<'_>) -> Option<Finding> {
    let activity = vertex.activity();
    let stands = vertex.before.watermark == vertex.after.watermark;
    let advice = "write to all of them, or let them count as idle: 'scan.watermark.idle-timeout' = '30s' in the table";
    let nothing_yet = matches!(vertex.after.watermark, None | Some(EventTime::MIN));
    if activity.silent_splits > 0 && (nothing_yet || stands) {
        let (silent, splits) = (activity.silent_splits, activity.splits);
        let what = format!("{silent} of its {splits} splits have brought no row yet, and time waits for them");
        return Some(Finding::new("idle-split", what, advice).at(vertex.node));
    }
    if activity.held_splits > 0 && stands {
        let (held, splits) = (activity.held_splits, activity.splits);
        let what = format!(
            "{held} of its {splits} splits are held: they are ahead of another that brings nothing, and wait for it"
        );
        return Some(Finding::new("idle-split", what, advice).at(vertex.node));
    }
    let apart = activity.spread_ms.filter(|apart| *apart > FAR_APART_MS && stands && vertex.rows_in() > 0)?;
    let apart = span(i64::try_from(apart).unwrap_or(i64::MAX));
    let what = format!(
        "one of its {} splits is {apart} behind the others and brings nothing: time waits for it",
        activity.splits
    );
    Some(Finding::new("idle-split", what, advice).at(vertex.node))
}

fn clock(vertex: &Vertex<'_>, now: i64) -> Option<Finding> {
    let EventTime(time) = vertex.after.watermark.filter(|time| *time > EventTime::MIN)?;
    let behind = now.saturating_sub(time);
    if behind < -AHEAD_MS {
        let what = format!("its watermark is {} ahead of the clock: rows from the future have come", span(behind));
        let advice = "look for a producer whose clock is ahead, or for times in another unit or zone; all rows of now are late until \
                      then. Filter such rows in a view, then restart from an earlier checkpoint";
        return Some(Finding::new("clock-ahead", what, advice).at(vertex.node));
    }
    let caught_up = vertex.activity().lag_records.unwrap_or(0) == 0;
    if behind > BEHIND_MS && caught_up && vertex.rows_in() > 0 && vertex.before.watermark == vertex.after.watermark {
        let what = format!("rows come, and their times are {} behind the clock and do not go on", span(behind));
        let advice = "look for a producer whose clock has stopped or is late, or for a time column that is not the time of the event";
        return Some(Finding::new("clock-behind", what, advice).at(vertex.node));
    }
    None
}
