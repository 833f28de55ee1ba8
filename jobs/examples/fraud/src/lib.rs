//! Fraud: cards that are used too often or for too much within a short time, by rules that change while the job runs.
//!
//! Analysts write rules into a table, and every subtask is told of each of them (a *broadcast*). Of each card the job keeps the payments of
//! the last while, as long as the longest rule looks back, and a timer forgets them when event time has gone on: cards that are
//! not used cost nothing.

use std::time::Duration;

use weir_jobs::prelude::*;

/// A card was used.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Payment {
    /// The card's number, or what stands for it.
    pub card: String,
    /// The sum.
    pub cents: i64,
    /// When.
    #[record(event_time)]
    pub at: Timestamp,
}

/// `payments` or more of a card within `seconds` that sum up to `cents` or more are an alert.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name. A later rule of the same name replaces it.
    pub name: String,
    /// How many payments there are at least. None: the rule is switched off.
    pub payments: i64,
    /// What they sum up to at least.
    pub cents: i64,
    /// Within how many seconds.
    pub seconds: i64,
}

/// A rule holds for a card.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Alert {
    /// The card.
    pub card: String,
    /// The rule's name.
    pub rule: String,
    /// How many payments there were.
    pub payments: i64,
    /// What they sum up to.
    pub cents: i64,
    /// When the last of them was made.
    #[record(event_time)]
    pub at: Timestamp,
}

/// What is kept of a card.
#[derive(State, Default)]
pub struct Recent {
    /// Payments that some rule may still look at.
    pub payments: ListState<Payment>,
    forget: Timer,
}

#[derive(Clone)]
struct FindFraud {
    /// No rule looks back further.
    longest: Duration,
}

impl BroadcastProcess for FindFraud {
    type Key = String;
    type In = Payment;
    type Update = Rule;
    type State = Recent;
    type Shared = MapState<String, Rule>;
    type Out = Alert;

    fn update(&mut self, rule: Rule, rules: &mut MapState<String, Rule>) -> Result<()> {
        match rule.payments {
            0 => rules.remove(&rule.name),
            _ => rules.insert(rule.name.clone(), rule),
        };
        Ok(())
    }

    fn process(
        &mut self,
        payment: Payment,
        recent: &mut Recent,
        rules: &MapState<String, Rule>,
        ctx: &mut Context<'_, String, Alert>,
    ) -> Result<()> {
        let at = payment.at;
        recent.payments.push(payment);
        // Payments may come a little out of order: the timer goes by the latest.
        if recent.forget.time().is_none_or(|time| time < at + self.longest) {
            recent.forget.set(at + self.longest);
        }
        for rule in rules.values() {
            let from = at - Duration::from_secs(rule.seconds.unsigned_abs()).min(self.longest);
            let within = recent.payments.iter().filter(|payment| payment.at > from && payment.at <= at);
            let (payments, cents) = within.fold((0, 0), |(count, sum), payment| (count + 1, sum + payment.cents));
            if payments >= rule.payments && cents >= rule.cents {
                ctx.emit(Alert { card: ctx.key().clone(), rule: rule.name.clone(), payments, cents, at });
            }
        }
        // From the front, which costs a row of the next checkpoint for each; what is out of order waits for the timer.
        let oldest = ctx.watermark() - self.longest;
        while recent.payments.get(0).is_some_and(|payment| payment.at <= oldest) {
            recent.payments.pop_front();
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        recent: &mut Recent,
        _rules: &MapState<String, Rule>,
        _ctx: &mut Context<'_, String, Alert>,
    ) -> Result<()> {
        recent.payments.clear();
        Ok(())
    }
}

/// Tables in files, for a first try.
fn declare(job: &mut Job, folder: &str) {
    let delay = Duration::from_secs(5);
    job.create_table(files::<Payment>(folder, "payments").out_of_order(delay));
    job.create_table(files::<Rule>(folder, "rules"));
    job.create_table(files::<Alert>(folder, "alerts"));
}

fn files<R: Record>(folder: &str, name: &str) -> Table<R> {
    Table::new(name).with("connector", "filesystem").with("path", &format!("{folder}/{name}")).with("format", "json")
}

/// The job. It reads `payments` and `rules`, and writes `alerts`. `--arg longest-minutes=…`: no rule looks back further.
/// `--arg folder=…`: the tables are made here, over files in that folder; without it they are the catalog's.
///
/// # Errors
/// If the argument is no number.
pub fn fraud(job: &mut Job) -> Result<()> {
    let folder = job.argument_or("folder", String::new())?;
    if !folder.is_empty() {
        declare(job, &folder);
    }
    let longest = Duration::from_secs(60 * job.argument_or::<u64>("longest-minutes", 60)?);
    let rules = job.table::<Rule>("rules");
    job.table::<Payment>("payments")
        .filter(|payment| payment.cents > 0)
        .key_by(|payment| payment.card.clone())
        .with_broadcast(rules)
        .process("fraud", FindFraud { longest })
        .insert_into("alerts");
    Ok(())
}

weir_jobs::export!(fraud);
