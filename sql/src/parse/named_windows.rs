//! `OVER w`, and `OVER (w ROWS …)`, a window that begins with another one: they are written out. The planner would pass over the latter,
//! and finds a name in its own capitals alone. A window is known in its own `SELECT`, and not in the queries below it.

use datafusion_sql::sqlparser::ast::{
    Expr, Function, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, WindowSpec, WindowType,
};
use weir_core::Result;

use crate::diagnostics::{Source, did_you_mean};
use crate::walk::{Step, change_expressions};

/// The windows of a `SELECT` by their names.
type Windows = Vec<(Ident, WindowSpec)>;

/// Writes out what a `SELECT` says of windows with names. Those of the queries below it are written out already.
///
/// # Errors
/// A user error if there is no such window, or if it cannot be the beginning of this one.
pub(super) fn write_out(source: &Source<'_>, select: &mut Select) -> Result<()> {
    let mut windows = Windows::new();
    for NamedWindowDefinition(name, definition) in &mut select.named_window {
        let window = match definition {
            NamedWindowExpr::NamedWindow(other) => named(source, &windows, other)?.clone(),
            NamedWindowExpr::WindowSpec(window) => {
                complete(source, &windows, window)?;
                window.clone()
            }
        };
        *definition = NamedWindowExpr::WindowSpec(window.clone());
        windows.push((name.clone(), window));
    }
    in_expressions(source, &windows, |edit| change_expressions(select, edit))
}

/// The same in the `ORDER BY` of a query, which stands behind its `SELECT`.
///
/// # Errors
/// As [`write_out`].
pub(super) fn write_out_order(source: &Source<'_>, query: &mut Query) -> Result<()> {
    let Some(order) = &mut query.order_by else { return Ok(()) };
    let definitions = match &*query.body {
        SetExpr::Select(select) => select.named_window.as_slice(),
        _ => &[],
    };
    let windows = definitions.iter().filter_map(|NamedWindowDefinition(name, definition)| match definition {
        NamedWindowExpr::WindowSpec(window) => Some((name.clone(), window.clone())),
        NamedWindowExpr::NamedWindow(_) => None,
    });
    in_expressions(source, &windows.collect(), |edit| change_expressions(order, edit))
}

fn in_expressions(
    source: &Source<'_>,
    windows: &Windows,
    each: impl FnOnce(&mut dyn FnMut(&mut Expr) -> Step) -> Step,
) -> Result<()> {
    let mut outcome = Ok(());
    let _ = each(&mut |expression| {
        if let Expr::Function(Function { over: Some(over), .. }) = expression {
            outcome = match over {
                WindowType::WindowSpec(window) => complete(source, windows, window),
                WindowType::NamedWindow(name) => named(source, windows, name).cloned().map(|window| {
                    *over = WindowType::WindowSpec(window);
                }),
            };
        }
        if outcome.is_ok() { Step::Continue(()) } else { Step::Break(()) }
    });
    outcome
}

/// Puts what a window begins with in front of what it adds.
fn complete(source: &Source<'_>, windows: &Windows, window: &mut WindowSpec) -> Result<()> {
    let Some(name) = window.window_name.take() else { return Ok(()) };
    let first = named(source, windows, &name)?;
    let added = if !window.partition_by.is_empty() {
        Some("PARTITION BY")
    } else if !window.order_by.is_empty() && !first.order_by.is_empty() {
        Some("ORDER BY")
    } else {
        None
    };
    let span = || source.span(name.span).unwrap_or_default();
    if let Some(added) = added {
        return Err(source
            .error(span(), format!("a window that begins with `{}` cannot have a {added} of its own", name.value))
            .with_help("write the window out"));
    }
    if first.window_frame.is_some() {
        return Err(source
            .error(span(), format!("window `{}` has a frame, and no other window can begin with it", name.value))
            .with_help(format!("write `OVER {}`, or take the frame out of it", name.value)));
    }
    window.partition_by.clone_from(&first.partition_by);
    if window.order_by.is_empty() {
        window.order_by.clone_from(&first.order_by);
    }
    Ok(())
}

fn named<'a>(source: &Source<'_>, windows: &'a Windows, name: &Ident) -> Result<&'a WindowSpec> {
    find(windows, name).ok_or_else(|| {
        let names: Vec<&str> = windows.iter().map(|(name, _)| name.value.as_str()).collect();
        let error = source
            .error(source.span(name.span).unwrap_or_default(), format!("there is no window `{}` before", name.value));
        match names.is_empty() {
            true => error.with_help(format!("name it: `WINDOW {} AS (PARTITION BY … ORDER BY …)`", name.value)),
            false => error.with_help(did_you_mean(&name.value, &names, "the windows before are")),
        }
    })
}

/// The window of that name: the one that is written so, or else the only one that differs from it in capitals alone.
fn find<'a>(windows: &'a Windows, name: &Ident) -> Option<&'a WindowSpec> {
    let exact = windows.iter().find(|(known, _)| known.value == name.value);
    let similar = || {
        let is_meant = |known: &Ident| known.value.to_lowercase() == name.value.to_lowercase();
        let mut similar = windows.iter().filter(|(known, _)| name.quote_style.is_none() && is_meant(known));
        similar.next().filter(|_| similar.next().is_none())
    };
    exact.or_else(similar).map(|(_, window)| window)
}
