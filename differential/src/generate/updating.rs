//! Queries over each other without regard to windows and times: joins under aggregations under first rows under joins. What one of
//! them gives changes as rows come, and the next one has to follow.

use super::Generator;
use crate::expression::{Expression, Operator, sql};
use crate::relation::{Column, CommonRows, Emission, Function, Item, Node, Relation};

impl Generator {
    /// The query of a case.
    pub(super) fn updating_query(&mut self) -> Relation {
        let query = self.updating(3);
        match query.node {
            Node::Table(_) | Node::Window { .. } => self.groups_of(query),
            _ => query,
        }
    }

    /// A relation of which others may be made `depth` times more.
    fn updating(&mut self, depth: usize) -> Relation {
        let result = match self.random.below(18) {
            _ if depth == 0 => self.stream(0),
            0..=3 => {
                let (left, right) = (self.updating(depth - 1), self.updating(depth - 1));
                let (left, right) = (self.side(left), self.side(right));
                self.joined(left, right)
            }
            4..=7 => {
                let input = self.updating(depth - 1);
                self.groups_of(input)
            }
            8 | 9 => {
                let input = self.updating(depth - 1);
                self.first_rows(input, Vec::new())
            }
            12 | 13 => {
                let input = self.updating(depth - 1);
                self.with_over(input)
            }
            10 => {
                let input = self.updating(depth - 1);
                self.select(input, 60)
            }
            14 | 15 => self.shown_early(depth - 1),
            16 | 17 => {
                let input = self.updating(depth - 1);
                self.common_rows(input)
            }
            _ => self.stream(1),
        };
        let is_table = matches!(result.node, Node::Table(_));
        // What is unique in a window is not so outside of it.
        let unique = if result.window.is_some() { None } else { result.unique };
        let times = if is_table { result.times } else { Vec::new() };
        Relation { times, window: None, unique, ..result }
    }

    /// Groups of windows, or of sessions, that are shown before those close, or that rows may be late for.
    fn shown_early(&mut self, depth: usize) -> Relation {
        let mut groups = if self.random.chance(35) {
            self.sessions(depth.min(1))
        } else {
            let window = self.window();
            self.aggregate(&window, depth.min(1))
        };
        if let Node::Aggregate { shown, .. } = &mut groups.node {
            *shown = match self.random.below(10) {
                0..=2 => self.paced(),
                3 => Emission::Late(*self.random.pick(&[1, 1000, 60_000])),
                _ => Emission::OnUpdate,
            };
        }
        let shown = self.select(groups, 20);
        Relation { times: Vec::new(), window: None, unique: None, ..shown }
    }

    /// Once in an interval in which several markers may pass, or none.
    fn paced(&mut self) -> Emission {
        Emission::Every(*self.random.pick(&[1, 20, 300]))
    }

    /// Rows that a relation has in common with some of its own, or has not.
    fn common_rows(&mut self, input: Relation) -> Relation {
        let left = Relation { times: Vec::new(), window: None, unique: None, ..input };
        let left = match left.node {
            Node::Table(_) | Node::Window { .. } => self.groups_of(left),
            _ => left,
        };
        let (items, columns) = self.renamed(&left.columns);
        let filter = self.random.chance(70).then(|| self.condition(&left.columns, 1));
        let right = Node::Select { input: Box::new(left.clone()), items, filter };
        let right = Relation { node: right, columns, times: Vec::new(), window: None, unique: None };
        let rows = CommonRows { except: self.random.chance(50), all: self.random.chance(50) };
        let columns = left.columns.clone();
        let node = Node::Common { left: Box::new(left), right: Box::new(right), rows };
        Relation { node, columns, times: Vec::new(), window: None, unique: None }
    }

    /// Groups of all rows by some of their columns, or by none.
    fn groups_of(&mut self, input: Relation) -> Relation {
        let input = Relation { times: Vec::new(), window: None, ..input };
        let scope = input.columns.clone();
        let mut keys: Vec<Item> = Vec::new();
        for _ in 0..self.random.between(0, 3) {
            let nested = self.random.chance(20);
            let column = self.column_where(&scope, |column| nested || column.data_type.is_scalar()).cloned();
            let expression = match column {
                Some(column) if self.random.chance(75) => Expression::column(&column.name, column.data_type),
                _ => {
                    let data_type = self.scalar_of(&scope);
                    self.expression(&scope, &data_type, 2)
                }
            };
            let is_new = !keys.iter().any(|known| sql(&known.expression) == sql(&expression));
            if is_new && !matches!(expression.operator, Operator::Literal(_)) {
                keys.push(Item { name: self.name(), expression });
            }
        }
        let sets = (keys.len() > 1 && self.random.chance(15)).then(|| self.sets_of(keys.len()));
        let filter = if self.random.chance(25) { self.filter(&input) } else { None };
        let mut calls = Vec::new();
        for _ in 0..self.random.between(0, 4) {
            calls.extend(self.call(&input));
        }
        let distinct = !keys.is_empty() && sets.is_none() && self.random.chance(30);
        if calls.is_empty() && !distinct {
            calls.push(self.call_of(Function::Count));
        }
        let mut columns: Vec<Column> = keys.iter().map(|key| self.column_of(key, &scope)).collect();
        columns.extend(calls.iter().map(|call| Column {
            name: call.name.clone(),
            data_type: call.data_type.clone(),
            nullable: true,
            bound: self.call_bound(call, &scope),
        }));
        // Others are ordered by it, and nothing is ordered by what is nested.
        let has_order = keys.iter().all(|key| key.expression.data_type.is_scalar());
        let unique = (sets.is_none() && has_order).then(|| keys.iter().map(|key| key.name.clone()).collect());
        let has_calls = !calls.is_empty();
        let shown = if self.random.chance(15) { self.paced() } else { Emission::Plain };
        let node = Node::Aggregate { input: Box::new(input), filter, keys, sets, calls, having: None, shown };
        let mut groups = Relation { node, columns, times: Vec::new(), window: None, unique };
        if has_calls && self.random.chance(25) {
            self.add_having(&mut groups);
        }
        groups
    }

    /// Grouping sets of so many keys, each in one of them.
    fn sets_of(&mut self, keys: usize) -> Vec<Vec<usize>> {
        let mut sets: Vec<Vec<usize>> = vec![(0..keys).collect()];
        for _ in 0..self.random.between(1, 2) {
            let set: Vec<usize> = (0..keys).filter(|_| self.random.chance(50)).collect();
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets
    }
}
