//! Streams of rows, and what can be done with them.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use weir_core::plugin::{OperatorStep, Spread, StepInput};
use weir_core::{ChangelogKind, Error, Result};

use crate::job::{Make, SharedPlan, Step};
use crate::operator::{
    BatchStep, Branch, Broadcast, Connect, IN_MEMORY, KeyOf, Keyed, LIVES, OverBatches, Process, SHARED, Shape, Side,
    Stateless, TimeToLive,
};
use crate::process::{BroadcastProcess, KeyedConnect, KeyedProcess, SideOutput};
use crate::record::{Key, Record, millis, plain_schema};
use crate::state::{Clock, State};
use crate::window::{Trigger, Triggered, Windowed, WindowedPairs, Windows};

/// Rows that come one after the other.
///
/// What is done with rows alone, such as [`map`](Self::map) and [`filter`](Self::filter), runs as one operator however many steps it has,
/// together with the next [`key_by`](Self::key_by). Such functions may be called from several threads, and keep nothing from row to row.
pub struct Stream<R> {
    pub(crate) plan: SharedPlan,
    /// What the rows come from, and what is done with them on the way.
    branches: Vec<Branch<R>>,
    /// The step that emits them.
    pub(crate) step: Option<usize>,
}

impl<R> Clone for Stream<R> {
    fn clone(&self) -> Self {
        Self { plan: self.plan.clone(), branches: self.branches.clone(), step: self.step }
    }
}

impl<R: Record> Stream<R> {
    pub(crate) fn of_relation(plan: &SharedPlan, relation: &str) -> Self {
        let branch = Branch {
            relation: relation.to_owned(),
            columns: R::schema(),
            event_time: R::EVENT_TIME,
            rows: Arc::new(|columns, sink| {
                let reader = R::columns_reader(columns, None)?;
                let count = columns.first().map_or(0, |column| column.len());
                (0..count).try_for_each(|row| sink(row, R::read(&reader, row)))
            }),
            is_unchanged: true,
            is_untouched: true,
        };
        Self { plan: plan.clone(), branches: vec![branch], step: None }
    }

    fn of_step(plan: SharedPlan, step: usize, view: &str) -> Self {
        Self { step: Some(step), ..Self::of_relation(&plan, view) }
    }

