//! `ORDER BY`, `LIMIT` and `OFFSET` of a query.
//!
//! A limit is a Top-N of all rows. Of rows that are equal in the order those with the smaller values in their columns are ahead, from
//! the first column of the query to the last, and then those that are not shown: as they are sorted at the end, so that the same rows are
//! shown whatever way they come. Without an order any rows may be shown: of input that ends the
//! smallest, of other input those that come first, which stay.
//!
//! An order alone says nothing of a table, and so nothing of a subquery. Around the whole query it is the order in which rows are printed
//! and written, once all are there.

use arrow::datatypes::DataType;
use datafusion_expr::logical_plan::{FetchType, SkipType};
use datafusion_expr::{Limit, LogicalPlan, Projection, Sort};
use weir_core::hash::is_hashable;
use weir_core::{BinaryOperator, Error, Expr, Literal, LiteralValue, OperatorSpec, Ranking, Result, SortKey};

use super::stream::{Base, Pending, PendingRank, Stream, Typed, typed};
use super::{Lowering, expr, shape};

/// A stream, and in which order its rows are wanted.
pub(super) struct Ordered {
    pub stream: Stream,
    /// Columns of the stream's output. Behind the query's own there may be some that serve the order alone.
    pub order: Vec<SortKey>,
    /// Whether there is a limit to the rows.
    pub is_limited: bool,
}

