//! Windows, and what is computed in them: groups, first rows, sessions.

use super::queries::{holds_for_some, renamed};
use super::{Generator, Topic};
use crate::expression::{Comparison, Expression, Operator, sql};
use crate::relation::{Call, Column, Emission, FirstRows, Function, Item, Node, Order, Ranking, Relation, Window};
use crate::types::Type;

impl Generator {
    /// A window that is no session.
    pub(super) fn window(&mut self) -> Window {
        let unit = *self.random.pick(&[1000, 1000, 5000, 10_000, 60_000]);
        let count = self.random.between(1, 5);
        let offset = if self.random.chance(20) { self.random.between(-3, 3) * 1000 } else { 0 };
        match self.random.below(6) {
            0..=2 => Window::Tumble { size: unit * count, offset },
            3 | 4 => Window::Hop { slide: unit, size: unit * count, offset },
            _ => Window::Cumulate { step: unit, size: unit * count, offset },
        }
    }

    /// The rows of a stream in windows.
    fn in_windows(&mut self, window: &Window, depth: usize) -> Relation {
        let input = self.stream(depth);
        let time = self.random.pick(&input.times).clone();
        over(input, time, window.clone())
    }

    /// A relation with the bounds of these windows.
    pub(super) fn windowed(&mut self, window: &Window, depth: usize) -> Relation {
        match self.random.below(10) {
            0 if depth > 0 => {
                let input = self.windowed(window, depth - 1);
                self.top(input)
            }
            1 | 2 if depth > 0 => self.window_join(window, depth - 1),
            3 if depth > 0 => self.window_match(window, depth - 1),
            4 => {
                let input = self.in_windows(window, depth);
                self.top(input)
            }
            5 => {
                let input = self.in_windows(window, depth);
                self.select(input, 40)
            }
            6 if depth > 0 => {
                let input = self.windowed(window, depth - 1);
                if input.window.is_some() { self.group(input, Vec::new()) } else { input }
            }
            _ => self.aggregate(window, depth),
        }
    }

    /// Groups of rows in windows.
    pub(super) fn aggregate(&mut self, window: &Window, depth: usize) -> Relation {
        let input = self.in_windows(window, depth);
        self.group(input, Vec::new())
    }

    /// Groups of sessions.
    pub(super) fn sessions(&mut self, depth: usize) -> Relation {
        let input = self.stream(depth);
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..self.random.between(0, 2) {
            let key =
                self.column_where(&input.columns, |column| column.data_type.is_scalar()).map(|key| key.name.clone());
            keys.extend(key.filter(|key| !keys.contains(key) && !input.times.contains(key)));
        }
        let gap = *self.random.pick(&[1000, 2000, 10_000, 60_000]);
        let time = self.random.pick(&input.times).clone();
        let window = Window::Session { keys: keys.clone(), gap };
        self.group(over(input, time, window), keys)
    }

