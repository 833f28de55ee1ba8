//! Joins of two streams by the times of their rows.
//!
//! A row waits as long as one that pairs with it may come: until the watermark says that none does. So rows of both sides are
//! state, each once, however many pairs there are.

use std::sync::Arc;
use std::time::Duration;

use weir_core::{Error, Result};

use crate::process::{Context, KeyedConnect};
use crate::record::{Key, Record, Timestamp, millis};
use crate::state::parts::{AnyItem, Declaration};
use crate::state::{MapState, State, Timer};
use crate::stream::{Connected, Stream};

/// How far apart, in event time, two rows may be that are a pair. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Least time of the right row behind the left one, in milliseconds.
    lower: i64,
    /// The greatest.
    upper: i64,
}

impl Interval {
    /// The right row is at most so much earlier than the left one, and at most so much later.
    pub fn around(earlier: Duration, later: Duration) -> Self {
        Self { lower: -millis(earlier), upper: millis(later) }
    }

    /// The right row is later than the left one, by this at least and by that at most.
    pub fn later(least: Duration, most: Duration) -> Self {
        Self { lower: millis(least), upper: millis(most) }
    }

    /// The right row is earlier than the left one, by this at least and by that at most.
    pub fn earlier(least: Duration, most: Duration) -> Self {
        Self { lower: -millis(most), upper: -millis(least) }
    }

    /// By how much a row that is emitted may be earlier than the row that has completed it.
    fn delay(self) -> i64 {
        self.upper.max(self.lower.saturating_neg()).max(0)
    }
}

impl<K: Key, L: Record + Clone, R: Record + Clone> Connected<K, L, R> {
    /// Makes a row of each pair of rows with the same key whose times are within an interval. `name` is what the step is called and its state is
    /// found by.
    ///
    /// The event time of what is made is that of either row, or any in between: the watermark is held back by as much as that takes. A row
    /// that is late, or has no event time, pairs with none and leaves with the job's late rows.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weir_jobs::prelude::*;
    /// # use weir_jobs::testing::TestJob;
    /// # #[derive(Record, Clone)] struct Order { id: i64, #[record(event_time)] at: Timestamp }
    /// # #[derive(Record, Clone)] struct Parcel { order: i64, #[record(event_time)] at: Timestamp }
    /// #[derive(Record, Debug, PartialEq)]
    /// struct Sent { order: i64, ordered: Timestamp, sent: Timestamp }
    ///
    /// fn sent(job: &mut Job) -> Result<()> {
    ///     let day = Duration::from_secs(24 * 60 * 60);
    ///     let parcels = job.table::<Parcel>("parcels").key_by(|parcel| parcel.order);
    ///     job.table::<Order>("orders")
    ///         .key_by(|order| order.id)
    ///         .connect(parcels)
    ///         .interval_join("sent", Interval::later(Duration::ZERO, day), |order, parcel| {
    ///             Sent { order: order.id, ordered: order.at, sent: parcel.at }
    ///         })
    ///         .insert_into("sent");
    ///     Ok(())
    /// }
    /// # let mut test = TestJob::new(sent)?;
    /// # let [ordered, sent] = [7, 9].map(Timestamp::from_secs);
    /// # test.send("parcels", [Parcel { order: 1, at: sent }, Parcel { order: 1, at: Timestamp::from_secs(6) }])?;
    /// # test.send("orders", [Order { id: 1, at: ordered }])?;
    /// # assert_eq!(test.take::<Sent>("sent")?, [Sent { order: 1, ordered, sent }]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn interval_join<O: Record>(
        self,
        name: &str,
        interval: Interval,
        pair: impl Fn(&L, &R) -> O + Send + Sync + 'static,
    ) -> Stream<O> {
        let pair = move |left: &L, right: Option<&R>| right.map(|right| pair(left, right));
        self.joined(name, interval, false, Arc::new(pair))
    }

    /// As [`interval_join`](Self::interval_join), and a row of the left stream that has found none is one without a partner, when none can come
    /// any more.
    pub fn interval_left_join<O: Record>(
        self,
        name: &str,
        interval: Interval,
        pair: impl Fn(&L, Option<&R>) -> O + Send + Sync + 'static,
    ) -> Stream<O> {
        self.joined(name, interval, true, Arc::new(move |left: &L, right: Option<&R>| Some(pair(left, right))))
    }

    fn joined<O: Record>(self, name: &str, interval: Interval, keeps_left: bool, pair: Pair<L, R, O>) -> Stream<O> {
        if interval.lower > interval.upper {
            let Interval { lower, upper } = interval;
            let problem = Error::user(format!("the join '{name}' has no pairs: none is {lower} to {upper} ms apart"));
            self.complain(problem.with_help("give the shorter distance first"));
        }
        self.check_event_time(&format!("the join '{name}'"));
        self.process(name, IntervalJoin { interval, keeps_left, pair, of: std::marker::PhantomData })
    }
}

type Pair<L, R, O> = Arc<dyn Fn(&L, Option<&R>) -> Option<O> + Send + Sync>;

struct IntervalJoin<K, L, R, O> {
    interval: Interval,
    /// Whether left rows come out that have found no other.
    keeps_left: bool,
    pair: Pair<L, R, O>,
    of: std::marker::PhantomData<fn() -> K>,
}

impl<K, L, R, O> Clone for IntervalJoin<K, L, R, O> {
    fn clone(&self) -> Self {
        Self { pair: self.pair.clone(), ..*self }
    }
}

/// A row is known by its time, and by its number among those of the same time.
type Place = (Timestamp, i64);

/// The rows of a key that wait.
struct Waiting<L: Record, R: Record> {
    /// Whether each has found another, and the row. That is noted even if nobody asks: another version of the job may keep left rows.
    left: MapState<Place, (bool, L)>,
    right: MapState<Place, R>,
    first_end: Timer,
}

