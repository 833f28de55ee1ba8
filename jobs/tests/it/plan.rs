//! What the planner is given.

use std::collections::BTreeMap;

use weir_core::plugin::{JobStep, OperatorRequest, OperatorStep, Plugin, Spread};
use weir_jobs::JobPlugin;

use super::*;

#[derive(Clone)]
struct Count {
    from: i64,
}

impl KeyedProcess for Count {
    type Key = (String, i64);
    type In = Event;
    type State = ValueState<i64>;
    type Out = Event;

    fn process(
        &mut self,
        event: Event,
        state: &mut ValueState<i64>,
        ctx: &mut Context<'_, Self::Key, Event>,
    ) -> Result<()> {
        let count = state.or_insert_with(|| self.from);
        *count += 1;
        ctx.emit(Event { amount: *count, ..event });
        Ok(())
    }
}

fn mixed(job: &mut Job) -> Result<()> {
    let from = job.argument_or("from", 0)?;
    let events = job.create_table(
        Table::<Event>::new("events").with("connector", "filesystem").with("path", "it's").out_of_order(seconds(5)),
    );
    let counts = events
        .filter(|event| event.amount > 0)
        .key_by(|event| (event.user.clone(), event.amount))
        .process("counts", Count { from });
    counts.create_view("counted");
    job.sql("CREATE TABLE sums (`user` STRING, total BIGINT) WITH ('connector' = 'blackhole');");
    job.view::<Total>("per_user", "SELECT `user`, SUM(amount) AS total FROM counted GROUP BY `user`")
        .insert_into("sums");
    Ok(())
}

fn described() -> (Vec<String>, Vec<OperatorStep>) {
    let plugin = JobPlugin::new("mixed", "1.2.3", mixed);
    assert_eq!((plugin.info().name.as_str(), plugin.info().version.as_str()), ("mixed", "1.2.3"));
    let arguments = BTreeMap::from([("from".to_owned(), "40".to_owned())]);
    let (mut sql, mut operators) = (Vec::new(), Vec::new());
    for step in plugin.job(&arguments).unwrap().steps {
        match step {
            JobStep::Sql(text) => sql.push(text),
            JobStep::Operator(step) => operators.push(step),
            JobStep::Table(step) => panic!("it has no table of its own: {step:?}"),
        }
    }
    (sql, operators)
}

#[test]
fn sql_and_operators_stand_in_their_order() {
    let (sql, operators) = described();
    assert_eq!(
        sql[0],
        "CREATE TABLE events (\n  `user` STRING NOT NULL,\n  `amount` BIGINT NOT NULL,\n  `at` TIMESTAMP(3) NOT NULL,\n  \
         WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND\n) WITH ('connector' = 'filesystem', 'path' = 'it''s');"
    );
    assert_eq!(sql[2], "CREATE VIEW per_user AS SELECT `user`, SUM(amount) AS total FROM counted GROUP BY `user`;");
    assert_eq!(sql[3], "INSERT INTO sums (`user`, `total`) SELECT `user`, `total` FROM per_user;");
    let [input, counts, counted] = &operators[..] else { panic!("{} operators", operators.len()) };
    assert_eq!((input.view.as_str(), input.inputs[0].relation.as_str()), ("counts_input", "events"));
    assert_eq!(input.inputs[0].spread, Spread::Stay);
    assert_eq!(input.inputs[0].event_time.as_deref(), Some("at"));
    let columns: Vec<_> = input.output.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["user", "amount", "at", "__key_1", "__key_2"]);
    assert!(input.output.fields().iter().all(|field| field.metadata().is_empty()));
    assert_eq!(counts.inputs[0].spread, Spread::Keys(vec!["__key_1".to_owned(), "__key_2".to_owned()]));
    assert_eq!((counts.inputs[0].relation.as_str(), counts.event_time.as_deref()), ("counts_input", Some("at")));
    assert_eq!((counts.output.clone(), counts.wants_ticks), (Event::schema(), false));
    assert_eq!(counted.inputs[0].relation, "counts");
}

#[test]
fn operators_are_made_with_the_arguments_of_the_job() {
    use weir_core::{Batch, Collector};
    let (_, operators) = described();
    let plugin = JobPlugin::new("mixed", "1.2.3", mixed);
    let request = |step: &OperatorStep| OperatorRequest {
        operator: step.operator.clone(),
        config: step.config.clone(),
        inputs: step.inputs.iter().map(|input| input.columns.clone()).collect(),
        keys: vec![None],
        output: step.output.clone(),
        side_outputs: Vec::new(),
    };
    let mut batch = Batch::append(weir_jobs::record::to_batch(&[event("a", 5, 0), event("a", -5, 0)]).unwrap());
    for step in &operators[..2] {
        let mut operator = plugin.operator(&request(step)).unwrap();
        let mut out = Collector::new(0);
        operator.process(0, batch, &mut out).unwrap();
        batch = out.take().pop().unwrap().1;
    }
    let rows = weir_jobs::record::from_batch::<Event>(batch.records()).unwrap();
    assert_eq!(rows, [event("a", 41, 0)]);
    let other = OperatorRequest { operator: "sums".to_owned(), ..request(&operators[0]) };
    assert!(plugin.operator(&other).map(|_| ()).unwrap_err().report().contains("mixed has no step 'sums'"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refusal = |main: weir_jobs::Main| JobPlugin::new("job", "1", main).job(&BTreeMap::new()).unwrap_err().report();
    let twice = refusal(|job| {
        let events = job.table::<Event>("events");
        events.clone().key_by(|event| (event.user.clone(), 0)).process("a", Count { from: 0 }).insert_into("x");
        events.key_by(|event| (event.user.clone(), 0)).process("a", Count { from: 0 }).insert_into("y");
        Ok(())
    });
    assert!(twice.contains("two steps of the job are called 'a'"), "{twice}");
    let name = refusal(|job| {
        let events = job.table::<Event>("events").key_by(|event| (event.user.clone(), 0));
        events.process("a b", Count { from: 0 }).insert_into("x");
        Ok(())
    });
    assert!(name.contains("a step cannot be called 'a b'"), "{name}");
    let side = refusal(|job| {
        job.table::<Event>("events").side(&SideOutput::<Event>::new("late")).insert_into("x");
        Ok(())
    });
    assert!(side.contains("side output 'late' is read of what is no step"), "{side}");
    #[derive(Record)]
    struct Unsigned {
        number: u64,
    }
    let unsigned = refusal(|job| {
        job.create_table(Table::<Unsigned>::new("t")).insert_into("x");
        Ok(())
    });
    assert!(unsigned.contains("Unsigned.number cannot be a column") && unsigned.contains("i64"), "{unsigned}");
}
