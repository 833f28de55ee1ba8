//! A script of `CREATE`s and `DROP`s over a catalog.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;

use super::databases::{Within, use_of};
use super::{Declaration, DeclarationKind, beginning, closure, declarations};
use crate::catalog::{Catalog, Databases, Found, Relation, find, is_quoted};
use crate::diagnostics::{Source, behind_lines, did_you_mean, one_of};
use crate::logical::Tables;
use crate::parse::{DEFAULT_DATABASE, parse};
use crate::statement::{Span, Spanned, Statement};

/// What a catalog declares once a script has been carried out. Each declaration stands behind those that it uses.
///
/// # Errors
/// A user error at its place in `text`, or one about what the catalog has and could not be used any more.
pub fn changed(
    statements: &[String],
    text: &str,
    connectors: &Arc<dyn ConnectorRegistry>,
    functions: &Arc<Functions>,
) -> Result<Vec<Declaration>> {
    let script = parse(text)?;
    let source = Source::new(text);
    let mut declared = declarations(statements);
    let mut within = super::within(&declared);
    // What is another thing now, or nothing: names in small letters.
    let mut touched = BTreeSet::new();
    let mut created: Vec<(Declaration, Span)> = Vec::new();
    for statement in &script.statements {
        let gone = match &statement.value {
            Statement::Drop { name, view, if_exists } => {
                let kind = if *view { DeclarationKind::View } else { DeclarationKind::Table };
                found(&source, (&declared, &within), name, kind, *if_exists)?
            }
            Statement::DropFunction { name, if_exists } => {
                found(&source, (&declared, &within), name, DeclarationKind::Function, *if_exists)?
            }
            Statement::DropDatabase { name, if_exists, cascade } => {
                let Some(there) = found(&source, (&declared, &within), name, DeclarationKind::Database, *if_exists)?
                else {
                    continue;
                };
                let database = declared[there].clone();
                let tables: Vec<&str> =
                    declared.iter().filter(|known| is_relation(known)).map(|known| known.name.as_str()).collect();
                let mut databases = Databases::default();
                databases.note(&database.name);
                databases.note_use(within.current());
                databases.drop(&source, name, (false, *cascade), &tables)?;
                let mut also = Vec::new();
                declared.retain(|known| {
                    let is_in_it = is_relation(known) && within.database_of(&known.name) == database.name;
                    also.extend(is_in_it.then(|| known.key()));
                    !is_in_it
                });
                touched.extend(also);
                declared.iter().position(|known| *known == database)
            }
            Statement::UseCatalog => continue,
            // It is no declaration of the catalog's.
            Statement::CreateDatabase { name, if_not_exists } if name.value.eq_ignore_ascii_case(DEFAULT_DATABASE) => {
                Databases::default().create(&source, name, *if_not_exists)?;
                continue;
            }
            Statement::Use(name) => {
                let is_default = name.value.eq_ignore_ascii_case(DEFAULT_DATABASE);
                if !is_default {
                    found(&source, (&declared, &within), name, DeclarationKind::Database, false)?;
                }
                within.follow(&statement.value);
                continue;
            }
            Statement::AlterTable(alter) => {
                let kind = DeclarationKind::Table;
                let there = found(&source, (&declared, &within), &alter.name, kind, alter.if_exists)?;
                let Some(there) = there else { continue };
                let before = declared.remove(there);
                touched.insert(before.key());
                created.retain(|(known, _)| *known != before);
                let after = before.altered(&script, statement, &within);
                let after = after.ok_or_else(|| Error::internal("an ALTER TABLE changes no table"))?;
                if declared.iter().any(|known| known.is_rival(&after)) {
                    let what = format!("there is a table or view `{}` already", after.name);
                    return Err(source.error(statement.span, what).with_help("choose another name"));
                }
                touched.insert(after.key());
                declared.insert(there, after);
                None
            }
            other => {
                let new = Declaration::of(&script, statement, &within).ok_or_else(|| {
                    let what = "a catalog has CREATE TABLE, CREATE VIEW, CREATE FUNCTION, CREATE DATABASE, ALTER TABLE, DROP and USE, \
                                and no other statements";
                    let help = "leave this one to the scripts that use the catalog; CREATE TABLE … AS is a job as well";
                    source.error(statement.span, what).with_help(help)
                })?;
                within.follow(other);
                let there = declared.iter().position(|known| known.is_rival(&new));
                match (there, terms(other)) {
                    (Some(_), Terms { if_not_exists: true, .. }) => continue,
                    (Some(there), Terms { or_replace, name, .. })
                        if !or_replace || declared[there].kind != new.kind =>
                    {
                        let what =
                            format!("there is a {} `{}` already", declared[there].kind.name(), declared[there].name);
                        return Err(source.error(name, what).with_help("choose another name, or DROP the first one"));
                    }
                    (there, _) => {
                        touched.insert(new.key());
                        created.retain(|(known, _)| !known.is_rival(&new));
                        created.push((new.clone(), statement.span));
                        declared.push(new);
                        there
                    }
                }
            }
        };
        if let Some(gone) = gone {
            let gone = declared.remove(gone);
            touched.insert(gone.key());
        }
    }
    let declared = in_order(declared);
    for declaration in &declared {
        let span = created.iter().find(|(known, _)| known == declaration).map(|(_, span)| *span);
        let others: Vec<&Declaration> = closure(&declared, declaration.uses.clone());
        let is_touched = |uses: &BTreeSet<String>| !uses.is_disjoint(&touched);
        if span.is_some()
            || touched.contains(&declaration.key())
            || is_touched(&declaration.uses)
            || others.iter().any(|other| is_touched(&other.uses))
        {
            check(&source, declaration, span, &others, connectors, functions)?;
        }
    }
    Ok(declared)
}

