//! Smaller relations: without clauses, without columns that nothing reads, or only a part of them.

use super::expressions::{smaller_conditions, smaller_expressions};
use crate::expression::Expression;
use crate::generate::Case;
use crate::relation::{Column, Emission, FirstRows, Item, Node, OverFunction, Relation, Window};
use crate::table::Table;

/// The same tables with less asked of them.
pub fn smaller_queries(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |query: Relation| {
        let mut query = query;
        refresh(&mut query, &case.tables);
        cases.push(Case { tables: case.tables.clone(), query });
    };
    for input in case.query.inputs() {
        add(input.clone());
    }
    for place in 0..count(&case.query) {
        let relation = at(&case.query, place);
        for smaller in smaller(relation, &case.query, place == 0) {
            let mut query = case.query.clone();
            *at_mut(&mut query, place) = smaller;
            add(query);
        }
    }
    cases
}

fn count(relation: &Relation) -> usize {
    1 + relation.inputs().into_iter().map(count).sum::<usize>()
}

/// The relation at a place, counted from the top.
fn at(relation: &Relation, place: usize) -> &Relation {
    let mut left = place;
    if left == 0 {
        return relation;
    }
    left -= 1;
    for input in relation.inputs() {
        let size = count(input);
        if left < size {
            return at(input, left);
        }
        left -= size;
    }
    relation
}

fn at_mut(relation: &mut Relation, place: usize) -> &mut Relation {
    if place == 0 {
        return relation;
    }
    let mut left = place - 1;
    let sizes: Vec<usize> = relation.inputs().into_iter().map(count).collect();
    let mut which = 0;
    while which + 1 < sizes.len() && left >= sizes[which] {
        left -= sizes[which];
        which += 1;
    }
    at_mut(relation.inputs_mut().swap_remove(which), left)
}

/// Whether something in the query reads the column of that name.
pub fn uses(query: &Relation, name: &str) -> bool {
    let read = |expression: &Expression| expression.reads(name);
    let item = |item: &Item| read(&item.expression);
    let own = match &query.node {
        Node::Table(_) => false,
        Node::Select { items, filter, .. } => items.iter().any(item) || filter.as_ref().is_some_and(read),
        Node::Window { time, window, .. } => {
            time == name || matches!(window, Window::Session { keys, .. } if keys.iter().any(|key| key == name))
        }
        Node::Aggregate { filter, keys, calls, having, .. } => {
            keys.iter().any(item)
                || filter.as_ref().is_some_and(read)
                || having.as_ref().is_some_and(read)
                || calls.iter().any(|call| {
                    call.argument.as_ref().is_some_and(read)
                        || call.filter.as_ref().is_some_and(read)
                        || call.order.iter().any(|key| key.column == name)
                })
        }
        Node::Top { partition, order, items, .. } => {
            partition.iter().any(|key| key == name)
                || order.iter().any(|key| key.column == name)
                || items.iter().any(item)
        }
        Node::Over { items, over, .. } => {
            let reads = match &over.function {
                OverFunction::Aggregate(call) => {
                    call.argument.as_ref().is_some_and(read) || call.filter.as_ref().is_some_and(read)
                }
                OverFunction::Neighbour(column, _) => column == name,
                _ => false,
            };
            reads
                || over.partition.iter().any(|key| key == name)
                || over.order.iter().any(|key| key.column == name)
                || items.iter().any(item)
        }
        Node::Join { condition, items, .. } | Node::Match { condition, items, .. } => {
            read(condition) || items.iter().any(item)
        }
        Node::Version { times, key, items, .. } => {
            [&times.0, &times.1, &key.0, &key.1].into_iter().any(|read| read == name) || items.iter().any(item)
        }
        // Its columns are all that rows are compared by.
        Node::Common { left, right, .. } => {
            [left, right].into_iter().any(|side| side.columns.iter().any(|column| column.name == name))
        }
        Node::Unnest { array, items, .. } => array == name || items.iter().any(item),
        Node::Union(inputs) => inputs.iter().any(|input| input.columns.iter().any(|column| column.name == name)),
    };
    own || query.inputs().into_iter().any(|input| uses(input, name))
}

