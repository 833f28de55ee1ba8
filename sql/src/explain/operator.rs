//! What each kind of operator does, and what it keeps.

use arrow::datatypes::SchemaRef;
use weir_core::{
    AggregateCall, CalcSpec, Expr, GroupAggregateSpec, JobGraph, JoinType, LookupJoinSpec, Node, OperatorSpec, Ranking,
    SortKey, SourceSpec, WindowAggregateSpec, WindowKind, WindowSource,
};

use super::expression::{length, sql};
use super::over::{over_state, over_text};
use super::updating_over::updating_over_text;

fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Columns of an input; of both inputs one after the other for a join.
fn input_names(graph: &JobGraph, node: &Node) -> Vec<String> {
    let mut names_of_inputs = Vec::new();
    for ordinal in 0..2 {
        if let Some(edge) = node.spec.inputs.iter().find(|edge| edge.ordinal == ordinal) {
            let prefix = match (&node.spec.operator, ordinal) {
                (
                    OperatorSpec::WindowJoin(_)
                    | OperatorSpec::IntervalJoin(_)
                    | OperatorSpec::Join(_)
                    | OperatorSpec::TemporalJoin(_),
                    0,
                ) => "left.",
                (
                    OperatorSpec::WindowJoin(_)
                    | OperatorSpec::IntervalJoin(_)
                    | OperatorSpec::Join(_)
                    | OperatorSpec::TemporalJoin(_),
                    _,
                ) => "right.",
                _ => "",
            };
            let columns = names(&graph.node(edge.from).spec.schema);
            names_of_inputs.extend(columns.into_iter().map(|name| format!("{prefix}{name}")));
        }
    }
    names_of_inputs
}

