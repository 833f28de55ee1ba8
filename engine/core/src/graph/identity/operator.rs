//! What operators are told.

use super::super::{
    CalcSpec, ChangelogRowsSpec, DiscoverSpec, ExpandSpec, FramedCall, FramedFunction, GroupAggregateSpec,
    IntervalJoinSpec, JoinSpec, JoinSpread, JoinType, LookupJoinSpec, OperatorSpec, OverBound, OverCall, OverFrame,
    OverFunction, OverRows, OverSpec, PacedRowsSpec, Ranking, SinkSpec, SortKey, SortedRowsSpec, SourceSpec,
    TemporalJoinSpec, TopNSpec, UnnestSpec, UpdatedWindow, UpdatingOverSpec, UpdatingSessionsSpec, UpsertRowsSpec,
    WatermarkSpec, WindowAggregateSpec, WindowAssignSpec, WindowJoinSpec, WindowSource, WindowTopNSpec,
};
use super::text::{Encode, Text};
use crate::{TableSpec, WindowKind};

impl OperatorSpec {
    /// The kind of operator, as uids begin.
    pub fn tag(&self) -> &'static str {
        match self {
            OperatorSpec::Discover(_) => "discover",
            OperatorSpec::Source(_) => "source",
            OperatorSpec::Calc(_) => "calc",
            OperatorSpec::Expand(_) => "expand",
            OperatorSpec::Unnest(_) => "unnest",
            OperatorSpec::ProcessingTime => "processing-time",
            OperatorSpec::Clock => "clock",
            OperatorSpec::WindowAssign(_) => "window-assign",
            OperatorSpec::PartialAggregate(_) => "partial-aggregate",
            OperatorSpec::WindowAggregate(_) => "window-aggregate",
            OperatorSpec::WindowTopN(_) => "window-top-n",
            OperatorSpec::WindowJoin(_) => "window-join",
            OperatorSpec::IntervalJoin(_) => "interval-join",
            OperatorSpec::Join(_) => "join",
            OperatorSpec::GroupAggregate(_) => "group-aggregate",
            OperatorSpec::UpdatingSessions(_) => "updating-sessions",
            OperatorSpec::TopN(_) => "top-n",
            OperatorSpec::Over(_) => "over",
            OperatorSpec::UpdatingOver(_) => "updating-over",
            OperatorSpec::TemporalJoin(_) => "temporal-join",
            OperatorSpec::LookupJoin(_) => "lookup-join",
            OperatorSpec::FinalRows => "final-rows",
            OperatorSpec::SortedRows(_) => "sorted-rows",
            OperatorSpec::UpsertRows(_) => "upsert-rows",
            OperatorSpec::PacedRows(_) => "paced-rows",
            OperatorSpec::ChangelogRows(_) => "changelog-rows",
            OperatorSpec::Plugin(_) => "plugin",
            OperatorSpec::Sink(_) => "sink",
        }
    }
}