/// Relations that may stand in the place of this one.
fn smaller(relation: &Relation, query: &Relation, is_root: bool) -> Vec<Relation> {
    let mut all = Vec::new();
    let mut add = |node: Node| all.push(Relation { node, ..relation.clone() });
    let unused = |name: &str| is_root || !uses(query, name);
    let without = |items: &[Item], place: usize| {
        let mut items = items.to_vec();
        items.remove(place);
        items
    };
    let mut node = relation.node.clone();
    match &relation.node {
        Node::Select { input, items, filter } => {
            if filter.is_some() {
                add(Node::Select { input: input.clone(), items: items.clone(), filter: None });
            }
            for place in (0..items.len()).filter(|place| items.len() > 1 && unused(&items[*place].name)) {
                add(Node::Select { input: input.clone(), items: without(items, place), filter: filter.clone() });
            }
        }
        Node::Aggregate { input, filter, keys, sets, calls, having, shown } => {
            let of_sessions = matches!(&input.node, Node::Window { window: Window::Session { .. }, .. });
            let mut with = |change: &dyn Fn(&mut Node)| {
                let mut node = relation.node.clone();
                change(&mut node);
                add(node);
            };
            if filter.is_some() {
                with(&|node| {
                    if let Node::Aggregate { filter, .. } = node {
                        *filter = None
                    }
                });
            }
            if *shown != Emission::Plain {
                with(&|node| {
                    if let Node::Aggregate { shown, .. } = node {
                        *shown = Emission::Plain
                    }
                });
            }
            if having.is_some() {
                with(&|node| {
                    if let Node::Aggregate { having, .. } = node {
                        *having = None
                    }
                });
            }
            if sets.is_some() && !calls.iter().any(|call| call.function == crate::relation::Function::Grouping) {
                with(&|node| {
                    if let Node::Aggregate { sets, .. } = node {
                        *sets = None
                    }
                });
            }
            let free = |name: &str| unused(name) && !having.as_ref().is_some_and(|having| having.reads(name));
            for place in (0..calls.len()).filter(|place| calls.len() > 1 && free(&calls[*place].name)) {
                with(&|node| {
                    if let Node::Aggregate { calls, .. } = node {
                        drop(calls.remove(place))
                    }
                });
            }
            for place in (2..keys.len()).filter(|place| !of_sessions && sets.is_none() && free(&keys[*place].name)) {
                with(&|node| {
                    if let Node::Aggregate { keys, .. } = node {
                        drop(keys.remove(place))
                    }
                });
            }
            for place in 0..calls.len() {
                if calls[place].filter.is_some() {
                    with(&|node| {
                        if let Node::Aggregate { calls, .. } = node {
                            calls[place].filter = None
                        }
                    });
                }
                if calls[place].distinct {
                    with(&|node| {
                        if let Node::Aggregate { calls, .. } = node {
                            calls[place].distinct = false
                        }
                    });
                }
            }
        }
        Node::Top { items, form, .. } => {
            if *form != FirstRows::Around {
                let mut node = relation.node.clone();
                if let Node::Top { form, .. } = &mut node {
                    *form = FirstRows::Around;
                }
                add(node);
            }
            for place in (0..items.len()).filter(|place| items.len() > 1 && unused(&items[*place].name)) {
                let mut node = relation.node.clone();
                if let Node::Top { items, .. } = &mut node {
                    items.remove(place);
                }
                add(node);
            }
        }
        Node::Over { items, .. } => {
            for place in (0..items.len()).filter(|place| items.len() > 1 && unused(&items[*place].name)) {
                let mut node = relation.node.clone();
                if let Node::Over { items, .. } = &mut node {
                    items.remove(place);
                }
                add(node);
            }
        }
        Node::Join { items, .. }
        | Node::Version { items, .. }
        | Node::Match { items, .. }
        | Node::Unnest { items, .. } => {
            for place in (0..items.len()).filter(|place| items.len() > 1 && unused(&items[*place].name)) {
                let mut node = relation.node.clone();
                if let Node::Join { items, .. }
                | Node::Version { items, .. }
                | Node::Match { items, .. }
                | Node::Unnest { items, .. } = &mut node
                {
                    items.remove(place);
                }
                add(node);
            }
        }
        Node::Union(inputs) => {
            for input in inputs {
                let items = input.columns.iter().zip(&relation.columns).map(|(own, common)| Item {
                    name: common.name.clone(),
                    expression: Expression::column(&own.name, own.data_type.clone()),
                });
                add(Node::Select { input: Box::new(input.clone()), items: items.collect(), filter: None });
            }
        }
        Node::Table(_) | Node::Window { .. } | Node::Common { .. } => {}
    }
    for place in 0..conditions(&mut node).len() {
        for condition in smaller_conditions(conditions(&mut node)[place]) {
            let mut node = relation.node.clone();
            *conditions(&mut node)[place] = condition;
            add(node);
        }
    }
    for place in 0..values(&mut node).len() {
        for value in smaller_expressions(values(&mut node)[place]) {
            let mut node = relation.node.clone();
            *values(&mut node)[place] = value;
            add(node);
        }
    }
    all
}