/// The operator's parameters.
pub(super) fn parameters(graph: &JobGraph, node: &Node) -> String {
    let input = input_names(graph, node);
    let output = names(&node.spec.schema);
    let name = |column: usize| input.get(column).cloned().unwrap_or_else(|| format!("${column}"));
    let all = |columns: &[usize]| columns.iter().map(|column| name(*column)).collect::<Vec<_>>().join(", ");
    let text = match &node.spec.operator {
        OperatorSpec::Discover(discover) => format!("splits of connector {}", discover.table.connector),
        OperatorSpec::Source(source) => source_text(source, &output),
        OperatorSpec::Calc(calc) => calc_text(calc, &input, &output),
        OperatorSpec::Expand(expand) if node.spec.name == "Values" => {
            format!("{} rows of {}", expand.projections.len(), output.join(", "))
        }
        OperatorSpec::Expand(expand) => format!("each row {} times: {}", expand.projections.len(), output.join(", ")),
        OperatorSpec::Unnest(unnest) => {
            let kept = if unnest.keep_empty { ", rows without elements stay" } else { "" };
            format!("{}{kept}", all(&unnest.columns))
        }
        OperatorSpec::ProcessingTime => "time is processing time from here on".to_owned(),
        OperatorSpec::Clock => "what is kept goes by processing time from here on".to_owned(),
        OperatorSpec::WindowAssign(assign) => format!("{} of {}", window(assign.window), name(assign.time)),
        OperatorSpec::PartialAggregate(spec) => format!("first phase, {}", aggregate_text(spec, &input)),
        OperatorSpec::WindowAggregate(spec) => aggregate_text(spec, &input),
        OperatorSpec::WindowTopN(spec) => {
            let (first, numbers) = first_rows(spec.ranking, spec.limit, spec.with_rank);
            format!("{first} of each {} by {}{numbers}", all(&spec.partition), order_text(&spec.order, &name))
        }
        OperatorSpec::WindowJoin(spec) => {
            let width = left_width(graph, node);
            let residual = residual_text(spec.residual.as_ref(), &input);
            format!("{} on {}{residual}", join_name(spec.join_type), equalities(&spec.on, width, &input))
        }
        OperatorSpec::IntervalJoin(spec) => {
            let width = left_width(graph, node);
            let (left, right) = (name(spec.time.0), name(width + spec.time.1));
            let residual = residual_text(spec.residual.as_ref(), &input);
            let mut conditions =
                vec![format!("{left} - {right} from {} to {}", length(spec.lower), length(spec.upper))];
            if !spec.on.is_empty() {
                conditions.insert(0, equalities(&spec.on, width, &input));
            }
            format!("{} on {}{residual}", join_name(spec.join_type), conditions.join(", "))
        }
        OperatorSpec::Join(spec) => {
            let kind = join_name(spec.join_type);
            match &spec.residual {
                None if spec.on.is_empty() => format!("{kind}, every row with every other"),
                Some(residual) if spec.on.is_empty() => {
                    format!("{kind}, every row with every other, on {}", sql(residual, &input))
                }
                residual => {
                    let equalities = equalities(&spec.on, left_width(graph, node), &input);
                    format!("{kind} on {equalities}{}", residual_text(residual.as_ref(), &input))
                }
            }
        }
        OperatorSpec::TemporalJoin(spec) => {
            let width = left_width(graph, node);
            let (left, right) = (name(spec.time.0), name(width + spec.time.1));
            let residual = residual_text(spec.residual.as_ref(), &input);
            let (join, on) = (join_name(spec.join_type), equalities(&spec.on, width, &input));
            format!("{join} on {on}, the last {right} up to {left}{residual}")
        }
        OperatorSpec::LookupJoin(spec) => lookup_text(spec, &input),
        OperatorSpec::GroupAggregate(spec) => {
            let calls: Vec<String> = spec.aggregates.iter().map(|call| call_text(call, false, &name)).collect();
            let text = match (spec.keys.is_empty(), calls.is_empty()) {
                (true, _) => calls.join(", "),
                (false, true) => format!("each {} once", all(&spec.keys)),
                (false, false) => format!("by {}: {}", all(&spec.keys), calls.join(", ")),
            };
            text + &spec.window.as_ref().map_or_else(String::new, |window| shown_text(window.early, window.lateness))
        }
        OperatorSpec::UpdatingSessions(spec) => {
            aggregate_text(&spec.final_sessions(), &input) + &shown_text(spec.early, spec.lateness)
        }
        OperatorSpec::TopN(spec) if spec.deletions.is_some() => {
            format!("the newest record of each {} by {}", all(&spec.partition), order_text(&spec.order, &name))
        }
        OperatorSpec::TopN(spec) => {
            let (first, numbers) = first_rows(spec.ranking, spec.limit, spec.with_rank);
            let of =
                if spec.partition.is_empty() { String::new() } else { format!(" of each {}", all(&spec.partition)) };
            let by = if spec.order.is_empty() {
                " in any order".to_owned()
            } else {
                format!(" by {}", order_text(&spec.order, &name))
            };
            format!("{first}{of}{by}{numbers}")
        }
        OperatorSpec::Over(spec) => over_text(spec, &name),
        OperatorSpec::UpdatingOver(spec) => match node.spec.inputs.first() {
            Some(edge) => updating_over_text(spec, &graph.node(edge.from).spec.schema, &name),
            None => String::new(),
        },
        OperatorSpec::FinalRows => "rows that are left at the end".to_owned(),
        OperatorSpec::SortedRows(spec) => {
            format!("rows that are left at the end, by {}", order_text(&spec.order, &name))
        }
        OperatorSpec::UpsertRows(spec) if spec.retracts => {
            format!("what is gone and then what is there of each {}, at each marker", all(&spec.key))
        }
        OperatorSpec::UpsertRows(spec) if spec.key.is_empty() => "the one row, at each marker".to_owned(),
        OperatorSpec::UpsertRows(spec) => format!("the last row of each {}, at each marker", all(&spec.key)),
        OperatorSpec::PacedRows(spec) => format!("changes, every {}", length_of(spec.every)),
        OperatorSpec::ChangelogRows(_) => "each change as a row".to_owned(),
        OperatorSpec::Plugin(plugin) => match &plugin.artifact {
            Some(artifact) => format!("{} of {artifact}", plugin.operator),
            None => plugin.operator.clone(),
        },
        OperatorSpec::Sink(sink) => format!("connector {}, {}", sink.table.connector, output.join(", ")),
    };
    format!("[{text}]")
}