impl Encode for OperatorSpec {
    fn encode(&self, out: &mut Text) {
        let tag = self.tag();
        match self {
            OperatorSpec::Discover(DiscoverSpec { table }) => out.record(tag).field("table", table).end(),
            OperatorSpec::Source(spec) => spec.encode(out),
            OperatorSpec::Calc(spec) => spec.encode(out),
            OperatorSpec::Expand(ExpandSpec { projections }) => {
                out.record(tag).list("projections", projections).end();
            }
            OperatorSpec::Unnest(UnnestSpec { columns, keep_empty }) => {
                out.record(tag).list("columns", columns).flag("keep-empty", *keep_empty).end();
            }
            OperatorSpec::ProcessingTime | OperatorSpec::Clock => out.tag(tag),
            OperatorSpec::WindowAssign(WindowAssignSpec { window, time, lateness }) => {
                out.record(tag).field("window", window).field("time", time).unless("lateness", lateness, &0).end();
            }
            OperatorSpec::PartialAggregate(spec) | OperatorSpec::WindowAggregate(spec) => {
                let WindowAggregateSpec { window, keys, aggregates, partial_input, spread } = spec;
                out.record(tag)
                    .field("window", window)
                    .list("keys", keys)
                    .list("aggregates", aggregates)
                    .flag("partial-input", *partial_input)
                    .option("spread", spread)
                    .end();
            }
            OperatorSpec::WindowTopN(WindowTopNSpec { window_end, partition, order, limit, with_rank, ranking }) => out
                .record(tag)
                .field("window-end", window_end)
                .list("partition", partition)
                .list("order", order)
                .field("limit", limit)
                .flag("with-rank", *with_rank)
                .unless("ranking", ranking, &Ranking::RowNumber)
                .end(),
            OperatorSpec::WindowJoin(WindowJoinSpec { join_type, on, window_end, residual, spread }) => out
                .record(tag)
                .field("type", join_type)
                .list("on", on)
                .field("window-end", window_end)
                .option("residual", residual)
                .unless("spread", spread, &JoinSpread::Keys)
                .end(),
            OperatorSpec::IntervalJoin(IntervalJoinSpec { join_type, on, time, lower, upper, residual, spread }) => out
                .record(tag)
                .field("type", join_type)
                .list("on", on)
                .field("time", time)
                .field("lower", lower)
                .field("upper", upper)
                .option("residual", residual)
                .unless("spread", spread, &JoinSpread::Keys)
                .end(),
            OperatorSpec::Join(JoinSpec { join_type, on, residual, time_to_live: _, spread }) => out
                .record(tag)
                .field("type", join_type)
                .list("on", on)
                .option("residual", residual)
                .unless("spread", spread, &JoinSpread::Keys)
                .end(),
            OperatorSpec::GroupAggregate(GroupAggregateSpec {
                keys,
                aggregates,
                retracts,
                time_to_live: _,
                window,
            }) => out
                .record(tag)
                .list("keys", keys)
                .list("aggregates", aggregates)
                .flag("retracts", *retracts)
                .option("window", window)
                .end(),
            OperatorSpec::UpdatingSessions(UpdatingSessionsSpec { keys, aggregates, time, gap, lateness, early }) => {
                out.record(tag)
                    .list("keys", keys)
                    .list("aggregates", aggregates)
                    .field("time", time)
                    .field("gap", gap)
                    .unless("lateness", lateness, &0)
                    .flag("early", *early)
                    .end()
            }
            OperatorSpec::TopN(TopNSpec {
                partition,
                order,
                limit,
                with_rank,
                retracts,
                time_to_live: _,
                ranking,
                deletions: _,
            }) => out
                .record(tag)
                .list("partition", partition)
                .list("order", order)
                .field("limit", limit)
                .flag("with-rank", *with_rank)
                .flag("retracts", *retracts)
                .unless("ranking", ranking, &Ranking::RowNumber)
                .end(),
            OperatorSpec::Over(OverSpec { partition, time, calls }) => {
                out.record(tag).list("partition", partition).field("time", time).list("calls", calls).end();
            }
            OperatorSpec::UpdatingOver(UpdatingOverSpec { partition, order, calls, retracts, time_to_live: _ }) => out
                .record(tag)
                .list("partition", partition)
                .list("order", order)
                .list("calls", calls)
                .flag("retracts", *retracts)
                .end(),
            OperatorSpec::TemporalJoin(TemporalJoinSpec { join_type, on, time, residual }) => out
                .record(tag)
                .field("type", join_type)
                .list("on", on)
                .field("time", time)
                .option("residual", residual)
                .end(),
            OperatorSpec::LookupJoin(LookupJoinSpec {
                join_type,
                on,
                source,
                calcs,
                schemas: _,
                residual,
                retracts,
            }) => out
                .record(tag)
                .field("type", join_type)
                .list("on", on)
                .field("source", source)
                .list("calcs", calcs)
                .option("residual", residual)
                .flag("retracts", *retracts)
                .end(),
            OperatorSpec::FinalRows => out.tag(tag),
            OperatorSpec::SortedRows(SortedRowsSpec { order }) => out.record(tag).list("order", order).end(),
            OperatorSpec::UpsertRows(UpsertRowsSpec { key, retracts }) => {
                out.record(tag).list("key", key).unless("retracts", retracts, &false).end();
            }
            // How often they come out may change.
            OperatorSpec::PacedRows(PacedRowsSpec { key, every: _ }) => out.record(tag).list("key", key).end(),
            OperatorSpec::ChangelogRows(ChangelogRowsSpec { key }) => {
                out.record(tag).flag("keyed", key.is_some()).list("key", key.as_deref().unwrap_or_default()).end();
            }
            // What it computes only the plugin knows. It says by the name whether it goes on with the state.
            OperatorSpec::Plugin(spec) => out.record(tag).field("operator", spec.known_as()).end(),
            OperatorSpec::Sink(SinkSpec { table }) => out.record(tag).field("table", table).end(),
        }
    }
}

