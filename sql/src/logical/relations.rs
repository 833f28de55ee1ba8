//! Window functions in a `FROM` clause: their arguments read and checked.

use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan};
use datafusion_sql::sqlparser::ast::{self, Spanned as _, TableFactor};
use datafusion_sql::sqlparser::tokenizer::Span as ParserSpan;
use weir_core::WindowKind;

use super::hints;
use super::shared_columns::Seen;
use super::unnest_factor;
use super::versions;
use super::window_tvf::{WINDOW_COLUMNS, WindowTvf};
use crate::diagnostics::{Source, did_you_mean};
use crate::parse::{WindowArgument, WindowFunction, sql_type_name};

/// Panes that the longest window may have: each is looked at when a window closes.
const MOST_PANES: i64 = 1_000_000;

/// Plans `TUMBLE`, `HOP`, `CUMULATE` and `SESSION`, says what the columns of an `UNNEST` are, and notes where each relation stands.
#[derive(Debug)]
pub(super) struct WindowFunctions {
    text: Arc<str>,
    place: Arc<Mutex<ParserSpan>>,
    /// Columns of marked relations: of the query that is planned, and of those whose views it reads.
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A user error at a place in the script, on its way through DataFusion.
type Refused = Box<weir_core::Error>;

fn travelling(error: Refused) -> DataFusionError {
    DataFusionError::External(error)
}

impl WindowFunctions {
    /// For a script.
    pub fn new(text: &str, place: Arc<Mutex<ParserSpan>>, seen: Arc<Mutex<Vec<Seen>>>) -> Self {
        Self { text: text.into(), place, seen }
    }

    fn refuse(&self, span: ParserSpan, message: impl AsRef<str>, help: impl Into<String>) -> Refused {
        let source = Source::new(&self.text);
        let span = source.span(span).unwrap_or_default();
        Box::new(source.error(span, message).with_help(help))
    }
}

impl RelationPlanner for WindowFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if let Some((unmarked, said)) = hints::unmarked(&relation) {
            let plan = context.plan(unmarked)?;
            if let (Some(place), Ok(mut seen)) = (said.place, self.seen.lock())
                && let Some(seen) = seen.last_mut()
            {
                seen.note(place, plan.schema())?;
            }
            let node = hints::node(plan, said, &relation);
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(node, None))));
        }
        if let Some(unnest) = unnest_factor::one_array(&relation) {
            return self.unnest(unnest, relation, context);
        }
        if let Some((table, is_asof)) = versions::unversioned(&relation) {
            if let (TableFactor::Table { name, .. }, Ok(mut place)) = (&relation, self.place.lock()) {
                *place = name.span();
            }
            let span = if let TableFactor::Table { name, .. } = &relation { name.span() } else { ParserSpan::empty() };
            let node = versions::node(context.plan(table)?, is_asof).ok_or_else(|| {
                travelling(self.refuse(
                    span,
                    "this view has no versions: it does not keep the newest row of each key",
                    "a view has versions if it is `SELECT … FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS rn \
                     FROM t) WHERE rn = 1`, with nothing but columns and conditions around; with ASOF JOIN the rows of any view \
                     are versions by the columns that are equal",
                ))
            })?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(node, None))));
        }
        let Some(function) = WindowFunction::of(&relation) else {
            if let (TableFactor::Table { name, .. }, Ok(mut place)) = (&relation, self.place.lock()) {
                *place = name.span();
            }
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = self.plan(&function, context)?;
        let node = LogicalPlan::Extension(Extension { node: Arc::new(plan) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(node, function.alias))))
    }
}

impl WindowFunctions {
    /// `UNNEST` of one array, whose columns are those of its elements.
    fn unnest(
        &self,
        elements: TableFactor,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Derived { mut alias, .. } = relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let names: Vec<ast::Ident> =
            alias.iter_mut().flat_map(|alias| alias.columns.drain(..).map(|column| column.name)).collect();
        match unnest_factor::columns(context.plan(elements)?, &names)? {
            Some(plan) => Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias)))),
            None => Err(travelling(self.refuse(
                names.last().map_or(ParserSpan::empty(), |name| name.span),
                "UNNEST has another number of columns than are named here",
                "name one column for each field of a ROW, or one for the whole element",
            ))),
        }
    }
}

/// How a function is called.
struct Signature {
    /// Names of its lengths, in order, without the offset.
    lengths: &'static [&'static str],
    offset: bool,
    example: &'static str,
}

fn signature(name: &str) -> Signature {
    match name {
        "TUMBLE" => Signature {
            lengths: &["SIZE"],
            offset: true,
            example: "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)",
        },
        "HOP" => Signature {
            lengths: &["SLIDE", "SIZE"],
            offset: true,
            example: "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '10' MINUTE), the slide before the size",
        },
        "CUMULATE" => Signature {
            lengths: &["STEP", "SIZE"],
            offset: true,
            example: "CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '1' DAY), the step before the size",
        },
        _ => Signature {
            lengths: &["GAP"],
            offset: false,
            example: "SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '30' MINUTE)",
        },
    }
}