    /// Makes a row of each row.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn map<T: Record>(self, function: impl Fn(R) -> T + Send + Sync + 'static) -> Stream<T> {
        self.filter_map(move |row| Some(function(row)))
    }

    /// Keeps the rows for which a condition holds.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn filter(self, condition: impl Fn(&R) -> bool + Send + Sync + 'static) -> Self {
        let condition = Arc::new(condition);
        self.transformed(true, move |branch| {
            let (rows, condition) = (branch.rows.clone(), condition.clone());
            Arc::new(move |columns, sink| {
                rows(columns, &mut |position, row| if condition(&row) { sink(position, row) } else { Ok(()) })
            })
        })
    }

    /// Makes a row of each row, or none.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn filter_map<T: Record>(self, function: impl Fn(R) -> Option<T> + Send + Sync + 'static) -> Stream<T> {
        self.flat_map(function)
    }

    /// Makes any number of rows of each row.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn flat_map<T: Record, I: IntoIterator<Item = T>>(
        self,
        function: impl Fn(R) -> I + Send + Sync + 'static,
    ) -> Stream<T> {
        self.try_flat_map(move |row| Ok(function(row)))
    }

    /// As [`flat_map`](Self::flat_map), with a function that may fail, and the job with it.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn try_flat_map<T: Record, I: IntoIterator<Item = T>>(
        self,
        function: impl Fn(R) -> Result<I> + Send + Sync + 'static,
    ) -> Stream<T> {
        let function = Arc::new(function);
        self.transformed(false, move |branch| {
            let (rows, function) = (branch.rows.clone(), function.clone());
            Arc::new(move |columns, sink| {
                rows(columns, &mut |position, row| function(row)?.into_iter().try_for_each(|made| sink(position, made)))
            })
        })
    }

    /// Looks at each row.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn inspect(self, function: impl Fn(&R) + Send + Sync + 'static) -> Self {
        self.filter(move |row| {
            function(row);
            true
        })
    }

    fn transformed<T>(self, keeps: bool, rows: impl Fn(&Branch<R>) -> crate::operator::Rows<T>) -> Stream<T> {
        let branch = |branch: &Branch<R>| Branch {
            relation: branch.relation.clone(),
            columns: branch.columns.clone(),
            event_time: branch.event_time,
            rows: rows(branch),
            is_unchanged: branch.is_unchanged && keeps,
            is_untouched: false,
        };
        Stream { plan: self.plan, branches: self.branches.iter().map(branch).collect(), step: None }
    }

    /// The rows of both streams, in any order.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn union(self, other: Stream<R>) -> Self {
        let mut branches = self.branches;
        branches.extend(other.branches);
        Self { plan: self.plan, branches, step: None }
    }

    /// Makes a batch of each batch: for those who want Arrow as it is. The columns that come are those of `R`, and those that are made have to be
    /// those of `T`, in order and type.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn map_batches<T: Record>(
        self,
        name: &str,
        function: impl Fn(RecordBatch) -> Result<RecordBatch> + Send + Sync + 'static,
    ) -> Stream<T> {
        let input = self.input(name, Spread::Stay, false);
        let function: OverBatches = Arc::new(function);
        let output = T::schema();
        let make: Make =
            Arc::new(move |_| Ok(Box::new(BatchStep { function: function.clone(), output: output.clone() })));
        add::<T>(self.plan, name, (vec![input], Needs::default()), make)
    }

    /// Tells rows apart by a key. Rows with the same key come to the same subtask, in their order.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn key_by<K: Key>(self, key: impl Fn(&R) -> K + Send + Sync + 'static) -> KeyedStream<K, R> {
        KeyedStream { stream: self, key: Arc::new(key), time_to_live: None }
    }

    /// Writes all rows to a table of the catalog, or one that the job declares. Columns are found by their names.
    pub fn insert_into(self, table: &str) {
        let relation = self.relation(&format!("{table}_rows"));
        let columns = R::schema().fields().iter().map(|field| field.name().clone()).collect();
        self.plan.borrow_mut().steps.push(Step::Insert { relation, table: table.to_owned(), columns });
    }

    /// Makes the rows a view, for SQL that follows.
    pub fn create_view(self, name: &str) -> Self {
        let step = self.stateless(name, None, R::schema(), false);
        Self::of_step(self.plan, step, name)
    }

    /// What the step has emitted on a side output.
    #[must_use = "a stream does nothing by itself: insert it into a table"]
    pub fn side<S: Record>(&self, side: &SideOutput<S>) -> Stream<S> {
        let step = self.step.filter(|_| self.branches.iter().all(|branch| branch.is_untouched));
        let view = step.and_then(|step| self.plan.borrow_mut().read_side(step, Side::of::<S>(side.name())));
        let view = view.unwrap_or_else(|| {
            let problem = Error::user(format!("side output '{}' is read of what is no step", side.name()));
            self.plan.borrow_mut().complain(problem.with_help("ask the stream that `process` returns"));
            String::new()
        });
        // A side output has no watermark of its own.
        let mut stream = Stream::of_relation(&self.plan, &view);
        stream.branches.iter_mut().for_each(|branch| branch.event_time = None);
        stream
    }

    /// A relation with exactly these rows.
    fn relation(&self, purpose: &str) -> String {
        if let [branch] = &self.branches[..]
            && branch.is_untouched
        {
            return branch.relation.clone();
        }
        let name = self.plan.borrow().name_for(&identifier(purpose));
        self.stateless(&name, None, R::schema(), false);
        name
    }

    pub(crate) fn input(&self, purpose: &str, spread: Spread<String>, is_timeless: bool) -> StepInput {
        let event_time = R::EVENT_TIME.filter(|_| self.has_event_time());
        let purpose = format!("{purpose}_input");
        let relation = match is_timeless {
            false => self.relation(&purpose),
            true => {
                let view = self.plan.borrow().name_for(&identifier(&purpose));
                self.stateless(&view, None, R::schema(), true);
                view
            }
        };
        step_input(relation, R::schema(), spread, event_time)
    }

    /// Whether there are watermarks.
    fn has_event_time(&self) -> bool {
        self.branches.iter().all(|branch| branch.event_time.is_some())
    }

    /// Adds what is done with the rows as a step.
    fn stateless(&self, view: &str, key: Option<MakeKeys<R>>, output: SchemaRef, is_timeless: bool) -> usize {
        let branches = self.branches.clone();
        let inputs = branches
            .iter()
            .map(|branch| step_input(branch.relation.clone(), branch.columns.clone(), Spread::Stay, branch.event_time));
        let event_time = R::EVENT_TIME.filter(|_| self.has_event_time());
        let step = operator_step(view, inputs.collect(), output.clone(), event_time);
        let step = OperatorStep { wants_ticks: is_timeless, ..step };
        let make: Make = Arc::new(move |_| {
            let key = key.as_ref().map(|key| key());
            Ok(Box::new(Stateless::new(branches.clone(), key, output.clone()).timeless(is_timeless)))
        });
        self.plan.borrow_mut().add(step, make)
    }
}