impl Encode for SourceSpec {
    fn encode(&self, out: &mut Text) {
        let SourceSpec { table, projection, filter, watermark, rows_per_second: _ } = self;
        out.record("source")
            .field("table", table)
            .option("projection", projection)
            .option("filter", filter)
            .option("watermark", watermark)
            .end();
    }
}

impl Encode for CalcSpec {
    fn encode(&self, out: &mut Text) {
        let CalcSpec { predicate, projection } = self;
        out.record("calc").option("predicate", predicate).list("projection", projection).end();
    }
}

impl Encode for TableSpec {
    fn encode(&self, out: &mut Text) {
        // Whose code a plugin's table belongs to is no more of it than the version of Weir is of another one's.
        let TableSpec {
            name,
            connector,
            options,
            settings,
            schema,
            projection,
            partitioned_by,
            primary_key,
            plugin: _,
        } = self;
        let options: Vec<(String, String)> = options
            .iter()
            .filter(|(name, _)| !settings.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        out.record("table")
            .field("name", name)
            .field("connector", connector)
            .list("options", &options)
            .field("columns", &**schema)
            .option("projection", projection)
            .list("partitioned-by", partitioned_by)
            .list("primary-key", primary_key)
            .end();
    }
}

impl Encode for WatermarkSpec {
    fn encode(&self, out: &mut Text) {
        let WatermarkSpec { expression, time: _, idle_timeout_ms: _, max_drift_ms: _ } = self;
        out.record("watermark").field("expression", expression).end();
    }
}

impl Encode for WindowKind {
    fn encode(&self, out: &mut Text) {
        match self {
            WindowKind::Tumble { size, offset } => {
                out.record("tumble").field("size", size).unless("offset", offset, &0).end();
            }
            WindowKind::Hop { slide, size, offset } => {
                out.record("hop").field("slide", slide).field("size", size).unless("offset", offset, &0).end();
            }
            WindowKind::Cumulate { step, size, offset } => {
                out.record("cumulate").field("step", step).field("size", size).unless("offset", offset, &0).end();
            }
            WindowKind::Session { gap } => out.record("session").field("gap", gap).end(),
        }
    }
}

impl Encode for UpdatedWindow {
    fn encode(&self, out: &mut Text) {
        let UpdatedWindow { end, lateness, early } = self;
        out.record("updated").field("end", end).unless("lateness", lateness, &0).flag("early", *early).end();
    }
}

impl Encode for WindowSource {
    fn encode(&self, out: &mut Text) {
        match self {
            WindowSource::Assign { window, time } => {
                out.record("assign").field("window", window).field("time", time).end();
            }
            WindowSource::Attached { start, end } => {
                out.record("attached").field("start", start).field("end", end).end();
            }
        }
    }
}

impl Encode for OverCall {
    fn encode(&self, out: &mut Text) {
        let OverCall { function, frame, argument, default, name: _, data_type } = self;
        out.record("call")
            .field("function", function)
            .unless("frame", frame, &OverFrame::Range(None))
            .option("argument", argument)
            .option("default", default)
            .field("type", data_type)
            .end();
    }
}

impl Encode for OverFunction {
    fn encode(&self, out: &mut Text) {
        match self {
            OverFunction::Count => out.tag("count"),
            OverFunction::Sum => out.tag("sum"),
            OverFunction::Avg => out.tag("avg"),
            OverFunction::Min => out.tag("min"),
            OverFunction::Max => out.tag("max"),
            OverFunction::FirstValue { respect_nulls } => {
                out.record("first-value").flag("respect-nulls", *respect_nulls).end();
            }
            OverFunction::LastValue { respect_nulls } => {
                out.record("last-value").flag("respect-nulls", *respect_nulls).end();
            }
            OverFunction::RowNumber => out.tag("row-number"),
            OverFunction::Rank => out.tag("rank"),
            OverFunction::DenseRank => out.tag("dense-rank"),
            OverFunction::Lag(offset) => out.record("lag").field("offset", offset).end(),
            OverFunction::Lead(offset) => out.record("lead").field("offset", offset).end(),
            OverFunction::LastBefore => out.tag("last-before"),
        }
    }
}

impl Encode for OverFrame {
    fn encode(&self, out: &mut Text) {
        match self {
            OverFrame::Rows(preceding) => out.record("rows").option("preceding", preceding).end(),
            OverFrame::Range(preceding) => out.record("range").option("preceding", preceding).end(),
        }
    }
}

impl Encode for FramedCall {
    fn encode(&self, out: &mut Text) {
        let FramedCall { function, frame, argument, default, name: _, data_type } = self;
        out.record("call")
            .field("function", function)
            .unless("frame", frame, &OverRows::ALL)
            .option("argument", argument)
            .option("default", default)
            .field("type", data_type)
            .end();
    }
}

impl Encode for FramedFunction {
    fn encode(&self, out: &mut Text) {
        match self {
            FramedFunction::Over(function) => function.encode(out),
            FramedFunction::PercentRank => out.tag("percent-rank"),
            FramedFunction::CumeDist => out.tag("cume-dist"),
            FramedFunction::Ntile(parts) => out.record("ntile").field("parts", parts).end(),
            FramedFunction::NthValue(number) => out.record("nth-value").field("number", number).end(),
            FramedFunction::NthPresent { number, from_last } => {
                out.record("nth-present").field("number", number).field("from-last", from_last).end();
            }
            FramedFunction::Aggregate(call) => call.encode(out),
        }
    }
}

impl Encode for OverRows {
    fn encode(&self, out: &mut Text) {
        let OverRows { by_range, start, end } = self;
        out.record(if *by_range { "range" } else { "rows" }).field("start", start).field("end", end).end();
    }
}

impl Encode for OverBound {
    fn encode(&self, out: &mut Text) {
        match self {
            OverBound::Unbounded => out.tag("unbounded"),
            OverBound::Current => out.tag("current"),
            OverBound::Whole(distance) => out.record("whole").field("distance", distance).end(),
            OverBound::Double(bits) => out.record("double").field("bits", bits).end(),
        }
    }
}

impl Encode for JoinSpread {
    fn encode(&self, out: &mut Text) {
        match self {
            JoinSpread::Keys => out.tag("keys"),
            JoinSpread::SomeKeys(keys) => out.record("some-keys").list("keys", keys).end(),
            JoinSpread::Broadcast(input) => out.record("broadcast").field("input", input).end(),
        }
    }
}

impl Encode for Ranking {
    fn encode(&self, out: &mut Text) {
        out.tag(match self {
            Ranking::RowNumber => "row-number",
            Ranking::Rank => "rank",
            Ranking::DenseRank => "dense-rank",
        });
    }
}

impl Encode for SortKey {
    fn encode(&self, out: &mut Text) {
        let SortKey { column, descending, nulls_first } = self;
        sort_key(out, *column, *descending, *nulls_first);
    }
}

pub(super) fn sort_key(out: &mut Text, column: usize, descending: bool, nulls_first: bool) {
    out.record("by").field("column", &column).flag("descending", descending).flag("nulls-first", nulls_first).end();
}

impl Encode for JoinType {
    fn encode(&self, out: &mut Text) {
        out.tag(match self {
            JoinType::Inner => "inner",
            JoinType::Left => "left",
            JoinType::Right => "right",
            JoinType::Full => "full",
            JoinType::LeftSemi => "left-semi",
            JoinType::LeftAnti => "left-anti",
            JoinType::RightSemi => "right-semi",
            JoinType::RightAnti => "right-anti",
        });
    }
}