/// The arguments of a call, each in its place.
struct Arguments<'a> {
    data: &'a WindowArgument,
    time: &'a WindowArgument,
    lengths: Vec<&'a WindowArgument>,
    offset: Option<&'a WindowArgument>,
}

impl WindowFunctions {
    fn plan(&self, function: &WindowFunction, context: &mut dyn RelationPlannerContext) -> Result<WindowTvf> {
        let arguments = self.arguments(function).map_err(travelling)?;
        let input = context.plan(self.data(function, arguments.data).map_err(travelling)?)?;
        let schema = input.schema().clone();
        if let Some(name) = WINDOW_COLUMNS.iter().find(|name| schema.has_column_with_unqualified_name(name)) {
            return Err(travelling(self.refuse(
                arguments.data.span(),
                format!("the rows have a column `{name}` already, which {} would add", function.name),
                format!("give it another name in a subquery or view: `SELECT {name} AS inner_{name}, …`"),
            )));
        }
        let time = self.time(arguments.time, &schema).map_err(travelling)?;
        let mut partition = Vec::new();
        for key in &function.partition_by {
            partition.push(self.partition_key(key, context, &schema)?);
        }
        if !partition.is_empty() && function.name != "SESSION" {
            return Err(travelling(self.refuse(
                function.span,
                format!("{} takes no PARTITION BY", function.name),
                "its windows are the same for all keys; name the keys in GROUP BY",
            )));
        }
        let mut lengths = Vec::new();
        for argument in arguments.lengths.iter().copied().chain(arguments.offset) {
            lengths.push(self.milliseconds(argument, context)?);
        }
        let offset = arguments.offset.and_then(|_| lengths.pop()).unwrap_or(0);
        let kind = self.kind(function, &arguments, &lengths, offset).map_err(travelling)?;
        WindowTvf::try_new(kind, time, partition, Arc::new(input))
    }

