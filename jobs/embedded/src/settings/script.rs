//! What a script sets.

use weir_core::Result;
use weir_sql::diagnostics::error_at;
use weir_sql::{Script, Statement};

use super::Layers;

/// Takes the script's `SET`s and `RESET`s in, in their order.
///
/// # Errors
/// If one sets what does not exist or cannot be, with its place.
pub fn apply_settings(script: &Script, layers: &mut Layers) -> Result<()> {
    for statement in &script.statements {
        let (outcome, key, value) = match &statement.value {
            Statement::Set { key, value } => (layers.set_in_script(&key.value, &value.value), key.span, value.span),
            Statement::Reset { key: Some(key) } => (layers.reset_in_script(Some(&key.value)), key.span, key.span),
            Statement::Reset { key: None } => (layers.reset_in_script(None), statement.span, statement.span),
            _ => continue,
        };
        outcome.map_err(|problem| {
            let span = if problem.in_value { value } else { key };
            error_at(&script.text, span, problem.message).with_help(problem.help)
        })?;
    }
    Ok(())
}