type MakeKeys<R> = Arc<dyn Fn() -> Box<dyn crate::operator::KeyColumns<R>> + Send + Sync>;

/// Rows that are told apart by a key.
#[must_use = "a stream does nothing by itself: insert it into a table"]
pub struct KeyedStream<K: Key, R: Record> {
    stream: Stream<R>,
    key: Arc<dyn Fn(&R) -> K + Send + Sync>,
    time_to_live: Option<Duration>,
}

impl<K: Key, R: Record> KeyedStream<K, R> {
    /// Forgets what is kept of a key when no row of it has come for that long: in event time where rows have it and come with
    /// watermarks, by the worker's clock otherwise. Of two streams that are connected it is enough to give it to one.
    ///
    /// A row that comes that long after the last one, by its own time, finds nothing either, whether a watermark stood between the
    /// two or not.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }

    /// Has the rows of each key processed. `name` is what the step is called and its state is found by.
    pub fn process<P: KeyedProcess<Key = K, In = R>>(self, name: &str, process: P) -> Stream<P::Out> {
        let keys = vec![Some(self.key_positions())];
        let inputs = vec![self.input(name, false)];
        let shape = Shape { name: name.to_owned(), keys, time_to_live: self.lives(self.has_event_time()) };
        let needs = self.needs::<P::State>();
        let make: Make = Arc::new(move |sides| Ok(Box::new(Keyed::new(Process(process.clone()), &shape, sides)?)));
        add::<P::Out>(self.stream.plan, name, (inputs, needs), make)
    }

    /// Brings the rows of another stream with the same keys to those of this one.
    pub fn connect<T: Record>(self, other: KeyedStream<K, T>) -> Connected<K, R, T> {
        Connected { left: self, right: other }
    }

    /// Brings all rows of another stream to every subtask.
    pub fn with_broadcast<T: Record>(self, updates: Stream<T>) -> WithBroadcast<K, R, T> {
        WithBroadcast { keyed: self, updates }
    }

    /// Divides the rows of each key into windows of event time.
    pub fn window(self, windows: Windows) -> Windowed<K, R> {
        self.check_event_time("a window");
        Windowed::new(self, windows)
    }

    /// Has the rows of each key in one window, which a trigger ends: then the next one begins.
    pub fn global_window(self, trigger: Trigger<R>) -> Triggered<K, R> {
        if trigger.wants_event_time() {
            self.check_event_time("a trigger by event time");
        } else {
            self.check_no_time_to_live("a window");
        }
        Triggered::new(self, trigger)
    }

    /// Complains of what needs event time, if the rows have none, and of a time to live, which would take away what is still needed.
    fn check_event_time(&self, what: &str) {
        if R::EVENT_TIME.is_none() {
            let problem = Error::user(format!("{what} wants event time, and {} has none", R::NAME));
            self.complain(problem.with_help("mark its field with #[record(event_time)]"));
        } else if !self.stream.has_event_time() {
            let problem = Error::user(format!("{what} wants watermarks, and these rows of {} come without", R::NAME));
            self.complain(problem.with_help(
                "side outputs have no watermarks, nor has a table whose record marks no event time: compute the time in a view \
                 (`job.view`) over a table with WATERMARK, and mark it in the view's record",
            ));
        }
        self.check_no_time_to_live(what);
    }