impl<L: Record, R: Record> Default for Waiting<L, R> {
    fn default() -> Self {
        Self { left: MapState::default(), right: MapState::default(), first_end: Timer::default() }
    }
}

impl<L: Record, R: Record> State for Waiting<L, R> {
    const TIMERS: bool = true;

    fn declarations() -> Vec<Declaration> {
        vec![
            Declaration::of::<MapState<Place, (bool, L)>>("left"),
            Declaration::of::<MapState<Place, R>>("right"),
            Declaration::of::<Timer>("first_end"),
        ]
    }

    fn each(&mut self, visit: &mut dyn FnMut(usize, &mut dyn AnyItem)) {
        visit(0, &mut self.left);
        visit(1, &mut self.right);
        visit(2, &mut self.first_end);
    }

    fn item(&mut self, position: usize) -> Option<&mut dyn AnyItem> {
        match position {
            0 => Some(&mut self.left),
            1 => Some(&mut self.right),
            2 => Some(&mut self.first_end),
            _ => None,
        }
    }
}

/// The places of all rows with these times.
fn places(from: i64, to: i64) -> std::ops::RangeInclusive<Place> {
    (Timestamp::from_millis(from), i64::MIN)..=(Timestamp::from_millis(to), i64::MAX)
}

/// A place behind the other rows of that time.
fn behind<V>(rows: &MapState<Place, V>, time: i64) -> Place {
    let last = rows.range(places(time, time)).next_back();
    (Timestamp::from_millis(time), last.map_or(0, |((_, number), _)| number + 1))
}

impl<L: Record, R: Record> Waiting<L, R> {
    /// Waits for the first time at which a row can go.
    fn wait(&mut self, Interval { lower, upper }: Interval) {
        let left = self.left.iter().next().map(|((time, _), _)| time.millis().saturating_add(upper));
        let right = self.right.iter().next().map(|((time, _), _)| time.millis().saturating_sub(lower));
        match left.into_iter().chain(right).min() {
            Some(time) => self.first_end.set(Timestamp::from_millis(time)),
            None => self.first_end.cancel(),
        }
    }
}

/// The event time of a row that is not late.
fn in_time<K, O: Record, R: Record>(row: &R, ctx: &mut Context<'_, K, O>) -> Option<i64> {
    let time = ctx.time().filter(|_| !ctx.is_late());
    if time.is_none() {
        ctx.output.late(None, row);
    }
    time.map(Timestamp::millis)
}

impl<K: Key, L: Record + Clone, R: Record + Clone, O: Record> KeyedConnect for IntervalJoin<K, L, R, O> {
    type Key = K;
    type Left = L;
    type Right = R;
    type State = Waiting<L, R>;
    type Out = O;

    fn left(&mut self, row: L, waiting: &mut Waiting<L, R>, ctx: &mut Context<'_, K, O>) -> Result<()> {
        let Some(time) = in_time(&row, ctx) else { return Ok(()) };
        let Interval { lower, upper } = self.interval;
        let mut is_paired = false;
        for (_, other) in waiting.right.range(places(time.saturating_add(lower), time.saturating_add(upper))) {
            is_paired = true;
            (self.pair)(&row, Some(other)).into_iter().for_each(|made| ctx.emit(made));
        }
        if time.saturating_add(upper) > ctx.watermark().millis() {
            let place = behind(&waiting.left, time);
            waiting.left.insert(place, (is_paired, row));
            waiting.wait(self.interval);
        } else if self.keeps_left && !is_paired {
            (self.pair)(&row, None).into_iter().for_each(|made| ctx.emit(made));
        }
        Ok(())
    }

    fn right(&mut self, row: R, waiting: &mut Waiting<L, R>, ctx: &mut Context<'_, K, O>) -> Result<()> {
        let Some(time) = in_time(&row, ctx) else { return Ok(()) };
        let Interval { lower, upper } = self.interval;
        let mut first_pairs = Vec::new();
        for (place, (is_paired, other)) in
            waiting.left.range(places(time.saturating_sub(upper), time.saturating_sub(lower)))
        {
            if !is_paired {
                first_pairs.push(*place);
            }
            (self.pair)(other, Some(&row)).into_iter().for_each(|made| ctx.emit(made));
        }
        for place in first_pairs {
            if let Some((is_paired, _)) = waiting.left.get_mut(&place) {
                *is_paired = true;
            }
        }
        if time.saturating_sub(lower) > ctx.watermark().millis() {
            let place = behind(&waiting.right, time);
            waiting.right.insert(place, row);
            waiting.wait(self.interval);
        }
        Ok(())
    }

    fn watermark_delay(&self) -> i64 {
        self.interval.delay()
    }

    fn on_timer(&mut self, waiting: &mut Waiting<L, R>, ctx: &mut Context<'_, K, O>) -> Result<()> {
        let (Interval { lower, upper }, watermark) = (self.interval, ctx.watermark().millis());
        let over: Vec<Place> = waiting
            .left
            .iter()
            .map(|(place, _)| *place)
            .take_while(|(time, _)| time.millis().saturating_add(upper) <= watermark)
            .collect();
        for place in over {
            if let Some((false, row)) = waiting.left.remove(&place).filter(|_| self.keeps_left) {
                (self.pair)(&row, None).into_iter().for_each(|made| ctx.emit(made));
            }
        }
        let over: Vec<Place> = waiting
            .right
            .iter()
            .map(|(place, _)| *place)
            .take_while(|(time, _)| time.millis().saturating_sub(lower) <= watermark)
            .collect();
        over.iter().for_each(|place| drop(waiting.right.remove(place)));
        waiting.wait(self.interval);
        Ok(())
    }
}