fn is_relation(declaration: &Declaration) -> bool {
    matches!(declaration.kind, DeclarationKind::Table | DeclarationKind::View)
}

impl Declaration {
    /// Whether there cannot be both.
    pub(super) fn is_rival(&self, other: &Self) -> bool {
        match (self.kind, other.kind) {
            (DeclarationKind::Function, DeclarationKind::Function)
            | (DeclarationKind::Database, DeclarationKind::Database) => self.key() == other.key(),
            _ => is_relation(self) && is_relation(other) && self.name == other.name,
        }
    }
}

/// How a `CREATE` treats what is there.
struct Terms {
    or_replace: bool,
    if_not_exists: bool,
    name: Span,
}

fn terms(statement: &Statement) -> Terms {
    match statement {
        Statement::CreateTable(table) => {
            Terms { or_replace: table.or_replace, if_not_exists: table.if_not_exists, name: table.name.span }
        }
        Statement::CreateView { name, or_replace, if_not_exists, .. } => {
            Terms { or_replace: *or_replace, if_not_exists: *if_not_exists, name: name.span }
        }
        Statement::CreateFunction(function) => {
            Terms { or_replace: function.or_replace, if_not_exists: function.if_not_exists, name: function.name.span }
        }
        Statement::CreateDatabase { name, if_not_exists } => {
            Terms { or_replace: false, if_not_exists: *if_not_exists, name: name.span }
        }
        _ => Terms { or_replace: false, if_not_exists: false, name: Span::default() },
    }
}