    /// Groups by the window and further keys; these, if it is of sessions.
    fn group(&mut self, input: Relation, session_keys: Vec<String>) -> Relation {
        let of_sessions = matches!(input.node, Node::Window { window: Window::Session { .. }, .. });
        let over_windows = matches!(input.node, Node::Window { .. });
        let (start, end) = input.window.clone().expect("only what has a window is grouped");
        let scope = &input.columns;
        let item = |generator: &mut Self, name: &str| Item {
            name: generator.name(),
            expression: Expression::column(name, input.column(name).data_type.clone()),
        };
        let mut keys = vec![item(self, &start), item(self, &end)];
        let window = Some((keys[0].name.clone(), keys[1].name.clone()));
        let mut times = Vec::new();
        if over_windows && (self.random.chance(60) || of_sessions) {
            keys.push(item(self, "window_time"));
            times.push(keys[2].name.clone());
        }
        let fixed = keys.len();
        if of_sessions {
            keys.extend(session_keys.iter().map(|key| item(self, key)));
        } else {
            for _ in 0..self.random.between(0, 2) {
                let scalar = self.column_where(scope, |column| column.data_type.is_scalar()).cloned();
                match scalar {
                    Some(column) if self.random.chance(75) => keys.push(item(self, &column.name)),
                    _ => {
                        let data_type = self.scalar_of(scope);
                        let expression = self.expression(scope, &data_type, 2);
                        if !matches!(expression.operator, Operator::Literal(_)) {
                            keys.push(Item { name: self.name(), expression });
                        }
                    }
                }
            }
        }
        // A key that stands there twice is one.
        let mut seen = std::collections::BTreeSet::new();
        keys.retain(|key| seen.insert(sql(&key.expression)));
        let sets = (!of_sessions && keys.len() > fixed && self.random.chance(20)).then(|| self.sets(fixed, keys.len()));
        let filter = if !of_sessions && self.random.chance(30) { self.filter(&input) } else { None };
        // Where a session begins and ends is not known before it is aggregated.
        let mut aggregated = input.clone();
        if of_sessions {
            aggregated.columns.retain(|column| !column.name.starts_with("window_"));
        }
        let mut calls = Vec::new();
        for _ in 0..self.random.between(0, 4) {
            calls.extend(self.call(&aggregated));
        }
        if sets.is_some() && self.random.chance(50) {
            calls.push(Call {
                argument: Some(keys[keys.len() - 1].expression.clone()),
                ..self.call_of(Function::Grouping)
            });
        }
        let distinct = !of_sessions && sets.is_none() && self.random.chance(40);
        if calls.is_empty() && !distinct {
            calls.push(self.call_of(Function::Count));
        }
        let mut columns: Vec<Column> = keys.iter().map(|key| self.column_of(key, scope)).collect();
        columns.extend(calls.iter().map(|call| Column {
            name: call.name.clone(),
            data_type: call.data_type.clone(),
            nullable: true,
            bound: self.call_bound(call, scope),
        }));
        let (wants_having, columns_of_calls) = (self.random.chance(25), calls.len());
        let unique = sets.is_none().then(|| keys[fixed..].iter().map(|key| key.name.clone()).collect());
        let node =
            Node::Aggregate { input: Box::new(input), filter, keys, sets, calls, having: None, shown: Emission::Plain };
        let mut groups = Relation { node, columns, times, window, unique };
        if wants_having && columns_of_calls > 0 {
            self.add_having(&mut groups);
        }
        groups
    }