impl Lowering<'_> {
    /// The rows of a plan, and the order that it asks for.
    ///
    /// # Errors
    /// A user error if the query cannot run as a stream.
    pub(super) fn ordered(&mut self, plan: &LogicalPlan) -> Result<Ordered> {
        match plan {
            LogicalPlan::Sort(sort) => self.sorted(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Projection(projection) if has_order(&projection.input) => self.projected(projection),
            other => Ok(Ordered { stream: self.relation(other)?, order: Vec::new(), is_limited: false }),
        }
    }

    /// The rows of a plan that is a part of another one, where their order counts for nothing.
    ///
    /// # Errors
    /// A user error if the query cannot run as a stream.
    pub(super) fn unordered(&mut self, plan: &LogicalPlan) -> Result<Stream> {
        let Ordered { mut stream, .. } = self.ordered(plan)?;
        let width = plan.schema().fields().len();
        stream.projection.truncate(width);
        stream.names.truncate(width);
        stream.types.truncate(width);
        Ok(stream)
    }

    fn sorted(&mut self, sort: &Sort) -> Result<Ordered> {
        if sort.fetch.is_some() {
            return Err(Error::internal("an ORDER BY was given a limit that it does not take"));
        }
        let Ordered { stream, is_limited, .. } = self.ordered(&sort.input)?;
        let mut stream = shape::settle(&mut self.graph, stream)?;
        let schema = sort.input.schema();
        let mut order = Vec::new();
        for key in &sort.expr {
            let Typed { expression, data_type } = typed(&key.expr, schema, &stream)?;
            let known = stream.projection.iter().position(|known| *known == expression);
            let column = known.unwrap_or_else(|| {
                stream.projection.push(expression);
                stream.names.push(format!("$order{}", order.len()));
                stream.types.push(data_type);
                stream.projection.len() - 1
            });
            order.push(SortKey { column, descending: !key.asc, nulls_first: key.nulls_first });
        }
        let is_limited = is_limited || self.has_first_ranks(&stream, &order);
        Ok(Ordered { stream, order, is_limited })
    }

    /// Whether the rows are the first ranks of a whole table in this order: as with a limit, it then says which rows there are.
    fn has_first_ranks(&self, stream: &Stream, order: &[SortKey]) -> bool {
        let Base::Nodes(nodes) = &stream.base else { return false };
        let ranks_by = |key: &SortKey, by: &SortKey| {
            stream.projection[key.column] == Expr::Column(by.column)
                && (key.descending, key.nulls_first) == (by.descending, by.nulls_first)
        };
        nodes.iter().all(|node| match &self.graph.node(*node).spec.operator {
            OperatorSpec::TopN(top) => {
                let has_this_order =
                    order.len() == top.order.len() && order.iter().zip(&top.order).all(|(key, by)| ranks_by(key, by));
                top.partition.is_empty() && top.ranking != Ranking::RowNumber && has_this_order
            }
            _ => false,
        })
    }

    /// The projection of rows in an order, which it may not show: the columns that the order needs come along behind its own.
    fn projected(&mut self, projection: &Projection) -> Result<Ordered> {
        let Ordered { stream, order, is_limited } = self.ordered(&projection.input)?;
        let schema = projection.input.schema();
        let mut exprs =
            projection.expr.iter().map(|expression| expr::expr(expression, schema)).collect::<Result<Vec<_>>>()?;
        let fields = projection.schema.fields();
        let mut names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let mut types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let order = order
            .into_iter()
            .map(|key| {
                let wanted = Expr::Column(key.column);
                let known = exprs.iter().position(|known| *known == wanted);
                let column = known.unwrap_or_else(|| {
                    exprs.push(wanted);
                    names.push(stream.names[key.column].clone());
                    types.push(stream.types[key.column].clone());
                    exprs.len() - 1
                });
                SortKey { column, ..key }
            })
            .collect();
        let stream = shape::project(&mut self.graph, stream, exprs, names, types)?;
        Ok(Ordered { stream, order, is_limited })
    }

    fn limit(&mut self, limit: &Limit) -> Result<Ordered> {
        let Ordered { stream, order, .. } = self.ordered(&limit.input)?;
        let stream = shape::settle(&mut self.graph, stream)?;
        let (skip, fetch) = match (limit.get_skip_type(), limit.get_fetch_type()) {
            (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => (skip as u64, fetch),
            _ => {
                return Err(Error::user("LIMIT and OFFSET take whole numbers that are written out")
                    .with_help("write them as numbers, as in `LIMIT 10 OFFSET 20`"));
            }
        };
        let limited = |stream| Ordered { stream, order: order.clone(), is_limited: true };
        let last = match fetch {
            None if skip == 0 => return Ok(Ordered { stream, order, is_limited: false }),
            Some(0) => return Ok(limited(without_rows(stream))),
            Some(fetch) => (fetch as u64).saturating_add(skip),
            None => i64::MAX as u64,
        };
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let width = stream.projection.len();
        let mut ranked = stream.clone();
        let mut keys: Vec<(Typed, bool, bool)> =
            order.iter().map(|key| (output(&stream, key.column), key.descending, key.nulls_first)).collect();
        let ties = self.ties(&stream, &order);
        let decides = |tie: &(Typed, bool, bool)| keys.iter().all(|key| key.0.expression != tie.0.expression);
        let ties: Vec<_> = ties.into_iter().filter(decides).collect();
        keys.extend(ties);
        ranked.projection.push(Expr::Column(stream.columns.len()));
        ranked.names.push("$number".to_owned());
        ranked.types.push(DataType::Int64);
        let ranking = Ranking::RowNumber;
        ranked.pending = Pending::Rank(PendingRank { partition: Vec::new(), order: keys, ranking, kept: self.kept() });
        let number = |operator, than: i64| {
            let than = Literal { data_type: DataType::Int64, value: LiteralValue::Int(than) };
            let (left, right) = (Box::new(Expr::Column(width)), Box::new(Expr::Literal(than)));
            Expr::Binary { operator, left, right }
        };
        let mut conditions = vec![number(BinaryOperator::LtEq, last)];
        if let Ok(skip @ 1..) = i64::try_from(skip) {
            conditions.push(number(BinaryOperator::Gt, skip));
        }
        let read = (0..width).collect();
        let top = self.limited(ranked, &mut conditions, Some(&read))?;
        let mut top = shape::filter(&mut self.graph, top, conditions)?;
        top.projection.truncate(width);
        top.names.truncate(width);
        top.types.truncate(width);
        Ok(limited(top))
    }

    /// What decides between rows that are equal in an order: their results, and of those that have no order what they are made of.
    fn ties(&self, stream: &Stream, order: &[SortKey]) -> Vec<(Typed, bool, bool)> {
        let ordered = |data_type: &DataType| !data_type.is_nested() && is_hashable(data_type);
        let outputs = || (0..stream.projection.len()).map(|column| output(stream, column));
        let mut read = vec![false; stream.columns.len()];
        outputs()
            .filter(|output| !ordered(&output.data_type))
            .for_each(|output| output.expression.visit_columns(&mut |column| read[column] = true));
        // Some rows have to come first, and those that did stay.
        if order.is_empty() && (!self.base_ends(&stream.base) || !stream.types.iter().all(ordered)) {
            return Vec::new();
        }
        let read = (0..read.len()).filter(|column| read[*column]).map(|column| Typed {
            expression: Expr::Column(column),
            data_type: stream.columns[column].data_type.clone(),
        });
        outputs()
            .chain(read)
            .filter(|tie| ordered(&tie.data_type) && !matches!(tie.expression, Expr::Literal(_)))
            .map(|tie| (tie, false, true))
            .collect()
    }

    /// Whether all that a stream is made of comes to an end.
    pub(super) fn base_ends(&self, base: &Base) -> bool {
        match base {
            Base::Scan { spec, .. } => self.ends(&spec.table),
            Base::Nodes(nodes) => self.all_end(nodes),
        }
    }
}

/// Whether the rows of a plan are wanted in an order.
fn has_order(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => true,
        LogicalPlan::Projection(projection) => has_order(&projection.input),
        _ => false,
    }
}

fn output(stream: &Stream, column: usize) -> Typed {
    Typed { expression: stream.projection[column].clone(), data_type: stream.types[column].clone() }
}

/// The stream without its rows.
pub(super) fn without_rows(mut stream: Stream) -> Stream {
    let never = Literal { data_type: DataType::Boolean, value: LiteralValue::Boolean(false) };
    stream.predicates.push(Expr::Literal(never));
    stream
}
