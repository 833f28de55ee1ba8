//! Functions with `OVER`.

use super::Generator;
use super::queries::renamed;
use crate::relation::{Column, Frame, Function, Node, Over, OverFunction, Relation};
use crate::types::Type;

impl Generator {
    /// The rows of a relation, each with the result of a function with `OVER`.
    pub(super) fn with_over(&mut self, input: Relation) -> Relation {
        let scalars: Vec<Column> =
            input.columns.iter().filter(|column| column.data_type.is_scalar()).cloned().collect();
        if scalars.is_empty() {
            return input;
        }
        let times = input.times.clone();
        let unique = input.unique.clone().filter(|_| input.window.is_none());
        let input = Relation { times: Vec::new(), window: None, ..input };
        let function = self.over_function(&input, &scalars);
        let by = self.random.pick(&scalars).name.clone();
        let mut order = if self.random.chance(85) { vec![self.order(by.clone())] } else { Vec::new() };
        let frame = match self.random.below(3) {
            0 => Frame::Default,
            _ => {
                let mut bound = || (self.random.chance(70)).then(|| self.random.between(-2, 2));
                Frame::Rows(bound(), bound())
            }
        };
        // Where rows are counted, those that are equal in the order are told apart by all else.
        let counts_rows = match function {
            OverFunction::Rank | OverFunction::DenseRank => false,
            OverFunction::Aggregate(_) => frame != Frame::Default && frame != Frame::Rows(None, None),
            _ => true,
        };
        // By a time alone, rows that come late would be left out.
        if counts_rows || times.contains(&by) {
            let nested = scalars.len() < input.columns.len();
            let ties: Vec<String> = match &unique {
                Some(unique) => unique.clone(),
                None if !nested => scalars.iter().map(|column| column.name.clone()).collect(),
                None => return input,
            };
            order.extend(ties.into_iter().map(|column| self.order(column)));
            if order.len() == 1 {
                let again = order[0].clone();
                order.push(again);
            }
        }
        let mut partition = Vec::new();
        if self.random.chance(75) {
            partition.push(self.random.pick(&scalars).name.clone());
        }
        let (items, mut columns) = self.renamed(&input.columns);
        let unique = unique.map(|unique| unique.iter().map(|name| renamed(name, &items)).collect());
        let (data_type, nullable, bound) = match &function {
            OverFunction::Aggregate(call) => (call.data_type.clone(), true, self.call_bound(call, &input.columns)),
            OverFunction::Neighbour(column, _) => {
                let column = input.column(column);
                (column.data_type.clone(), true, column.bound)
            }
            _ => (Type::BIGINT, false, Some(1_000_000)),
        };
        let name = self.name();
        columns.push(Column { name: name.clone(), data_type, nullable, bound });
        let over = Over { partition, order, frame, function, name };
        let node = Node::Over { input: Box::new(input), items, over };
        Relation { node, columns, times: Vec::new(), window: None, unique }
    }

    fn over_function(&mut self, input: &Relation, scalars: &[Column]) -> OverFunction {
        match self.random.below(10) {
            0 => OverFunction::RowNumber,
            1 => OverFunction::Rank,
            2 => OverFunction::DenseRank,
            3 => OverFunction::Ntile(self.random.between(1, 4)),
            4 | 5 => OverFunction::Neighbour(self.random.pick(scalars).name.clone(), self.random.between(-2, 2)),
            _ => {
                let fits = |function: Function| {
                    matches!(
                        function,
                        Function::Count
                            | Function::Sum
                            | Function::Average
                            | Function::Min
                            | Function::Max
                            | Function::Every
                            | Function::Some
                    )
                };
                for _ in 0..8 {
                    if let Some(call) = self.call(input).filter(|call| fits(call.function) && call.order.is_empty()) {
                        return OverFunction::Aggregate(Box::new(call));
                    }
                }
                OverFunction::Aggregate(Box::new(self.call_of(Function::Count)))
            }
        }
    }
}