fn lookup_text(spec: &LookupJoinSpec, input: &[String]) -> String {
    let columns: Vec<Vec<String>> = spec.schemas.iter().map(names).collect();
    let mut of_table = spec.source.table.name.clone();
    if let Some(made) = columns.first() {
        of_table.push_str(&format!("({})", source_text(&spec.source, made)));
    }
    for (calc, schemas) in spec.calcs.iter().zip(columns.windows(2)) {
        of_table.push_str(&format!(", {}", calc_text(calc, &schemas[0], &schemas[1])));
    }
    let left = input.iter().map(|name| format!("left.{name}"));
    let right = columns.last().into_iter().flatten();
    let all: Vec<String> = left.chain(right.map(|name| format!("right.{name}"))).collect();
    let residual = residual_text(spec.residual.as_ref(), &all);
    format!(
        "{} on {}{residual}, looked up in {of_table}",
        join_name(spec.join_type),
        equalities(&spec.on, input.len(), &all)
    )
}

/// Which rows a Top-N shows, and whether with their numbers.
fn first_rows(ranking: Ranking, limit: u64, with_rank: bool) -> (String, &'static str) {
    let (first, numbers) = match ranking {
        Ranking::RowNumber => (format!("first {limit}"), ", with row numbers"),
        Ranking::Rank => (format!("ranks up to {limit}"), ", with ranks"),
        Ranking::DenseRank => (format!("dense ranks up to {limit}"), ", with dense ranks"),
    };
    (first, if with_rank { numbers } else { "" })
}

pub(super) fn order_text(order: &[SortKey], name: &dyn Fn(usize) -> String) -> String {
    let key = |key: &SortKey| {
        let direction = if key.descending { " DESC" } else { "" };
        let nulls = match key.nulls_first == key.descending {
            true if key.nulls_first => " NULLS FIRST",
            true => " NULLS LAST",
            false => "",
        };
        format!("{}{direction}{nulls}", name(key.column))
    };
    order.iter().map(key).collect::<Vec<_>>().join(", ")
}

fn source_text(source: &SourceSpec, output: &[String]) -> String {
    let read = names(&source.table.output_schema());
    let columns = match &source.projection {
        None => output.join(", "),
        Some(projection) => projected(projection, &read, output),
    };
    let mut text = format!("connector {}, {columns}", source.table.connector);
    if let Some(filter) = &source.filter {
        text.push_str(&format!(" where {}", sql(filter, output)));
    }
    if let Some(limit) = source.rows_per_second {
        text.push_str(&format!(", at most {limit} rows/s"));
    }
    if let Some(watermark) = &source.watermark {
        text.push_str(&format!(", watermark {}", sql(&watermark.expression, output)));
        if let Some(timeout) = watermark.idle_timeout_ms {
            text.push_str(&format!(", idle after {}", length(i64::try_from(timeout).unwrap_or(i64::MAX))));
        }
        if let Some(drift) = watermark.max_drift_ms {
            text.push_str(&format!(", splits aligned within {}", length(i64::try_from(drift).unwrap_or(i64::MAX))));
        }
    }
    text
}

fn projected(projection: &[Expr], input: &[String], output: &[String]) -> String {
    let column = |(expression, name): (&Expr, &String)| {
        let text = sql(expression, input);
        if text == *name { text } else { format!("{text} AS {name}") }
    };
    projection.iter().zip(output).map(column).collect::<Vec<_>>().join(", ")
}

fn calc_text(calc: &CalcSpec, input: &[String], output: &[String]) -> String {
    let columns = projected(&calc.projection, input, output);
    match &calc.predicate {
        None => columns,
        Some(predicate) => format!("{columns} where {}", sql(predicate, input)),
    }
}

fn aggregate_text(spec: &WindowAggregateSpec, input: &[String]) -> String {
    let name = |column: usize| input.get(column).cloned().unwrap_or_else(|| format!("${column}"));
    // Partial results come with their keys in front.
    let keys: Vec<String> = spec.keys.iter().map(|key| name(*key)).collect();
    let calls: Vec<String> = spec.aggregates.iter().map(|call| call_text(call, spec.partial_input, &name)).collect();
    let windows = match spec.window {
        WindowSource::Assign { window: kind, .. } if spec.partial_input => {
            format!("{} of partial results", window(kind))
        }
        WindowSource::Assign { window: kind, time } => format!("{} of {}", window(kind), name(time)),
        WindowSource::Attached { .. } if spec.partial_input => "windows of partial results".to_owned(),
        WindowSource::Attached { start, end } => format!("windows {} to {}", name(start), name(end)),
    };
    let mut text = windows;
    if !keys.is_empty() {
        text.push_str(&format!(", by {}", keys.join(", ")));
    }
    if !calls.is_empty() {
        text.push_str(&format!(": {}", calls.join(", ")));
    }
    text
}

