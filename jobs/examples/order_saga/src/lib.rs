//! An order as a saga: stock is reserved, the card is charged, the parcel is sent. Each is done by another service, which may refuse, be slow, or
//! be gone. If a step cannot be done, what has been done is undone, last first.
//!
//! ```text
//!   orders ──▶ ┌───────────┐ ──▶ requests ──▶ services
//!              │   saga    │                     │
//!   outcomes ◀─└───────────┘ ◀── replies ◀───────┘
//! ```
//!
//! Where an order stands is state, and so are its timeouts: a crash loses neither, and does not ask twice. State and requests belong to the same
//! checkpoint, so a request is out if and only if the saga knows that it is (with a sink that is exactly-once).
//!
//! A service may be asked again when it does not answer, so it tells requests apart by order and step. When it does not answer at
//! all, nobody knows what it has done: then that step is undone too.

use std::time::Duration;

use weir_jobs::prelude::*;

/// Somebody has ordered something.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// The article.
    pub article: String,
    /// What it costs.
    pub cents: i64,
}

/// What a service does for an order.
#[derive(Record, Debug, Clone, Copy, PartialEq, Eq)]
#[record(rename_all = "snake_case")]
pub enum Step {
    /// Stock is set aside.
    Reserve,
    /// The card is charged.
    Charge,
    /// The parcel is sent.
    Send,
}

impl Step {
    fn next(self) -> Option<Self> {
        match self {
            Self::Reserve => Some(Self::Charge),
            Self::Charge => Some(Self::Send),
            Self::Send => None,
        }
    }

    fn before(self) -> Option<Self> {
        match self {
            Self::Reserve => None,
            Self::Charge => Some(Self::Reserve),
            Self::Send => Some(Self::Charge),
        }
    }
}

/// What a service is asked for.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Request {
    /// The order.
    pub order: i64,
    /// What is to be done.
    pub step: Step,
    /// It is to be undone, if it was done.
    pub undo: bool,
    /// How often this has been asked for, from 1.
    pub attempt: i32,
    /// The article.
    pub article: String,
    /// What it costs.
    pub cents: i64,
}

/// What a service says.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Reply {
    /// The order.
    pub order: i64,
    /// What was asked for.
    pub step: Step,
    /// Whether it was to be undone.
    pub undo: bool,
    /// Whether it is done. What was to be undone never is refused.
    pub done: bool,
}

/// How an order has ended.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The order.
    pub order: i64,
    /// How.
    pub result: Ending,
}

/// How an order ends.
#[derive(Record, Debug, Clone, Copy, PartialEq, Eq)]
#[record(rename_all = "snake_case")]
pub enum Ending {
    /// All was done.
    Completed,
    /// All is as it was before.
    Cancelled,
    /// A service does not answer, not even to undo what it may have done: a person has to look.
    Stuck,
}

/// Where an order stands.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Stand {
    order: Order,
    /// What has been asked for.
    step: Step,
    undo: bool,
    attempt: i32,
}

/// What is kept of an order.
#[derive(State, Default)]
pub struct Saga {
    stand: ValueState<Stand>,
    /// When a service has had its time. It goes by the clock: a service that is gone sends nothing that would move event time.
    timeout: ProcessingTimer,
    /// Orders that have ended, so that one that is sent again is not begun again.
    ended: ValueState<bool>,
}

/// Requests, on their way to the services.
pub const REQUESTS: SideOutput<Request> = SideOutput::new("requests");

#[derive(Clone)]
struct Orchestrate {
    timeout: Duration,
    attempts: i32,
}

type Ctx<'a, 'b> = &'a mut Context<'b, i64, Outcome>;

impl Orchestrate {
    fn ask(&self, stand: Stand, saga: &mut Saga, ctx: Ctx<'_, '_>) {
        let Order { id, article, cents } = stand.order.clone();
        let Stand { step, undo, attempt, .. } = stand;
        ctx.emit_to(&REQUESTS, Request { order: id, step, undo, attempt, article, cents });
        saga.timeout.set(ctx.now() + self.timeout);
        saga.stand.set(stand);
    }

