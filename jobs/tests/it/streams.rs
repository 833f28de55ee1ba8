//! What is done with rows alone.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use weir_jobs::testing::TestJob;

use super::*;

fn steps(job: &mut Job) -> Result<()> {
    let large = job.argument_or("large", 10)?;
    job.table::<Event>("events")
        .filter(move |event| event.amount >= large)
        .map(|event| Total { user: event.user.to_uppercase(), total: event.amount })
        .flat_map(|row| (0..2).map(move |n| Total { total: row.total + n, ..row.clone() }))
        .insert_into("totals");
    Ok(())
}

#[test]
fn steps_follow_one_another() {
    let mut test = TestJob::new(steps).unwrap();
    test.send("events", [event("a", 3, 0), event("b", 10, 0), event("c", 30, 0)]).unwrap();
    let expected = [total("B", 10), total("B", 11), total("C", 30), total("C", 31)];
    assert_eq!(test.take::<Total>("totals").unwrap(), expected);
    assert!(test.take::<Total>("totals").unwrap().is_empty());
}

#[test]
fn arguments_are_read_and_those_that_are_none_are_refused() {
    let mut test = TestJob::with_arguments(steps, &[("large", "30")]).unwrap();
    test.send("events", [event("b", 10, 0), event("c", 30, 0)]).unwrap();
    assert_eq!(test.take::<Total>("totals").unwrap().len(), 2);
    let refusal = |arguments| TestJob::with_arguments(steps, arguments).map(|_| ()).unwrap_err().report();
    assert!(refusal(&[("larg", "3")]).contains("the job has no argument 'larg'"));
    assert!(refusal(&[("large", "many")]).contains("argument 'large' is 'many': invalid digit"));
    let needs = |job: &mut Job| job.argument::<i64>("least").map(|_| ());
    assert!(TestJob::new(needs).map(|_| ()).unwrap_err().report().contains("--arg least="));
}

#[test]
fn rows_of_a_union_take_the_same_way() {
    let mut test = TestJob::new(|job| {
        let web = job.table::<Event>("web").filter(|event| event.amount > 0);
        let shop = job.table::<Total>("shop").map(|row| event(&row.user, row.total, 7));
        web.union(shop).filter(|event| event.user != "x").insert_into("all");
        Ok(())
    })
    .unwrap();
    test.send("web", [event("a", 1, 0), event("a", 0, 0), event("x", 5, 0)]).unwrap();
    test.send("shop", [total("b", 2), total("x", 2)]).unwrap();
    assert_eq!(test.take::<Event>("all").unwrap(), [event("a", 1, 0), event("b", 2, 7)]);
}

#[test]
fn batches_are_for_those_who_want_them() {
    let mut test = TestJob::new(|job| {
        let doubled = |batch: RecordBatch| {
            let totals = batch.column(1).as_primitive::<Int64Type>().unary::<_, Int64Type>(|n| n * 2);
            let columns = vec![batch.column(0).clone(), std::sync::Arc::new(totals) as _];
            Ok(RecordBatch::try_new(batch.schema(), columns)?)
        };
        job.table::<Total>("totals").map_batches::<Total>("doubled", doubled).insert_into("out");
        Ok(())
    })
    .unwrap();
    test.send("totals", [total("a", 1), total("b", 2)]).unwrap();
    assert_eq!(test.take::<Total>("out").unwrap(), [total("a", 2), total("b", 4)]);
}

#[test]
fn what_a_harness_cannot_do_is_refused() {
    let refusal = |main: fn(&mut Job) -> Result<()>| TestJob::new(main).map(|_| ()).unwrap_err().report();
    let sql = refusal(|job| {
        job.sql("INSERT INTO a SELECT * FROM b;");
        Ok(())
    });
    assert!(sql.contains("a TestJob runs no SQL: INSERT INTO a"), "{sql}");
    assert!(refusal(|_| Ok(())).contains("the job does nothing"));
    let mut test = TestJob::new(steps).unwrap();
    let unknown = test.send("event", [event("a", 1, 0)]).unwrap_err().report();
    assert!(unknown.contains("the job reads no table 'event'") && unknown.contains("it reads events"), "{unknown}");
    let columns = test.send("events", [total("a", 1)]).unwrap_err().report();
    assert!(columns.contains("'events' was sent without a column 'amount'"), "{columns}");
}