/// Which declaration a `DROP` means.
fn found(
    source: &Source<'_>,
    (declared, within): (&[Declaration], &Within),
    name: &Spanned<String>,
    kind: DeclarationKind,
    if_exists: bool,
) -> Result<Option<usize>> {
    let is_function = kind == DeclarationKind::Function;
    let of_kind = |known: &&Declaration| match kind {
        DeclarationKind::Table | DeclarationKind::View => is_relation(known),
        DeclarationKind::Function | DeclarationKind::Database => known.kind == kind,
    };
    let named = match kind {
        DeclarationKind::Table | DeclarationKind::View => within.full_name(&name.value),
        DeclarationKind::Function | DeclarationKind::Database => name.value.clone(),
    };
    let names: Vec<&str> = declared.iter().filter(of_kind).map(|known| known.name.as_str()).collect();
    let wanted = match find(names.iter().copied(), &named, !is_function && is_quoted(source, name.span)) {
        Found::One(found) => declared.iter().position(|known| known.name == found && of_kind(&known)),
        Found::None if if_exists => return Ok(None),
        Found::None => {
            return Err(source
                .error(name.span, format!("there is no {} `{}` in the catalog", kind.name(), name.value))
                .with_help(did_you_mean(&name.value, &names, "it has")));
        }
        Found::Several(names) => {
            return Err(source
                .error(name.span, format!("`{}` could be any of {}", name.value, one_of(&names)))
                .with_help("write it in backticks, with its capitals"));
        }
    };
    match wanted.map(|wanted| &declared[wanted]) {
        Some(other) if other.kind != kind => Err(source
            .error(name.span, format!("`{}` is a {}", other.name, other.kind.name()))
            .with_help(format!("write `DROP {} {}`", other.kind.name().to_uppercase(), other.name))),
        _ => Ok(wanted),
    }
}

/// Each behind those that it uses, and else as they were.
fn in_order(mut left: Vec<Declaration>) -> Vec<Declaration> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |one: &Declaration| left.iter().any(|other| other != one && one.uses.contains(&other.key()));
        // Where each waits for another one of them is wrong, and is told where it is looked at.
        let next = left.iter().position(|one| !waits(one)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

/// Whether a declaration is right behind those that it needs, and means the same wherever a script is.
fn check(
    script: &Source<'_>,
    declaration: &Declaration,
    place: Option<Span>,
    others: &[&Declaration],
    connectors: &Arc<dyn ConnectorRegistry>,
    functions: &Arc<Functions>,
) -> Result<()> {
    let Declaration { kind, name, statement, database, .. } = declaration;
    let others: Vec<String> = others.iter().filter(|other| **other != declaration).map(|other| other.kept()).collect();
    let before = match database.as_str() {
        DEFAULT_DATABASE => beginning(&others),
        _ => format!("{}{};\n", beginning(&others), use_of(database)),
    };
    let lines = before.matches('\n').count();
    // Errors in what is new have the place that it has in the script.
    let (line, column) = place.map_or((1, 1), |place| script.line_and_column(place.start));
    let text = format!("{before}{}{}{statement};\n", "\n".repeat(line - 1), " ".repeat(column - 1));
    let told = |error: Error| match place {
        Some(_) => behind_lines(error, lines),
        None => error.context(format!("the {} `{name}` of the catalog would not go on to work", kind.name())),
    };
    let parsed = parse(&text).map_err(told)?;
    let mut catalog = Catalog::new(connectors.clone(), functions.clone());
    let mut elsewhere = catalog.clone().anchored(Some("/".into()));
    for statement in &parsed.statements {
        for catalog in [&mut catalog, &mut elsewhere] {
            catalog.apply(&parsed, statement).map_err(told)?;
        }
    }
    match (catalog.relation(name), elsewhere.relation(name)) {
        (Some(Relation::Table(here)), Some(Relation::Table(there))) if here.options != there.options => {
            Err(Error::user(format!("table `{name}` has a relative path, which is another place for each script"))
                .with_help("write it from the root, as in `'path' = '/data/flights'`"))
        }
        (Some(Relation::View(view)), _) if *kind == DeclarationKind::View => {
            let span = catalog.statement(name).unwrap_or_default();
            Tables::new(&text, &catalog, span).query(&view.query).map(drop).map_err(told)
        }
        _ => Ok(()),
    }
}
