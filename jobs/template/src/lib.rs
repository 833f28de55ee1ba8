//! Sensors that have been silent for a while.

use std::time::Duration;

use weir_jobs::prelude::*;

/// What a sensor says.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Reading {
    pub sensor: String,
    pub celsius: f64,
    #[record(event_time)]
    pub at: Timestamp,
}

/// A sensor that says nothing more.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Silence {
    pub sensor: String,
    pub readings: i64,
    #[record(event_time)]
    pub since: Timestamp,
}

/// What is kept of each sensor.
#[derive(State, Default)]
pub struct Heard {
    readings: ValueState<i64>,
    silent: Timer,
}

#[derive(Clone)]
struct Watch {
    patience: Duration,
}

impl KeyedProcess for Watch {
    type Key = String;
    type In = Reading;
    type State = Heard;
    type Out = Silence;

    fn process(&mut self, reading: Reading, heard: &mut Heard, ctx: &mut Context<'_, String, Silence>) -> Result<()> {
        // A reading may come before the timer goes off that stands in front of it.
        let set = heard.silent.time();
        if let Some(since) = set.filter(|since| *since <= reading.at) {
            report(heard, since, ctx);
        }
        *heard.readings.or_default() += 1;
        // Readings may come a little out of order: the timer goes by the latest.
        heard.silent.set((reading.at + self.patience).max(set.unwrap_or(reading.at)));
        Ok(())
    }

    fn on_timer(&mut self, heard: &mut Heard, ctx: &mut Context<'_, String, Silence>) -> Result<()> {
        report(heard, ctx.time().unwrap_or_default(), ctx);
        Ok(())
    }
}

fn report(heard: &mut Heard, since: Timestamp, ctx: &mut Context<'_, String, Silence>) {
    let readings = heard.readings.take().unwrap_or_default();
    ctx.emit(Silence { sensor: ctx.key().clone(), readings, since });
}

/// The job. Its arguments are given with `--arg`.
pub fn my_job(job: &mut Job) -> Result<()> {
    let patience = Duration::from_secs(job.argument_or("seconds", 60)?);
    let input = job.argument_or("input", "readings".to_owned())?;
    let output = job.argument_or("output", "silences".to_owned())?;
    let silences = Table::<Silence>::new("silences").with("connector", "filesystem");
    job.create_table(silences.with("path", &output).with("format", "json"));
    let readings = Table::<Reading>::new("readings").with("connector", "filesystem");
    job.create_table(readings.with("path", &input).with("format", "csv"))
        .key_by(|reading| reading.sensor.clone())
        .process("watch", Watch { patience })
        .insert_into("silences");
    Ok(())
}

weir_jobs::export!(my_job);
