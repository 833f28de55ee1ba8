use my_job::{Reading, Silence, my_job};
use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

#[test]
fn a_silent_sensor_is_reported() -> Result<()> {
    let reading =
        |sensor: &str, second| Reading { sensor: sensor.to_owned(), celsius: 20.5, at: Timestamp::from_secs(second) };
    let mut test = TestJob::new(my_job)?;
    test.send("readings", [reading("attic", 0), reading("cellar", 10), reading("attic", 30)])?;
    // A silence may be over before event time has come to it.
    test.send("readings", [reading("porch", 0), reading("porch", 300)])?;
    // A checkpoint, and on in three subtasks.
    test.restart(3)?;
    test.watermark(Timestamp::from_secs(70))?;
    let silences = test.take::<Silence>("silences")?;
    assert_eq!(
        silences.iter().map(|row| (&*row.sensor, row.readings)).collect::<Vec<_>>(),
        [("porch", 1), ("cellar", 1)]
    );
    Ok(())
}