    fn check_no_time_to_live(&self, what: &str) {
        if self.time_to_live.is_some() {
            let problem = Error::user(format!(
                "a time to live cannot be combined with {what}: it would drop what is still needed"
            ));
            self.complain(
                problem.with_help("remove `time_to_live`: what waits is forgotten when it is not needed any more"),
            );
        }
    }

    /// The columns of the rows, and behind them those of the key.
    fn schema() -> SchemaRef {
        let mut fields: Vec<Field> = R::fields("");
        fields.extend(K::fields("").into_iter().map(|field| {
            let part = field.name().as_str();
            let name = if part.is_empty() { "__key".to_owned() } else { format!("__key_{part}") };
            field.with_name(name)
        }));
        plain_schema(fields)
    }

    fn key_positions(&self) -> Vec<usize> {
        let rows = R::fields("").len();
        (rows..rows + K::fields("").len()).collect()
    }

    /// The rows with their keys, as an input of a step. `is_timeless`: the other input has event time, and these have none.
    fn input(&self, purpose: &str, is_timeless: bool) -> StepInput {
        let schema = Self::schema();
        let view = self.stream.plan.borrow().name_for(&format!("{}_input", identifier(purpose)));
        let key = self.key.clone();
        let make: MakeKeys<R> = Arc::new(move || Box::new(KeyOf::<R, K>::new(key.clone())));
        self.stream.stateless(&view, Some(make), schema.clone(), is_timeless);
        let keys = schema.fields()[R::fields("").len()..].iter().map(|field| field.name().clone()).collect();
        step_input(view, schema, Spread::Keys(keys), R::EVENT_TIME.filter(|_| self.stream.has_event_time()))
    }

    pub(crate) fn complain(&self, problem: Error) {
        self.stream.plan.borrow_mut().complain(problem);
    }

    /// Whether rows have event time, and there are watermarks.
    fn has_event_time(&self) -> bool {
        R::EVENT_TIME.is_some() && self.stream.has_event_time()
    }

    fn lives(&self, has_event_time: bool) -> Option<TimeToLive> {
        let clock = if has_event_time { Clock::Event } else { Clock::Processing };
        self.time_to_live.map(|time| TimeToLive { millis: millis(time), clock })
    }

    fn needs<S: State>(&self) -> Needs {
        // What keeps no rows of the user's goes without a word.
        let drops = S::DROPPED.iter().chain([&LIVES, &IN_MEMORY]).map(|name| (*name).to_owned()).collect();
        Needs { ticks: S::TIMERS || self.time_to_live.is_some(), drops, ..Needs::default() }
    }
}

/// Rows of two streams with the same kind of key.
#[must_use = "a stream does nothing by itself: insert it into a table"]
pub struct Connected<K: Key, L: Record, R: Record> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
}

impl<K: Key, L: Record, R: Record> Connected<K, L, R> {
    /// Has the rows of each key processed. `name` is what the step is called and its state is found by.
    pub fn process<P: KeyedConnect<Key = K, Left = L, Right = R>>(mut self, name: &str, process: P) -> Stream<P::Out> {
        let has_event_time = self.left.has_event_time() && self.right.has_event_time();
        match (self.left.time_to_live, self.right.time_to_live) {
            (Some(left), Some(right)) if left != right => {
                let problem = Error::user(format!("the streams of step '{name}' have different times to live"));
                self.left.complain(problem.with_help("a key has one state for both streams: give them the same time"));
            }
            (left, right) => self.left.time_to_live = left.or(right),
        }
        let keys = vec![Some(self.left.key_positions()), Some(self.right.key_positions())];
        let [left, right] = [self.left.stream.has_event_time(), self.right.stream.has_event_time()];
        let inputs = vec![
            self.left.input(&format!("{name}_left"), right && !left),
            self.right.input(&format!("{name}_right"), left && !right),
        ];
        let shape = Shape { name: name.to_owned(), keys, time_to_live: self.left.lives(has_event_time) };
        let needs = self.left.needs::<P::State>();
        let make: Make = Arc::new(move |sides| Ok(Box::new(Keyed::new(Connect(process.clone()), &shape, sides)?)));
        add::<P::Out>(self.left.stream.plan, name, (inputs, needs), make)
    }
}

