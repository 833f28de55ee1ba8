//! Queries: streams, what windows make of them, and what stands above.

use super::Generator;
use crate::expression::{Expression, Operator, Scope, evaluate};
use crate::relation::{Column, Item, Node, Relation, rows};
use crate::types::Type;
use crate::value::{Row, Value};

impl Generator {
    /// The query of a case.
    pub(super) fn query(&mut self) -> Relation {
        let query = match self.random.below(15) {
            0 => self.stream(2),
            1..=5 => {
                let window = self.window();
                self.windowed(&window, 2)
            }
            6 => self.sessions(1),
            7..=9 => self.interval_join(1),
            10..=12 => self.regular_join(2),
            _ => self.regular_groups(2),
        };
        let query = match query.node {
            Node::Window { .. } | Node::Table(_) => self.select(query, 60),
            _ if self.random.chance(50) => self.select(query, 60),
            _ => query,
        };
        if self.random.chance(8) { self.union_with_itself(query) } else { query }
    }

    /// The query of a case about versions.
    pub(super) fn version_query(&mut self) -> Relation {
        let joined = self.version_join(1);
        if self.random.chance(50) { self.select(joined, 60) } else { joined }
    }

    /// Rows with a time attribute.
    pub(super) fn stream(&mut self, depth: usize) -> Relation {
        let table = self.random.below(self.tables.len());
        let table = self.scan(table);
        match self.random.below(10) {
            0..=3 => table,
            4..=5 => self.select(table, 40),
            6 => {
                let rows = self.select(table, 20);
                self.unnest(rows)
            }
            7 if depth > 0 => {
                let first = self.select(table, 40);
                self.union_with_itself(first)
            }
            _ if depth > 0 => {
                let result = if self.random.chance(25) {
                    self.sessions(depth - 1)
                } else {
                    let window = self.window();
                    self.aggregate(&window, depth - 1)
                };
                if result.times.is_empty() { table } else { result }
            }
            _ => table,
        }
    }

    pub(super) fn scan(&mut self, place: usize) -> Relation {
        let table = &self.tables[place];
        Relation {
            node: Node::Table(place),
            columns: table.columns.clone(),
            times: vec![table.time.clone()],
            window: None,
            unique: Some(vec![table.columns[0].name.clone()]),
        }
    }

    /// A projection, in so many of a hundred cases with a filter. Time attributes, bounds of windows and what makes rows unique stay.
    pub(super) fn select(&mut self, input: Relation, filtered: usize) -> Relation {
        let filter = if self.random.chance(filtered) { self.filter(&input) } else { None };
        let kept: Vec<String> = input
            .times
            .iter()
            .chain(input.window.iter().flat_map(|(start, end)| [start, end]))
            .chain(input.unique.iter().flatten())
            .cloned()
            .collect();
        let mut items = Vec::new();
        let mut columns = Vec::new();
        let mut renamed: Vec<(String, String)> = Vec::new();
        for column in &input.columns {
            if kept.contains(&column.name) || self.random.chance(70) {
                let name = self.name();
                items.push(Item {
                    name: name.clone(),
                    expression: Expression::column(&column.name, column.data_type.clone()),
                });
                renamed.push((column.name.clone(), name.clone()));
                columns.push(Column { name, ..column.clone() });
            }
        }
        for _ in 0..self.random.between(0, 3) {
            let item = self.computed_item(&input.columns);
            columns.push(self.column_of(&item, &input.columns));
            items.push(item);
        }
        if items.is_empty() {
            let item = self.computed_item(&input.columns);
            columns.push(self.column_of(&item, &input.columns));
            items.push(item);
        }
        let new = |old: &String| renamed.iter().find(|(known, _)| known == old).map(|(_, new)| new.clone());
        let times = input.times.iter().filter_map(new).collect();
        let window = input.window.as_ref().and_then(|(start, end)| new(start).zip(new(end)));
        // What is unique in a window is not so outside of it.
        let is_left = input.window.is_some() && window.is_none();
        let unique = input.unique.as_ref().filter(|_| !is_left).and_then(|unique| unique.iter().map(new).collect());
        Relation { node: Node::Select { input: Box::new(input), items, filter }, columns, times, window, unique }
    }

