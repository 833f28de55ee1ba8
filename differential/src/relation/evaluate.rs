//! What relations hold: naive loops over rows in memory. This is what Weir's results are compared with.

use std::collections::BTreeMap;

use super::{Call, Function, Item, JoinKind, Node, Order, Relation, Versions};
use crate::expression::{Expression, Scope, Undefined, evaluate};
use crate::table::Table;
use crate::value::{Row, Value};

type Result<T> = std::result::Result<T, Undefined>;

/// All rows of a relation, in no order.
///
/// # Errors
/// If an expression has no value for a row of it.
pub fn rows(relation: &Relation, tables: &[Table]) -> Result<Vec<Row>> {
    match &relation.node {
        Node::Table(table) => Ok(tables[*table].rows().cloned().collect()),
        Node::Select { input, items, filter } => select(rows(input, tables)?, &input.names(), items, filter.as_ref()),
        Node::Window { input, time, window } => Ok(window.assign(rows(input, tables)?, &input.names(), time)),
        Node::Aggregate { input, filter, keys, sets, calls, having, .. } => {
            let names = input.names();
            let rows = kept(rows(input, tables)?, &names, filter.as_ref())?;
            let groups = groups(&rows, &names, (keys, relation.keys_of_window()), sets.as_deref(), calls)?;
            kept(groups, &relation.names(), having.as_ref())
        }
        Node::Top { input, partition, order, ranking, limit, items, .. } => {
            let names = input.names();
            let rows = rows(input, tables)?;
            let partition: Vec<usize> = partition
                .iter()
                .map(|key| names.iter().position(|name| name == key).expect("the generator has checked it"))
                .collect();
            let mut partitions: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
            for row in &rows {
                partitions.entry(partition.iter().map(|key| row[*key].key()).collect()).or_default().push(row);
            }
            let mut result = Vec::new();
            for mut rows in partitions.into_values() {
                Order::sort(order, &mut rows, &names);
                let places = ranking.numbers(order, &rows, &names);
                for (row, place) in rows.into_iter().zip(places).filter(|(_, place)| place <= limit) {
                    let mut row = project(items, Scope { names: &names, row })?;
                    row.push(Value::Integer(place));
                    result.push(row);
                }
            }
            Ok(result)
        }
        Node::Over { input, items, over } => {
            let names = input.names();
            let mut result = Vec::new();
            for row in over.evaluate(&rows(input, tables)?, &names)? {
                let mut kept = project(items, Scope { names: &names, row: &row })?;
                kept.extend(row.last().cloned());
                result.push(kept);
            }
            Ok(result)
        }
        Node::Join { left, right, kind, condition, items } => {
            let pairs = join((left, &rows(left, tables)?), (right, &rows(right, tables)?), *kind, condition)?;
            select(pairs, &[left.names(), right.names()].concat(), items, None)
        }
        Node::Version { left, right, times, key, form, items } => {
            let (names, versions) = ([left.names(), right.names()].concat(), rows(right, tables)?);
            let place =
                |name: &String| names.iter().position(|known| known == name).expect("the generator has checked it");
            let (time, since, own, other) = (place(&times.0), place(&times.1), place(&key.0), place(&key.1));
            let mut result = Vec::new();
            for row in rows(left, tables)? {
                let pairs = versions.iter().map(|version| [&row[..], version].concat());
                let of_its_key =
                    pairs.filter(|pair| !matches!(pair[own], Value::Null) && pair[own].key() == pair[other].key());
                let last = of_its_key
                    .filter(|pair| instant(&pair[since]) <= instant(&pair[time]))
                    .max_by_key(|pair| instant(&pair[since]));
                match last {
                    Some(pair) => result.push(pair),
                    None if *form == Versions::Inner => {}
                    None => result.push([&row[..], &vec![Value::Null; right.columns.len()]].concat()),
                }
            }
            select(result, &names, items, None)
        }
        Node::Match { input, other, negated, condition, items, .. } => {
            let (names, others) = ([input.names(), other.names()].concat(), rows(other, tables)?);
            let mut result = Vec::new();
            for row in rows(input, tables)? {
                let mut matches = false;
                for partner in &others {
                    matches |= holds(condition, &names, &[&row[..], partner].concat())?;
                }
                if matches != *negated {
                    result.push(row);
                }
            }
            select(result, &input.names(), items, None)
        }
        Node::Unnest { input, array, items, .. } => {
            let names = input.names();
            let place = names.iter().position(|name| name == array).expect("the generator has checked it");
            let mut result = Vec::new();
            for row in rows(input, tables)? {
                let Value::Array(elements) = &row[place] else { continue };
                for element in elements {
                    let mut kept = project(items, Scope { names: &names, row: &row })?;
                    kept.push(element.clone());
                    result.push(kept);
                }
            }
            Ok(result)
        }
        Node::Common { left, right, rows: which } => Ok(which.of(rows(left, tables)?, &rows(right, tables)?)),
        Node::Union(inputs) => Ok(inputs.iter().map(|input| rows(input, tables)).collect::<Result<Vec<_>>>()?.concat()),
    }
}