pub(super) fn call_text(call: &AggregateCall, partial: bool, name: &dyn Fn(usize) -> String) -> String {
    let mut text = call.name.clone();
    if partial {
        return text;
    }
    if !call.order_by.is_empty() {
        let order: Vec<String> = call
            .order_by
            .iter()
            .map(|(column, descending, _)| format!("{}{}", name(*column), if *descending { " DESC" } else { "" }))
            .collect();
        text.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    if let Some(filter) = call.filter {
        text.push_str(&format!(" FILTER (WHERE {})", name(filter)));
    }
    text
}

fn left_width(graph: &JobGraph, node: &Node) -> usize {
    let left = node.spec.inputs.iter().find(|edge| edge.ordinal == 0);
    left.map_or(0, |edge| graph.node(edge.from).spec.schema.fields().len())
}

fn equalities(on: &[(usize, usize)], width: usize, input: &[String]) -> String {
    let name = |column: usize| input.get(column).cloned().unwrap_or_else(|| format!("${column}"));
    on.iter()
        .map(|(left, right)| format!("{} = {}", name(*left), name(width + right)))
        .collect::<Vec<_>>()
        .join(" AND ")
}

fn residual_text(residual: Option<&Expr>, input: &[String]) -> String {
    residual.map_or_else(String::new, |residual| format!(" and {}", sql(residual, input)))
}

fn join_name(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Inner => "inner",
        JoinType::Left => "left",
        JoinType::Right => "right",
        JoinType::Full => "full",
        JoinType::LeftSemi => "left semi",
        JoinType::LeftAnti => "left anti",
        JoinType::RightSemi => "right semi",
        JoinType::RightAnti => "right anti",
    }
}

fn window(kind: WindowKind) -> String {
    let shifted = |offset: i64| if offset == 0 { String::new() } else { format!(" shifted by {}", length(offset)) };
    match kind {
        WindowKind::Tumble { size, offset } => format!("TUMBLE {}{}", length(size), shifted(offset)),
        WindowKind::Hop { slide, size, offset } => {
            format!("HOP {} every {}{}", length(size), length(slide), shifted(offset))
        }
        WindowKind::Cumulate { step, size, offset } => {
            format!("CUMULATE up to {} by {}{}", length(size), length(step), shifted(offset))
        }
        WindowKind::Session { gap } => format!("SESSION with gap {}", length(gap)),
    }
}

/// How long something is kept.
fn kept_for(length: Option<u64>) -> String {
    match length {
        None => "for ever".to_owned(),
        Some(milliseconds) => format!("for {}", length_of(milliseconds)),
    }
}