    /// A row for each element of an array, if there is an array.
    fn unnest(&mut self, input: Relation) -> Relation {
        let of_scalars = |column: &Column| matches!(&column.data_type, Type::Array(element) if element.is_scalar());
        let Some(array) = self.column_where(&input.columns, of_scalars).cloned() else { return input };
        let Type::Array(element_type) = array.data_type else { return input };
        let (items, mut columns) = self.renamed(&input.columns);
        let times = input.times.iter().map(|time| renamed(time, &items)).collect();
        let element = self.name();
        columns.push(Column { name: element.clone(), data_type: *element_type, nullable: true, bound: None });
        let node = Node::Unnest { input: Box::new(input), array: array.name, element, items };
        Relation { node, columns, times, window: None, unique: None }
    }

    /// All columns under new names.
    pub(super) fn renamed(&mut self, columns: &[Column]) -> (Vec<Item>, Vec<Column>) {
        let mut items = Vec::new();
        let mut renamed = Vec::new();
        for column in columns {
            let name = self.name();
            items.push(Item {
                name: name.clone(),
                expression: Expression::column(&column.name, column.data_type.clone()),
            });
            renamed.push(Column { name, ..column.clone() });
        }
        (items, renamed)
    }

    /// A condition that most often leaves rows.
    pub(super) fn filter(&mut self, input: &Relation) -> Option<Expression> {
        let rows = self.rows_of(input);
        for _ in 0..4 {
            let condition = self.condition(&input.columns, 2);
            if rows.is_empty() || self.random.chance(10) || holds_for_some(&condition, &input.names(), &rows) {
                return Some(condition);
            }
        }
        None
    }

    /// The rows of a relation; none if it has no answer.
    pub(super) fn rows_of(&self, relation: &Relation) -> Vec<Row> {
        rows(relation, &self.tables).unwrap_or_default()
    }

    /// A computed column; constants, and what is not null for a null, are frequent.
    pub(super) fn computed_item(&mut self, scope: &[Column]) -> Item {
        let data_type =
            if self.random.chance(50) { self.scalar_type() } else { self.random.pick(scope).data_type.clone() };
        let expression = match self.random.below(10) {
            0 if data_type.is_scalar() => self.literal(&data_type),
            1 => self.condition(scope, 1),
            2 => {
                let value = self.leaf(scope, &data_type);
                let other = if data_type.is_scalar() { self.literal(&data_type) } else { self.leaf(scope, &data_type) };
                Expression::new(Operator::Coalesce, vec![value, other], data_type)
            }
            3 => self.row_or_array(scope),
            _ => self.expression(scope, &data_type, 3),
        };
        Item { name: self.name(), expression }
    }

    fn row_or_array(&mut self, scope: &[Column]) -> Expression {
        let data_type = self.scalar_of(scope);
        let (first, second) = (self.leaf(scope, &data_type), self.leaf(scope, &data_type));
        Expression::new(Operator::MakeArray, vec![first, second], Type::Array(Box::new(data_type)))
    }

    pub(super) fn column_of(&self, item: &Item, scope: &[Column]) -> Column {
        Column {
            name: item.name.clone(),
            data_type: item.expression.data_type.clone(),
            nullable: true,
            bound: super::bound::bound(&item.expression, scope),
        }
    }

    /// The relation twice, the second time differently filtered or computed.
    fn union_with_itself(&mut self, first: Relation) -> Relation {
        let mut second = first.clone();
        if let Node::Select { filter, input, .. } = &mut second.node {
            let scope = input.columns.clone();
            *filter = self.random.chance(80).then(|| self.condition(&scope, 1));
        }
        let mut columns = Vec::new();
        let mut renamed = Vec::new();
        for column in &first.columns {
            let name = self.name();
            renamed.push((column.name.clone(), name.clone()));
            columns.push(Column { name, ..column.clone() });
        }
        let new = |old: &String| renamed.iter().find(|(known, _)| known == old).map(|(_, new)| new.clone());
        let times = first.times.iter().filter_map(new).collect();
        let window = first.window.as_ref().and_then(|(start, end)| new(start).zip(new(end)));
        Relation { node: Node::Union(vec![first, second]), columns, times, window, unique: None }
    }
}

/// Whether the condition is true for one of the rows.
pub fn holds_for_some(condition: &Expression, names: &[String], rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(evaluate(condition, Scope { names, row }), Ok(Value::Boolean(true))))
}

/// The new name of a column that was renamed.
pub fn renamed(old: &str, items: &[Item]) -> String {
    let is_old = |item: &&Item| matches!(&item.expression.operator, Operator::Column(name) if name == old);
    items.iter().find(is_old).map(|item| item.name.clone()).expect("all columns have been renamed")
}