/// A time; before all others if it is none.
fn instant(value: &Value) -> Option<i128> {
    match value {
        Value::Timestamp(instant) => Some(*instant),
        _ => None,
    }
}

fn holds(condition: &Expression, names: &[String], row: &Row) -> Result<bool> {
    Ok(matches!(evaluate(condition, Scope { names, row })?, Value::Boolean(true)))
}

fn kept(rows: Vec<Row>, names: &[String], filter: Option<&Expression>) -> Result<Vec<Row>> {
    let Some(filter) = filter else { return Ok(rows) };
    let mut kept = Vec::new();
    for row in rows {
        if holds(filter, names, &row)? {
            kept.push(row);
        }
    }
    Ok(kept)
}

fn project(items: &[Item], scope: Scope<'_>) -> Result<Row> {
    items.iter().map(|item| evaluate(&item.expression, scope)).collect()
}

fn select(rows: Vec<Row>, names: &[String], items: &[Item], filter: Option<&Expression>) -> Result<Vec<Row>> {
    let rows = kept(rows, names, filter)?;
    rows.iter().map(|row| project(items, Scope { names, row })).collect()
}

/// A row for each group of each set.
fn groups(
    rows: &[Row],
    names: &[String],
    (keys, of_window): (&[Item], usize),
    sets: Option<&[Vec<usize>]>,
    calls: &[Call],
) -> Result<Vec<Row>> {
    let all = [(0..keys.len()).collect::<Vec<_>>()];
    let sets: Vec<Vec<usize>> = match sets {
        None => all.to_vec(),
        // The window belongs to every set.
        Some(sets) => sets.iter().map(|set| (0..of_window).chain(set.iter().copied()).collect()).collect(),
    };
    let mut result = Vec::new();
    for set in sets {
        let mut groups: BTreeMap<Vec<String>, (Row, Vec<&Row>)> = BTreeMap::new();
        if keys.is_empty() {
            // All rows are one group, and so are none.
            groups.insert(Vec::new(), (Vec::new(), Vec::new()));
        }
        for row in rows {
            let mut values = project(keys, Scope { names, row })?;
            for (place, value) in values.iter_mut().enumerate() {
                if !set.contains(&place) {
                    *value = Value::Null;
                }
            }
            let key = values.iter().map(Value::key).collect();
            groups.entry(key).or_insert_with(|| (values, Vec::new())).1.push(row);
        }
        for (mut group, rows) in groups.into_values() {
            for call in calls {
                group.push(match call.function {
                    Function::Grouping => grouping(call, keys, &set),
                    _ => call.evaluate(&rows, names)?,
                });
            }
            result.push(group);
        }
    }
    Ok(result)
}

/// 1 if the key does not belong to the set.
fn grouping(call: &Call, keys: &[Item], set: &[usize]) -> Value {
    let asked = call.argument.as_ref().map(crate::expression::sql);
    let place = keys.iter().position(|key| Some(crate::expression::sql(&key.expression)) == asked);
    Value::Integer(i64::from(!place.is_some_and(|place| set.contains(&place))))
}

fn join(
    (left, left_rows): (&Relation, &[Row]),
    (right, right_rows): (&Relation, &[Row]),
    kind: JoinKind,
    condition: &Expression,
) -> Result<Vec<Row>> {
    let names = [left.names(), right.names()].concat();
    let nulls = |relation: &Relation| vec![Value::Null; relation.columns.len()];
    let mut matched = vec![false; right_rows.len()];
    let mut pairs = Vec::new();
    for row in left_rows {
        let mut alone = true;
        for (partner, matched) in right_rows.iter().zip(&mut matched) {
            let pair = [&row[..], partner].concat();
            if holds(condition, &names, &pair)? {
                (alone, *matched) = (false, true);
                pairs.push(pair);
            }
        }
        if alone && kind.keeps_left() {
            pairs.push([&row[..], &nulls(right)].concat());
        }
    }
    if kind.keeps_right() {
        let alone = right_rows.iter().zip(&matched).filter(|(_, matched)| !**matched);
        pairs.extend(alone.map(|(row, _)| [&nulls(left)[..], row].concat()));
    }
    Ok(pairs)
}
