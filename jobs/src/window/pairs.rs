//! Windows of two streams: what both have of a key in a window, together.

use std::sync::Arc;

use weir_core::Result;

use super::Window;
use super::Windows;
use super::open::{Open, Place};
use crate::process::{Context, KeyedConnect};
use crate::record::{Key, Record};
use crate::stream::{Connected, Stream};

/// The rows of two streams in windows.
#[must_use = "windows do nothing by themselves: process them"]
pub struct WindowedPairs<K: Key, L: Record, R: Record> {
    connected: Connected<K, L, R>,
    windows: Windows,
}

impl<K: Key, L: Record + Clone, R: Record + Clone> WindowedPairs<K, L, R> {
    pub(crate) fn new(connected: Connected<K, L, R>, windows: Windows) -> Self {
        Self { connected, windows }
    }

    /// Makes rows of what both streams have in each window of a key, in the order in which it came. One of the two may have nothing: what is made then
    /// says whether this is an inner or an outer join. A window in which neither has anything is none. `name` is what the step is called and
    /// its state is found by.
    ///
    /// Rows whose windows have all been shown are late, and leave with the job's late rows.
    ///
    /// ```
    /// use std::time::Duration;
    /// use weir_jobs::prelude::*;
    /// # use weir_jobs::testing::TestJob;
    /// # #[derive(Record, Clone)] struct Click { ad: i64, #[record(event_time)] at: Timestamp }
    /// # #[derive(Record, Clone)] struct View { ad: i64, #[record(event_time)] at: Timestamp }
    /// #[derive(Record, Debug, PartialEq)]
    /// struct Rate { ad: i64, views: i64, clicks: i64 }
    ///
    /// fn rates(job: &mut Job) -> Result<()> {
    ///     let clicks = job.table::<Click>("clicks").key_by(|click| click.ad);
    ///     let views = job.table::<View>("views").key_by(|view| view.ad);
    ///     views
    ///         .connect(clicks)
    ///         .window(Windows::tumbling(Duration::from_secs(60)))
    ///         .process("rates", |ad, _window, views, clicks| {
    ///             Some(Rate { ad: *ad, views: views.len() as i64, clicks: clicks.len() as i64 })
    ///         })
    ///         .insert_into("rates");
    ///     Ok(())
    /// }
    /// # let mut test = TestJob::new(rates)?;
    /// # let at = Timestamp::from_secs(7);
    /// # test.send("views", [View { ad: 1, at }, View { ad: 1, at }])?;
    /// # test.send("clicks", [Click { ad: 1, at }])?;
    /// # test.end()?;
    /// # assert_eq!(test.take::<Rate>("rates")?, [Rate { ad: 1, views: 2, clicks: 1 }]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn process<O: Record, I: IntoIterator<Item = O>>(
        self,
        name: &str,
        function: impl Fn(&K, Window, Vec<L>, Vec<R>) -> I + Send + Sync + 'static,
    ) -> Stream<O> {
        let Self { connected, windows } = self;
        if let Err(problem) = windows.check() {
            connected.complain(problem.context(format!("the windows of '{name}' cannot be")));
        }
        let rows: PairRows<K, L, R, O> = Arc::new(move |key, window, (left, right), emit| {
            function(key, window, left, right).into_iter().for_each(emit);
        });
        connected.process(name, Pairs { windows, rows })
    }
}

/// What both streams have in a window.
type Both<L, R> = (Vec<L>, Vec<R>);

type PairRows<K, L, R, O> = Arc<dyn Fn(&K, Window, Both<L, R>, &mut dyn FnMut(O)) + Send + Sync>;

struct Pairs<K, L, R, O> {
    windows: Windows,
    rows: PairRows<K, L, R, O>,
}

impl<K, L, R, O> Clone for Pairs<K, L, R, O> {
    fn clone(&self) -> Self {
        Self { windows: self.windows, rows: self.rows.clone() }
    }
}

impl<K: Key, L: Record + Clone, R: Record + Clone, O: Record> Pairs<K, L, R, O> {
    /// Adds a row by what it does with what a window has. Says whether there is a window for it.
    fn add(
        &self,
        open: &mut Open<Both<L, R>>,
        ctx: &Context<'_, K, O>,
        add: impl FnMut(&mut Both<L, R>),
    ) -> Result<bool> {
        let merge = |both: &mut Both<L, R>, (left, right): Both<L, R>| {
            both.0.extend(left);
            both.1.extend(right);
        };
        Ok(open.add(self.windows.0, Place::of(ctx)?, add, merge))
    }
}

impl<K: Key, L: Record + Clone, R: Record + Clone, O: Record> KeyedConnect for Pairs<K, L, R, O> {
    type Key = K;
    type Left = L;
    type Right = R;
    type State = Open<Both<L, R>>;
    type Out = O;

    fn left(&mut self, row: L, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        if !self.add(open, ctx, |both| both.0.push(row.clone()))? {
            ctx.output.late(None, &row);
        }
        Ok(())
    }

    fn right(&mut self, row: R, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        if !self.add(open, ctx, |both| both.1.push(row.clone()))? {
            ctx.output.late(None, &row);
        }
        Ok(())
    }

    fn watermark_delay(&self) -> i64 {
        self.windows.0.watermark_delay()
    }

    fn on_timer(&mut self, open: &mut Self::State, ctx: &mut Context<'_, K, O>) -> Result<()> {
        for (window, both) in open.ended(self.windows.0, ctx.watermark()) {
            let (key, output) = (ctx.key, &mut *ctx.output);
            (self.rows)(key, window, both, &mut |row| output.emit(&row));
        }
        Ok(())
    }
}