    fn arguments<'a>(&self, function: &'a WindowFunction) -> Result<Arguments<'a>, Refused> {
        let signature = signature(&function.name);
        let wrong =
            |span: ParserSpan, message: String| self.refuse(span, message, format!("write {}", signature.example));
        let mut names = vec!["DATA", "TIMECOL"];
        names.extend(signature.lengths);
        let required = names.len();
        if signature.offset {
            names.push("OFFSET");
        }
        let mut places: Vec<Option<&WindowArgument>> = vec![None; names.len()];
        for (index, argument) in function.arguments.iter().enumerate() {
            let place = match &argument.name {
                None => index,
                Some(name) => names.iter().position(|known| known == name).ok_or_else(|| {
                    self.refuse(
                        argument.span(),
                        format!("{} has no argument {name}", function.name),
                        did_you_mean(name, &names, "its arguments are"),
                    )
                })?,
            };
            match places.get_mut(place) {
                None => return Err(wrong(argument.span(), format!("{} has too many arguments", function.name))),
                Some(Some(_)) => return Err(wrong(argument.span(), format!("{} is given twice", names[place]))),
                Some(place) => *place = Some(argument),
            }
        }
        let get = |index: usize| {
            places[index].ok_or_else(|| wrong(function.span, format!("{} needs {}", function.name, names[index])))
        };
        Ok(Arguments {
            data: get(0)?,
            time: get(1)?,
            lengths: (2..required).map(get).collect::<Result<_, _>>()?,
            offset: places.get(required).copied().flatten(),
        })
    }

    /// The relation that a function's first argument names.
    fn data(&self, function: &WindowFunction, argument: &WindowArgument) -> Result<TableFactor, Refused> {
        if let ast::Expr::Subquery(query) = &argument.value {
            let subquery = query.clone();
            return Ok(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None });
        }
        let name = argument.table().ok_or_else(|| {
            self.refuse(
                argument.span(),
                format!("the first argument of {} is a table", function.name),
                format!("write {}", signature(&function.name).example),
            )
        })?;
        Ok(TableFactor::Table {
            name,
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        })
    }

    fn time(&self, argument: &WindowArgument, schema: &DFSchema) -> Result<Column, Refused> {
        let descriptor = argument.descriptor();
        let Some([ident]) = descriptor.as_deref() else {
            return Err(self.refuse(
                argument.span(),
                "the time attribute is given as DESCRIPTOR(column)",
                "write `DESCRIPTOR(ts)` with the one column that the WATERMARK is declared for",
            ));
        };
        let column = self.column(ident, schema)?;
        let data_type = schema.qualified_field_from_column(&column).map(|(_, field)| field.data_type().clone());
        match data_type {
            Ok(data_type) if !matches!(data_type, DataType::Timestamp(..)) => Err(self.refuse(
                ident.span,
                format!("`{}` is {}, and a window needs a time attribute", ident.value, sql_type_name(&data_type)),
                match data_type {
                    DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => format!(
                        "name the column with the WATERMARK; text becomes one in the table: `ts AS TO_TIMESTAMP({}), WATERMARK \
                         FOR ts AS ts`",
                        column.name
                    ),
                    _ => "name the column that the table declares a WATERMARK for, which is TIMESTAMP(3) or TIMESTAMP_LTZ(3)".into(),
                },
            )),
            _ => Ok(column),
        }
    }

    /// A column of the data, by the name that it was given there.
    fn column(&self, ident: &ast::Ident, schema: &DFSchema) -> Result<Column, Refused> {
        let quoted = ident.quote_style.is_some();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let found = match crate::catalog::find(names.iter().copied(), &ident.value, quoted) {
            crate::catalog::Found::One(name) => Some(name),
            _ => None,
        };
        match found.map(|name| schema.qualified_fields_with_unqualified_name(name)) {
            Some(fields) if fields.len() == 1 => Ok(Column::from(fields[0])),
            Some(_) => Err(self.refuse(
                ident.span,
                format!("`{}` is a column of several tables here", ident.value),
                "give it a name of its own in a subquery",
            )),
            None => Err(self.refuse(
                ident.span,
                format!("there is no column `{}`", ident.value),
                did_you_mean(&ident.value, &names, "the columns here are"),
            )),
        }
    }

    fn partition_key(
        &self,
        key: &ast::Expr,
        context: &mut dyn RelationPlannerContext,
        schema: &DFSchema,
    ) -> Result<Column> {
        if let ast::Expr::Identifier(ident) = key {
            return self.column(ident, schema).map_err(travelling);
        }
        match context.sql_to_expr(key.clone(), schema)? {
            Expr::Column(column) => Ok(column),
            _ => Err(travelling(self.refuse(
                key.span(),
                "PARTITION BY takes columns here",
                "compute the key in a subquery or view, and give it a name",
            ))),
        }
    }

    /// An interval in milliseconds.
    fn milliseconds(&self, argument: &WindowArgument, context: &mut dyn RelationPlannerContext) -> Result<i64> {
        let expression = context.sql_to_expr(argument.value.clone(), &DFSchema::empty())?;
        let (sign, value) = match &expression {
            Expr::Negative(inner) => (-1, &**inner),
            other => (1, other),
        };
        let interval = match value {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => *interval,
            _ => {
                return Err(travelling(self.refuse(
                    argument.span(),
                    "this is not an interval",
                    "write it as `INTERVAL '10' SECOND`",
                )));
            }
        };
        if interval.months != 0 {
            return Err(travelling(self.refuse(
                argument.span(),
                "months and years differ in length, so no window can be made of them",
                "write it in days, as in `INTERVAL '30' DAY`",
            )));
        }
        let nanoseconds = i128::from(interval.days) * 86_400_000_000_000 + i128::from(interval.nanoseconds);
        if nanoseconds % 1_000_000 != 0 {
            return Err(travelling(self.refuse(
                argument.span(),
                "event time is in milliseconds, and this interval is not a whole number of them",
                "round it",
            )));
        }
        i64::try_from(sign * nanoseconds / 1_000_000)
            .map_err(|_| travelling(self.refuse(argument.span(), "this interval is too long", "write a shorter one")))
    }

    fn kind(
        &self,
        function: &WindowFunction,
        arguments: &Arguments<'_>,
        lengths: &[i64],
        offset: i64,
    ) -> Result<WindowKind, Refused> {
        for (argument, length) in arguments.lengths.iter().zip(lengths) {
            if *length <= 0 {
                return Err(self.refuse(argument.span(), "this length has to be positive", "write a longer interval"));
            }
        }
        let kind = match (function.name.as_str(), lengths) {
            ("TUMBLE", [size]) => WindowKind::Tumble { size: *size, offset },
            ("HOP", [slide, size]) if size % slide == 0 => WindowKind::Hop { slide: *slide, size: *size, offset },
            ("HOP", _) => {
                return Err(self.refuse(
                    function.span,
                    "the size of HOP has to be a multiple of its slide",
                    format!("write {}", signature("HOP").example),
                ));
            }
            ("CUMULATE", [step, size]) if size % step == 0 => WindowKind::Cumulate { step: *step, size: *size, offset },
            ("CUMULATE", _) => {
                return Err(self.refuse(
                    function.span,
                    "the size of CUMULATE has to be a multiple of its step",
                    format!("write {}", signature("CUMULATE").example),
                ));
            }
            (_, lengths) => WindowKind::Session { gap: lengths.first().copied().unwrap_or(1) },
        };
        let panes = kind.pane_size().map_or(1, |pane| lengths.iter().max().copied().unwrap_or(pane) / pane);
        if panes > MOST_PANES {
            return Err(self.refuse(
                function.span,
                format!("a window of {panes} pieces is too fine"),
                "choose lengths with a longer common divisor",
            ));
        }
        Ok(kind)
    }
}
