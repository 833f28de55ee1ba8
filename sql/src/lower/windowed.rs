//! Windows that rows carry: which key columns name one, and where its bounds are to be read.

use weir_core::{Error, Expr, Result, WindowKind};

use super::stream::{Lineage, Role, StreamColumn, WindowPart, shifted};

/// A window that rows carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CarriedWindow {
    pub kind: WindowKind,
    pub lineage: Lineage,
    pub processing: bool,
}

/// The size that all windows of this kind have.
pub(super) fn fixed_size(kind: WindowKind) -> Option<i64> {
    match kind {
        WindowKind::Tumble { size, .. } | WindowKind::Hop { size, .. } => Some(size),
        WindowKind::Cumulate { .. } | WindowKind::Session { .. } => None,
    }
}

/// Whether this part of a window says which window it is.
pub(super) fn determines(part: WindowPart, kind: WindowKind) -> bool {
    match part {
        WindowPart::End | WindowPart::Time => true,
        WindowPart::Start => fixed_size(kind).is_some(),
    }
}

/// The window that rows with equal `keys` share, if the keys say so.
pub(super) fn window_of(keys: &[Expr], columns: &[StreamColumn]) -> Option<CarriedWindow> {
    keys.iter().find_map(|key| match key {
        // Behind the columns is a number that is still to be computed: no window.
        Expr::Column(column) => match columns.get(*column)?.role {
            Role::Window { part, kind, lineage, processing } if determines(part, kind) => {
                Some(CarriedWindow { kind, lineage, processing })
            }
            // Start and end together name any window, and then the end is another of the keys.
            _ => None,
        },
        _ => None,
    })
}

/// The column with that part of the window.
fn part_of(window: &CarriedWindow, part: WindowPart, columns: &[StreamColumn]) -> Option<Expr> {
    let is_part = |column: &StreamColumn| matches!(column.role, Role::Window { part: other, lineage, .. } if other == part && lineage == window.lineage);
    columns.iter().position(is_part).map(Expr::Column)
}

/// The window's end.
///
/// # Errors
/// If no column says.
pub(super) fn end_of(window: &CarriedWindow, columns: &[StreamColumn]) -> Result<Expr> {
    if let Some(end) = part_of(window, WindowPart::End, columns) {
        return Ok(end);
    }
    if let Some(time) = part_of(window, WindowPart::Time, columns) {
        return Ok(shifted(time, 1));
    }
    match (part_of(window, WindowPart::Start, columns), fixed_size(window.kind)) {
        (Some(start), Some(size)) => Ok(shifted(start, size)),
        _ => Err(missing("window_end")),
    }
}

/// The window's start.
///
/// # Errors
/// If no column says.
pub(super) fn start_of(window: &CarriedWindow, columns: &[StreamColumn]) -> Result<Expr> {
    if let Some(start) = part_of(window, WindowPart::Start, columns) {
        return Ok(start);
    }
    let size = fixed_size(window.kind).ok_or_else(|| missing("window_start"))?;
    Ok(shifted(end_of(window, columns)?, -size))
}

fn missing(column: &str) -> Error {
    Error::user(format!("the windows that these rows belong to cannot be told without `{column}`"))
        .with_help(format!("select `{column}` in the subquery too, and name it in GROUP BY, PARTITION BY or ON"))
}