fn conditions(node: &mut Node) -> Vec<&mut Expression> {
    match node {
        Node::Select { filter, .. } => filter.iter_mut().collect(),
        Node::Aggregate { filter, having, calls, .. } => {
            filter.iter_mut().chain(having).chain(calls.iter_mut().filter_map(|call| call.filter.as_mut())).collect()
        }
        Node::Join { condition, .. } | Node::Match { condition, .. } => vec![condition],
        _ => Vec::new(),
    }
}

fn values(node: &mut Node) -> Vec<&mut Expression> {
    match node {
        Node::Select { items, .. } | Node::Join { items, .. } => {
            items.iter_mut().map(|item| &mut item.expression).collect()
        }
        Node::Aggregate { keys, calls, .. } => {
            let keys = keys.iter_mut().map(|key| &mut key.expression);
            keys.chain(calls.iter_mut().filter_map(|call| call.argument.as_mut())).collect()
        }
        _ => Vec::new(),
    }
}

/// Sets the columns of all relations by what they are computed from now.
pub fn refresh(relation: &mut Relation, tables: &[Table]) {
    for input in relation.inputs_mut() {
        refresh(input, tables);
    }
    let known = relation.columns.clone();
    let of = |name: &str| {
        let found = known.iter().find(|column| column.name == name);
        found.cloned()
    };
    let of_item = |item: &Item| {
        of(&item.name).unwrap_or_else(|| Column {
            name: item.name.clone(),
            data_type: item.expression.data_type.clone(),
            nullable: true,
            bound: None,
        })
    };
    relation.columns = match &relation.node {
        Node::Table(table) => tables[*table].columns.clone(),
        Node::Select { items, .. }
        | Node::Join { items, .. }
        | Node::Version { items, .. }
        | Node::Match { items, .. } => items.iter().map(of_item).collect(),
        Node::Window { input, .. } => {
            let added = ["window_start", "window_end", "window_time"].into_iter().filter_map(of);
            input.columns.iter().cloned().chain(added).collect()
        }
        Node::Aggregate { keys, calls, .. } => {
            keys.iter().map(of_item).chain(calls.iter().filter_map(|call| of(&call.name))).collect()
        }
        Node::Unnest { items, element, .. } => items.iter().map(of_item).chain(of(element)).collect(),
        Node::Over { items, over, .. } => items.iter().map(of_item).chain(of(&over.name)).collect(),
        Node::Top { items, place, .. } => items.iter().map(of_item).chain(of(place)).collect(),
        Node::Union(_) => known.clone(),
        Node::Common { left, .. } => left.columns.clone(),
    };
}