impl<K: Key, L: Record + Clone, R: Record + Clone> Connected<K, L, R> {
    /// Divides the rows of each key, of both streams, into windows of event time.
    pub fn window(self, windows: Windows) -> WindowedPairs<K, L, R> {
        self.check_event_time("a window");
        WindowedPairs::new(self, windows)
    }

    pub(crate) fn complain(&self, problem: Error) {
        self.left.complain(problem);
    }

    /// Complains of what needs event time, if one of the streams has none, and of a time to live, which would take rows away that are still
    /// needed.
    pub(crate) fn check_event_time(&self, what: &str) {
        self.left.check_event_time(what);
        self.right.check_event_time(what);
    }
}

/// Rows with a key, and rows that every subtask is told.
#[must_use = "a stream does nothing by itself: insert it into a table"]
pub struct WithBroadcast<K: Key, R: Record, U: Record> {
    keyed: KeyedStream<K, R>,
    updates: Stream<U>,
}

impl<K: Key, R: Record, U: Record> WithBroadcast<K, R, U> {
    /// Has the rows of each key processed. `name` is what the step is called and its state is found by.
    pub fn process<P: BroadcastProcess<Key = K, In = R, Update = U>>(self, name: &str, process: P) -> Stream<P::Out> {
        let keys = vec![Some(self.keyed.key_positions()), None];
        let is_timeless = self.keyed.stream.has_event_time() && !self.updates.has_event_time();
        let inputs = vec![
            self.keyed.input(name, !self.keyed.stream.has_event_time() && self.updates.has_event_time()),
            self.updates.input(&format!("{name}_updates"), Spread::Broadcast, is_timeless),
        ];
        let shape = Shape { name: name.to_owned(), keys, time_to_live: self.keyed.lives(self.keyed.has_event_time()) };
        let mut needs = self.keyed.needs::<P::State>();
        needs.drops.extend(P::Shared::DROPPED.iter().map(|name| format!("{SHARED}{name}")));
        let make: Make =
            Arc::new(move |sides| Ok(Box::new(Keyed::new(Broadcast::new(process.clone())?, &shape, sides)?)));
        add::<P::Out>(self.keyed.stream.plan, name, (inputs, needs), make)
    }
}

/// What a step needs of the engine.
#[derive(Default)]
pub(crate) struct Needs {
    /// To be told of processing time.
    pub(crate) ticks: bool,
    /// To be woken by answers.
    pub(crate) answers: bool,
    /// To go on without these tables of an earlier version.
    pub(crate) drops: Vec<String>,
}

/// Adds a step.
pub(crate) fn add<O: Record>(
    plan: SharedPlan,
    name: &str,
    (inputs, needs): (Vec<StepInput>, Needs),
    make: Make,
) -> Stream<O> {
    // Others are told, and have no say in how far time has come.
    let event_time = O::EVENT_TIME.filter(|_| inputs.first().is_some_and(|input| input.event_time.is_some()));
    let Needs { ticks, answers, drops } = needs;
    let step = OperatorStep {
        wants_ticks: ticks,
        awaits_answers: answers,
        drops,
        ..operator_step(name, inputs, O::schema(), event_time)
    };
    if identifier(name) != name {
        let problem = Error::user(format!("a step cannot be called '{name}'"));
        plan.borrow_mut().complain(problem.with_help("a name is made of letters, digits and underscores"));
    }
    let position = plan.borrow_mut().add(step, make);
    Stream::of_step(plan, position, name)
}

fn operator_step(view: &str, inputs: Vec<StepInput>, output: SchemaRef, event_time: Option<usize>) -> OperatorStep {
    OperatorStep {
        view: view.to_owned(),
        operator: view.to_owned(),
        config: Vec::new(),
        uid: None,
        inputs,
        event_time: event_time.map(|column| output.field(column).name().clone()),
        output,
        changelog: ChangelogKind::Append,
        side_outputs: Vec::new(),
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    }
}

fn step_input(relation: String, columns: SchemaRef, spread: Spread<String>, event_time: Option<usize>) -> StepInput {
    let event_time = event_time.map(|column| columns.field(column).name().clone());
    StepInput { relation, columns, spread, event_time, takes_retractions: false }
}

/// The name with nothing in it but what an unquoted name may have.
fn identifier(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
