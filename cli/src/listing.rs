//! `weir options` and `weir connectors`: what there is, as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use weir_connectors::options::nearest;
use weir_core::connector::{OptionInfo, Role};
use weir_core::{Connector, ConnectorRegistry, Error, Result};
use weir_functions::sql_type_name;

use crate::settings::registry::{SETTINGS, Setting};

/// Columns that prose is broken at.
const WIDTH: usize = 96;

/// All settings, for people.
pub fn settings() -> String {
    let mut text = String::new();
    for setting in SETTINGS {
        text.push_str(setting.key);
        if let Some(flag) = setting.flag {
            text.extend(["  (", flag, ")"]);
        }
        text.push('\n');
        wrap(setting.doc, &mut text);
        wrap(&facts(setting), &mut text);
        text.push('\n');
    }
    text.push_str(
        "Set them with -D key=value, in a TOML file (--config), or with SET 'key' = 'value' in the script.\n",
    );
    text
}

fn facts(setting: &Setting) -> String {
    let mut facts = format!("Takes {}; default: {}.", setting.kind.expected(), setting.default.describe());
    if !setting.aliases.is_empty() {
        let _ = write!(facts, " Also known as {}.", setting.aliases.join(", "));
    }
    facts
}

/// All settings, for programs.
pub fn settings_json() -> String {
    let list: Vec<_> = SETTINGS
        .iter()
        .map(|setting| {
            serde_json::json!({
                "key": setting.key,
                "aliases": setting.aliases,
                "type": setting.kind.expected(),
                "default": setting.default.describe(),
                "flag": setting.flag,
                "doc": setting.doc,
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(list))
}

/// The connectors by name and role.
pub fn connectors(registry: &dyn ConnectorRegistry) -> String {
    let mut text = String::new();
    for connector in registry.names().into_iter().filter_map(|name| registry.get(name)) {
        let _ = writeln!(text, "{:<12} {}", connector.name(), roles(connector.as_ref()));
    }
    text.push_str("\n`weir connectors NAME` lists the options of one.\n");
    text
}

fn roles(connector: &dyn Connector) -> &'static str {
    match (connector.supports(Role::Source), connector.supports(Role::Sink)) {
        (true, true) => "source and sink",
        (true, false) => "source",
        (false, true) => "sink",
        (false, false) => "",
    }
}

/// The options of one connector, and of `format` if given.
///
/// # Errors
/// If there is no such connector.
pub fn connector(registry: &dyn ConnectorRegistry, name: &str, format: Option<&str>) -> Result<String> {
    let connector = registry.get(name).ok_or_else(|| {
        let error = Error::user(format!("there is no connector '{name}'"));
        match nearest(name, registry.names()) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help("`weir connectors` lists them"),
        }
    })?;
    let given: BTreeMap<String, String> =
        format.iter().map(|format| ("format".to_owned(), (*format).to_owned())).collect();
    let mut text = format!("{} ({})\n", connector.name(), roles(connector.as_ref()));
    for option in connector.options(&given) {
        describe(&option, &mut text);
    }
    let metadata = connector.metadata_columns();
    if !metadata.is_empty() {
        text.push_str("\nMetadata columns:\n");
        for field in metadata {
            let _ = writeln!(text, "  {:<20} {}", field.name(), sql_type_name(field.data_type()));
        }
    }
    Ok(text)
}

fn describe(option: &OptionInfo, text: &mut String) {
    let required = if option.required { "  (required)" } else { "" };
    let _ = writeln!(text, "\n'{}'{required}", option.name);
    wrap(option.doc, text);
}

/// Breaks prose into indented lines.
fn wrap(prose: &str, text: &mut String) {
    const INDENT: &str = "    ";
    let mut column = 0;
    for word in prose.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.push_str(INDENT);
            column = INDENT.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}
