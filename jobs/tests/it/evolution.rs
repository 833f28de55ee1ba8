//! State that another version of the job has written.

use weir_jobs::testing::{Snapshot, TestJob};

use super::*;

/// A version of the job: its state, and what it makes of a row.
macro_rules! version {
    ($name:ident, $state:item, $kept:ty, $process:expr) => {
        mod $name {
            use super::super::*;

            #[derive(Record, Debug, Clone, PartialEq)]
            $state

            #[derive(Clone)]
            struct Step;

            impl KeyedProcess for Step {
                type Key = String;
                type In = Event;
                type State = $kept;
                type Out = Total;

                fn process(
                    &mut self,
                    event: Event,
                    state: &mut Self::State,
                    ctx: &mut Context<'_, String, Total>,
                ) -> Result<()> {
                    let process: fn(Event, &mut $kept, &mut Context<'_, String, Total>) = $process;
                    process(event, state, ctx);
                    Ok(())
                }
            }

            pub(super) fn job(job: &mut Job) -> Result<()> {
                let events = job.table::<Event>("events").key_by(|event| event.user.clone());
                events.process("step", Step).insert_into("out");
                Ok(())
            }
        }
    };
}

version!(
    first,
    pub struct Kept {
        count: i32,
        gone: String,
    },
    ValueState<Kept>,
    |event, state, _| {
        state.set(Kept { count: event.amount as i32, gone: "x".to_owned() });
    }
);
// Wider, in another place, with new columns, and without one.
version!(
    second_one,
    pub struct Kept {
        note: Option<String>,
        #[record(default = "7")]
        added: i64,
        #[record(was = "count")]
        total: i64,
    },
    ValueState<Kept>,
    |_, state, ctx| {
        let kept = state.get().cloned().unwrap_or(Kept { note: None, added: 0, total: 0 });
        assert_eq!(kept.note, None);
        ctx.emit(total(ctx.key(), kept.total * 100 + kept.added));
    }
);
version!(
    narrow,
    pub struct Kept {
        count: i16,
        gone: String,
    },
    ValueState<Kept>,
    |_, _, _| {}
);
version!(
    without_default,
    pub struct Kept {
        count: i32,
        gone: String,
        more: i64,
    },
    ValueState<Kept>,
    |_, _, _| {}
);
version!(
    another_kind,
    pub struct Kept {
        count: i32,
        gone: String,
    },
    ListState<Kept>,
    |_, _, _| {}
);

fn snapshot() -> Snapshot {
    let mut test = TestJob::new(first::job).unwrap();
    test.send("events", [event("a", 3, 0), event("b", 4, 0)]).unwrap();
    test.snapshot().unwrap()
}

#[test]
fn fields_are_added_removed_renamed_and_wider() {
    let mut test =
        TestJob::restored(second_one::job, &snapshot(), 2).unwrap_or_else(|error| panic!("{}", error.report()));
    test.send("events", [event("a", 0, 0), event("b", 0, 0), event("c", 0, 0)]).unwrap();
    let mut rows = test.take::<Total>("out").unwrap();
    rows.sort();
    assert_eq!(rows, [total("a", 307), total("b", 407), total("c", 0)]);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let refusal =
        |main: fn(&mut Job) -> Result<()>| TestJob::restored(main, &snapshot(), 1).map(|_| ()).unwrap_err().report();
    assert!(refusal(narrow::job).contains("column 'count' was Int32 and is Int16"));
    assert!(refusal(without_default::job).contains("it has no column 'more', which cannot be null and has no default"));
    assert!(refusal(another_kind::job).contains("there is state 'value', which it no longer keeps"));
    let other = |job: &mut Job| {
        job.table::<Event>("events").insert_into("out");
        Ok(())
    };
    assert!(refusal(other).contains("state of a step 'step', which the job does not have"));
}

/// Versions of a job by their states, whose rows are the amounts that `$field` has added up.
macro_rules! totals {
    ($name:ident, $field:ident, $state:item) => {
        mod $name {
            use super::super::*;

            #[derive(State, Default)]
            $state

            #[derive(Clone)]
            struct Step;

            impl KeyedProcess for Step {
                type Key = String;
                type In = Event;
                type State = Kept;
                type Out = Total;

                fn process(&mut self, row: Event, kept: &mut Kept, ctx: &mut Context<'_, String, Total>) -> Result<()> {
                    *kept.$field.or_default() += row.amount;
                    ctx.emit(total(ctx.key(), *kept.$field.or_default()));
                    Ok(())
                }
            }

            pub(super) fn job(job: &mut Job) -> Result<()> {
                let events = job.table::<Event>("events").key_by(|event| event.user.clone());
                events.process("step", Step).insert_into("out");
                Ok(())
            }
        }
    };
}
totals!(
    sum,
    sum,
    struct Kept {
        sum: ValueState<i64>,
    }
);
totals!(
    renamed_silently,
    amount,
    struct Kept {
        amount: ValueState<i64>,
    }
);
totals!(
    renamed,
    amount,
    struct Kept {
        #[state(name = "sum")]
        amount: ValueState<i64>,
    }
);
totals!(
    dropped,
    amount,
    #[state(dropped = "sum")]
    struct Kept {
        amount: ValueState<i64>,
    }
);

#[test]
fn a_piece_of_state_is_renamed_or_dropped_only_where_that_is_said() {
    let mut test = TestJob::new(sum::job).unwrap();
    test.send("events", [event("a", 3, 0)]).unwrap();
    let snapshot = test.snapshot().unwrap();
    let error = TestJob::restored(renamed_silently::job, &snapshot, 1).map(|_| ()).unwrap_err().report();
    assert!(error.contains("step 'step': there is state 'sum', which it no longer keeps"), "{error}");
    assert!(error.contains("#[state(name = \"sum\")]"), "{error}");
    for (job, expected) in [(renamed::job as fn(&mut Job) -> Result<()>, 7), (dropped::job, 4)] {
        let mut test = TestJob::restored(job, &snapshot, 2).unwrap();
        test.send("events", [event("a", 4, 0)]).unwrap();
        assert_eq!(test.take::<Total>("out").unwrap(), [total("a", expected)]);
    }
}
