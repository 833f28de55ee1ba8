use super::*;

const SETTLE: Duration = Duration::from_secs(60);

fn look(seconds: u64, has: u32, share: u32) -> Look {
    Look { now: Duration::from_secs(seconds), has, share, runs: true, settle: SETTLE }
}

#[test]
fn what_is_lost_is_lost_at_once_and_what_is_gained_has_to_settle() {
    let mut gain = Gain::default();
    assert_eq!(gain.look(look(0, 4, 2)), Some(2));
    assert_eq!(gain.look(look(1, 2, 4)), None);
    assert_eq!(gain.look(look(60, 2, 4)), None);
    assert_eq!(gain.look(look(61, 2, 4)), Some(4));
    assert_eq!(gain.look(look(61, 4, 4)), None);
}

#[test]
fn as_many_are_gained_as_there_were_all_the_time() {
    let mut gain = Gain::default();
    for (seconds, share) in [(0, 8), (20, 5), (40, 8), (59, 9)] {
        assert_eq!(gain.look(look(seconds, 4, share)), None);
    }
    assert_eq!(gain.look(look(60, 4, 9)), Some(5));
    // The next one takes its time again.
    assert_eq!(gain.look(look(61, 5, 9)), None);
    assert_eq!(gain.look(look(120, 5, 9)), None);
    assert_eq!(gain.look(look(121, 5, 9)), Some(9));
}

#[test]
fn a_gain_that_goes_begins_anew_when_it_comes_again() {
    let mut gain = Gain::default();
    assert_eq!(gain.look(look(0, 4, 6)), None);
    assert_eq!(gain.look(look(30, 4, 4)), None);
    assert_eq!(gain.look(look(50, 4, 6)), None);
    assert_eq!(gain.look(look(109, 4, 6)), None);
    assert_eq!(gain.look(look(110, 4, 6)), Some(6));
}

#[test]
fn nobody_is_stopped_for_little() {
    let mut gain = Gain::default();
    for seconds in 0..200 {
        assert_eq!(gain.look(look(seconds, 100, 109)), None);
    }
    assert!(!gain.waits());
    assert_eq!(gain.look(look(200, 100, 110)), None);
    assert_eq!(gain.look(look(260, 100, 110)), Some(110));
    assert_eq!(gain.look(look(261, 110, 109)), Some(109), "but what is lost is lost");
}

#[test]
fn a_job_that_does_not_run_takes_what_there_is_at_once() {
    let mut gain = Gain::default();
    assert_eq!(gain.look(Look { runs: false, ..look(0, 1, 8) }), Some(8));
    assert_eq!(gain.look(Look { runs: false, ..look(0, 8, 8) }), None);
}

/// Whatever a worker does that comes and goes, a job is stopped for it at most twice in the time that it takes to settle.
#[test]
fn flapping_workers_stop_a_job_a_bounded_number_of_times() {
    for period in 1..150 {
        let (mut gain, mut has, mut stops) = (Gain::default(), 8, 0);
        for seconds in 0..3600 {
            let share = if seconds / period % 2 == 0 { 8 } else { 4 };
            if let Some(to) = gain.look(look(seconds, has, share)) {
                (has, stops) = (to, stops + 1);
            }
        }
        assert!(stops <= 2 * 3600 / 60 + 1, "{stops} with a period of {period} s");
        // What comes and goes more often than that is not taken in at all.
        assert!(period > 60 || stops <= 2, "{stops} with a period of {period} s");
    }
}