fn length_of(milliseconds: u64) -> String {
    length(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// When the results of a window are shown.
fn shown_text(early: bool, lateness: u64) -> String {
    let shown = if early { "shown as they change" } else { "shown when the window closes" };
    match lateness {
        0 => format!(", {shown}"),
        late => format!(", {shown}, rows up to {} late", length_of(late)),
    }
}

/// What the operator keeps between rows, and what bounds it.
pub(super) fn state(operator: &OperatorSpec) -> Option<String> {
    match operator {
        OperatorSpec::Discover(_) => Some("the splits that there are".to_owned()),
        OperatorSpec::Source(_) => Some("the position in each split".to_owned()),
        OperatorSpec::WindowAggregate(spec) => Some(match spec.window {
            WindowSource::Assign { window: WindowKind::Session { .. }, .. } => {
                "open sessions of each key, until the watermark passes their end".to_owned()
            }
            WindowSource::Assign { window: WindowKind::Hop { .. } | WindowKind::Cumulate { .. }, .. } => {
                "groups of each pane, until the watermark passes the end of the last window over it".to_owned()
            }
            _ => "groups of each window, until the watermark passes its end".to_owned(),
        }),
        OperatorSpec::WindowTopN(spec) if spec.ranking != Ranking::RowNumber => Some(
            "the rows of the first ranks of each partition, until the watermark passes the end of their window"
                .to_owned(),
        ),
        OperatorSpec::WindowTopN(spec) => Some(format!(
            "up to {} rows of each partition, until the watermark passes the end of their window",
            spec.limit
        )),
        OperatorSpec::WindowJoin(_) => {
            Some("rows of both sides, until the watermark passes the end of their window".to_owned())
        }
        OperatorSpec::IntervalJoin(spec) => Some(format!(
            "rows of the left side until the watermark is {} past them, of the right side {}",
            length(spec.lower.saturating_neg().max(0)),
            length(spec.upper.max(0)),
        )),
        OperatorSpec::Join(spec) => Some(match spec.time_to_live {
            (None, None) => "all rows of both sides, without an end".to_owned(),
            (left, right) => format!("rows of the left side {}, of the right side {}", kept_for(left), kept_for(right)),
        }),
        OperatorSpec::GroupAggregate(spec) if spec.keys.is_empty() => Some("one group".to_owned()),
        OperatorSpec::GroupAggregate(GroupAggregateSpec { window: Some(window), .. }) => Some(match window.lateness {
            0 => "groups, until the watermark passes the end of their window".to_owned(),
            late => format!("groups, until the watermark is {} past the end of their window", length_of(late)),
        }),
        OperatorSpec::UpdatingSessions(spec) => Some(match spec.lateness {
            0 => "sessions of each key, until the watermark passes their end".to_owned(),
            late => format!("sessions of each key, until the watermark is {} past their end", length_of(late)),
        }),
        OperatorSpec::GroupAggregate(spec) if spec.time_to_live.is_some() => {
            Some(format!("groups, each {} behind its last row", kept_for(spec.time_to_live)))
        }
        OperatorSpec::GroupAggregate(_) => Some("every group that there was, without a bound".to_owned()),
        OperatorSpec::TopN(spec) if spec.deletions.is_some() => {
            Some(format!("the newest record of each key, and of deleted keys that they are, {}", kept_for(spec.time_to_live)))
        }
        OperatorSpec::TopN(spec) if spec.time_to_live.is_some() && !spec.forgets_rows() => {
            let rows = if spec.retracts { "all rows" } else { "the first rows" };
            Some(format!("{rows} of each partition, {} behind its last change", kept_for(spec.time_to_live)))
        }
        OperatorSpec::TopN(spec) if spec.time_to_live.is_some() => {
            Some(format!("up to {} rows of each partition, each {}", spec.limit, kept_for(spec.time_to_live)))
        }
        OperatorSpec::TopN(spec) if spec.retracts => Some("all rows, without an end".to_owned()),
        OperatorSpec::TopN(spec) if spec.ranking != Ranking::RowNumber => {
            Some("the rows of the first ranks of every partition that there was".to_owned())
        }
        OperatorSpec::TopN(spec) if spec.partition.is_empty() => Some(format!("up to {} rows", spec.limit)),
        OperatorSpec::TopN(spec) => Some(format!("up to {} rows of every partition that there was", spec.limit)),
        OperatorSpec::Over(spec) => Some(over_state(spec)),
        OperatorSpec::UpdatingOver(spec) if spec.time_to_live.is_some() => {
            Some(format!("all rows of each partition, {} behind its last change", kept_for(spec.time_to_live)))
        }
        OperatorSpec::UpdatingOver(_) => Some("all rows, without an end".to_owned()),
        OperatorSpec::TemporalJoin(_) => Some(
            "rows of the left side until the watermark passes them, of the right side the last row of each key up to there and those behind it"
                .to_owned(),
        ),
        OperatorSpec::LookupJoin(spec) if spec.retracts => {
            Some("the rows of the input that are there, and what was found for each".to_owned())
        }
        OperatorSpec::LookupJoin(_) => None,
        OperatorSpec::Plugin(_) => Some("what the plugin keeps".to_owned()),
        OperatorSpec::FinalRows | OperatorSpec::SortedRows(_) => Some("all rows, until the input ends".to_owned()),
        OperatorSpec::PacedRows(_) => Some("changes, until the interval is over".to_owned()),
        OperatorSpec::Sink(_) => Some("results of the epoch, until its checkpoint completes".to_owned()),
        OperatorSpec::Calc(_)
        | OperatorSpec::Expand(_)
        | OperatorSpec::Unnest(_)
        | OperatorSpec::ProcessingTime
        | OperatorSpec::Clock
        | OperatorSpec::WindowAssign(_)
        | OperatorSpec::PartialAggregate(_)
        | OperatorSpec::UpsertRows(_)
        | OperatorSpec::ChangelogRows(_) => None,
    }
}