    fn sets(&mut self, fixed: usize, keys: usize) -> Vec<Vec<usize>> {
        let window_time: Vec<usize> = (2..fixed).collect();
        let mut sets = Vec::new();
        for _ in 0..self.random.between(1, 3) {
            let mut set = window_time.clone();
            set.extend((fixed..keys).filter(|_| self.random.chance(50)));
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        // A key that is in no set cannot be selected.
        let all: Vec<usize> = (2..keys).collect();
        if !all.iter().all(|key| sets.iter().any(|set| set.contains(key))) {
            sets.retain(|set| *set != all);
            sets.push(all);
        }
        sets
    }

    pub(super) fn call_of(&mut self, function: Function) -> Call {
        Call {
            name: self.name(),
            function,
            distinct: false,
            argument: None,
            filter: None,
            order: Vec::new(),
            data_type: Type::BIGINT,
        }
    }

    pub(super) fn call_bound(&self, call: &Call, scope: &[Column]) -> Option<i128> {
        let argument = call.argument.as_ref().and_then(|argument| super::bound::bound(argument, scope));
        match call.function {
            Function::Count | Function::Grouping => Some(1_000_000),
            // There are never that many rows.
            Function::Sum => argument.and_then(|argument| argument.checked_mul(1_000_000)),
            _ => argument,
        }
    }

    /// A call of an aggregate, if there is a column for it.
    pub(super) fn call(&mut self, input: &Relation) -> Option<Call> {
        let scope = &input.columns;
        let mut call = self.call_of(Function::Count);
        call.filter = self.random.chance(25).then(|| self.condition(scope, 1));
        let number = |column: &Column| matches!(column.data_type, Type::Integer(_) | Type::Double | Type::Decimal(..));
        match self.random.below(14) {
            0 => {}
            1 | 2 => {
                let data_type = self.scalar_of(scope);
                call.argument = Some(self.expression(scope, &data_type, 1));
                call.distinct = self.random.chance(50);
            }
            3..=5 => {
                let column = self.column_where(scope, number)?.clone();
                let argument = self.expression(scope, &column.data_type, 1);
                call.function = Function::Sum;
                call.data_type = match &column.data_type {
                    Type::Decimal(_, scale) => Type::Decimal(38, *scale),
                    other => other.clone(),
                };
                call.argument = Some(argument);
                call.distinct = self.random.chance(20);
                let total = self.call_bound(&call, scope);
                let fits = call.data_type.limit().is_none_or(|limit| total.is_some_and(|total| total <= limit));
                fits.then_some(())?;
            }
            6 => {
                let fits = |column: &Column| match column.data_type {
                    Type::Integer(_) => column.bound.is_some_and(|bound| bound < 1 << 40),
                    Type::Double => true,
                    _ => false,
                };
                let column = self.column_where(scope, fits)?;
                call.function = Function::Average;
                call.argument = Some(Expression::column(&column.name, column.data_type.clone()));
                call.data_type = Type::Double;
            }
            7..=9 => {
                let data_type = self.scalar_of(scope);
                call.function = if self.random.chance(50) { Function::Min } else { Function::Max };
                call.argument = Some(self.expression(scope, &data_type, 1));
                call.data_type = data_type;
            }
            10 => {
                call.function = if self.random.chance(50) { Function::Every } else { Function::Some };
                call.argument = Some(self.condition(scope, 1));
                call.data_type = Type::Boolean;
            }
            _ => {
                // In an order in which every row has its place.
                let unique = unique_anywhere(input).filter(|unique| !unique.is_empty())?;
                call.order = unique.into_iter().map(|column| self.order(column)).collect();
                let nested = self.may(Topic::NestedParts);
                let column = self.column_where(scope, |column| nested || column.data_type.is_scalar())?.clone();
                call.argument = Some(Expression::column(&column.name, column.data_type.clone()));
                call.data_type = column.data_type.clone();
                call.function = match self.random.below(4) {
                    0 => Function::First,
                    1 => Function::Last,
                    2 => {
                        call.data_type = Type::Array(Box::new(column.data_type));
                        Function::ArrayAgg
                    }
                    _ => {
                        call.argument = Some(self.leaf(scope, &Type::String));
                        call.data_type = Type::String;
                        Function::StringAgg
                    }
                };
            }
        }
        Some(call)
    }

    pub(super) fn order(&mut self, column: String) -> Order {
        let nulls_first = *self.random.pick(&[true, false]);
        Order { column, descending: self.random.chance(50), nulls_first: Some(nulls_first) }
    }

    /// A condition on the groups that most often leaves some.
    pub(super) fn add_having(&mut self, groups: &mut Relation) {
        let rows = self.rows_of(groups);
        let names = groups.names();
        let Node::Aggregate { calls, having, .. } = &mut groups.node else { return };
        for _ in 0..4 {
            let condition = self.having(calls);
            if rows.is_empty() || self.random.chance(10) || holds_for_some(&condition, &names, &rows) {
                *having = Some(condition);
                return;
            }
        }
    }

    fn having(&mut self, calls: &[Call]) -> Expression {
        let call = self.random.pick(calls);
        let column = Expression::column(&call.name, call.data_type.clone());
        if !call.data_type.is_scalar() || self.random.chance(20) {
            return Expression::truth(Operator::IsNull(self.random.chance(60)), vec![column]);
        }
        let other = self.literal(&call.data_type);
        let comparison = *self.random.pick(&Comparison::ALL);
        Expression::truth(Operator::Compare(comparison), vec![column, other])
    }

    /// The first rows of each partition of a window.
    fn top(&mut self, input: Relation) -> Relation {
        let Some((start, end)) = input.window.clone() else { return input };
        self.first_rows(input, vec![start, end])
    }

    /// The first rows of each partition by these columns, and perhaps another one.
    pub(super) fn first_rows(&mut self, input: Relation, mut partition: Vec<String>) -> Relation {
        for _ in 0..self.random.between(0, 1) {
            let column = self.column_where(&input.columns, |column| column.data_type.is_scalar());
            partition.extend(column.map(|column| column.name.clone()).filter(|name| !partition.contains(name)));
        }
        let scalars: Vec<Column> =
            input.columns.iter().filter(|column| column.data_type.is_scalar()).cloned().collect();
        let nested = scalars.len() < input.columns.len();
        if scalars.is_empty() {
            return input;
        }
        let mut order = Vec::new();
        let by = self.random.pick(&scalars).name.clone();
        let key = self.order(by);
        order.push(Order { nulls_first: key.nulls_first.filter(|_| self.random.chance(50)), ..key });
        let ranking = match self.random.below(6) {
            0 => Ranking::Rank,
            1 => Ranking::DenseRank,
            _ => Ranking::RowNumber,
        };
        let ties: Vec<String> = match &input.unique {
            // Rows with a common rank are shown together.
            _ if ranking != Ranking::RowNumber => Vec::new(),
            Some(unique) => unique.clone(),
            // Rows that are equal in all columns may change places.
            None if !nested => scalars.iter().map(|column| column.name.clone()).collect(),
            None => return input,
        };
        order.extend(ties.into_iter().map(|column| self.order(column)));
        let (items, mut columns) = self.renamed(&input.columns);
        let new = |old: &str| renamed(old, &items);
        let window = input.window.as_ref().map(|(start, end)| (new(start), new(end)));
        let unique = input.unique.as_ref().map(|unique| unique.iter().map(|name| new(name)).collect());
        let place = self.name();
        let limit = self.random.between(1, 3);
        columns.push(Column {
            name: place.clone(),
            data_type: Type::BIGINT,
            nullable: false,
            bound: Some(limit.into()),
        });
        let form = match self.random.below(10) {
            0..=2 => FirstRows::Qualify,
            3..=5 if ranking == Ranking::Rank && partition.is_empty() => FirstRows::WithTies,
            _ => FirstRows::Around,
        };
        let node = Node::Top { input: Box::new(input), partition, order, ranking, limit, items, place, form };
        Relation { node, columns, times: Vec::new(), window, unique }
    }
}

/// The rows of a relation in windows, which add three columns.
fn over(input: Relation, time: String, window: Window) -> Relation {
    let mut columns = input.columns.clone();
    for name in ["window_start", "window_end", "window_time"] {
        columns.push(Column { name: name.to_owned(), data_type: Type::TIME_ATTRIBUTE, nullable: false, bound: None });
    }
    Relation {
        columns,
        times: vec!["window_time".to_owned()],
        window: Some(("window_start".to_owned(), "window_end".to_owned())),
        unique: unique_anywhere(&input),
        node: Node::Window { input: Box::new(input), time, window },
    }
}

/// Columns that no two rows have in common: those that are unique in a window, and its bounds.
fn unique_anywhere(input: &Relation) -> Option<Vec<String>> {
    let mut unique = input.unique.clone()?;
    if let Some((start, end)) = &input.window {
        unique.extend(
            [start.clone(), end.clone()]
                .into_iter()
                .filter(|bound| !input.unique.iter().flatten().any(|own| own == bound)),
        );
    }
    Some(unique)
}