    /// Asks for a step or for undoing it; without one, the order has ended.
    fn go_on(&self, stand: Stand, step: Option<Step>, undo: bool, saga: &mut Saga, ctx: Ctx<'_, '_>) {
        match step {
            Some(step) => self.ask(Stand { step, undo, attempt: 1, ..stand }, saga, ctx),
            None => self.end(if undo { Ending::Cancelled } else { Ending::Completed }, saga, ctx),
        }
    }

    fn end(&self, result: Ending, saga: &mut Saga, ctx: Ctx<'_, '_>) {
        ctx.emit(Outcome { order: *ctx.key(), result });
        saga.stand.clear();
        saga.timeout.cancel();
        saga.ended.set(true);
    }
}

impl KeyedConnect for Orchestrate {
    type Key = i64;
    type Left = Order;
    type Right = Reply;
    type State = Saga;
    type Out = Outcome;

    fn left(&mut self, order: Order, saga: &mut Saga, ctx: &mut Context<'_, i64, Outcome>) -> Result<()> {
        if !saga.stand.is_set() && !saga.ended.is_set() {
            self.ask(Stand { order, step: Step::Reserve, undo: false, attempt: 1 }, saga, ctx);
        }
        Ok(())
    }

    fn right(&mut self, reply: Reply, saga: &mut Saga, ctx: &mut Context<'_, i64, Outcome>) -> Result<()> {
        // An answer to something that was asked for earlier changes nothing any more.
        let Some(stand) = saga.stand.get().filter(|stand| stand.step == reply.step && stand.undo == reply.undo) else {
            return Ok(());
        };
        let stand = stand.clone();
        let step = stand.step;
        match (reply.undo, reply.done) {
            (false, true) => self.go_on(stand, step.next(), false, saga, ctx),
            (false, false) => self.go_on(stand, step.before(), true, saga, ctx),
            (true, _) => self.go_on(stand, step.before(), true, saga, ctx),
        }
        Ok(())
    }

    fn on_timer(&mut self, saga: &mut Saga, ctx: &mut Context<'_, i64, Outcome>) -> Result<()> {
        let Some(stand) = saga.stand.get().cloned() else { return Ok(()) };
        if stand.attempt < self.attempts {
            let attempt = stand.attempt + 1;
            self.ask(Stand { attempt, ..stand }, saga, ctx);
        } else if stand.undo {
            self.end(Ending::Stuck, saga, ctx);
        } else {
            let step = Some(stand.step);
            self.go_on(stand, step, true, saga, ctx);
        }
        Ok(())
    }
}

/// Tables in files, for a first try.
fn declare(job: &mut Job, folder: &str) {
    job.create_table(files::<Order>(folder, "orders"));
    job.create_table(files::<Reply>(folder, "replies"));
    job.create_table(files::<Request>(folder, "requests"));
    job.create_table(files::<Outcome>(folder, "outcomes"));
}

fn files<R: Record>(folder: &str, name: &str) -> Table<R> {
    Table::new(name).with("connector", "filesystem").with("path", &format!("{folder}/{name}")).with("format", "json")
}

/// The job. It reads `orders` and `replies`, and writes `requests` and `outcomes`. `--arg timeout-seconds=…` is how long a service has,
/// `--arg attempts=…` how often it is asked.
/// `--arg folder=…`: the tables are made here, over files in that folder; without it they are the catalog's.
///
/// # Errors
/// If an argument is no number.
pub fn order_saga(job: &mut Job) -> Result<()> {
    let folder = job.argument_or("folder", String::new())?;
    if !folder.is_empty() {
        declare(job, &folder);
    }
    let timeout = Duration::from_secs(job.argument_or("timeout-seconds", 30)?);
    let attempts = job.argument_or("attempts", 3)?;
    let orders = job.table::<Order>("orders").key_by(|order| order.id);
    let replies = job.table::<Reply>("replies").key_by(|reply| reply.order);
    let outcomes = orders
        .time_to_live(Duration::from_secs(7 * 24 * 60 * 60))
        .connect(replies)
        .process("saga", Orchestrate { timeout, attempts });
    outcomes.side(&REQUESTS).insert_into("requests");
    outcomes.insert_into("outcomes");
    Ok(())
}

weir_jobs::export!(order_saga);
