use super::*;

const fn at(time: i64) -> Watermark {
    Watermark::At(EventTime(time))
}

const END: Watermark = Watermark::At(EventTime::MAX);

#[test]
fn the_slowest_active_channel_decides() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    assert_eq!(inputs.update(0, at(10)), []);
    assert_eq!(inputs.update(1, at(5)), [at(5)]);
    assert_eq!(inputs.update(1, at(20)), [at(10)]);
}

#[test]
fn a_channel_is_idle_from_the_next_marker_on_and_counts_again_from_the_next_marker_on() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    inputs.update(0, at(10));
    assert_eq!(inputs.update(1, Watermark::Idle), [], "others may not have heard of it yet");
    assert_eq!(inputs.marker(), [at(10)]);
    assert_eq!(inputs.update(1, at(3)), []);
    assert_eq!(inputs.update(0, at(30)), [at(30)], "whether channel 1 woke up before is not to be known");
    assert_eq!(inputs.marker(), []);
    assert_eq!(inputs.marker_sent(), []);
    assert_eq!(inputs.update(0, at(40)), [], "channel 1 stands at 3");
    assert_eq!(inputs.update(1, at(35)), [at(35)]);
}

/// What follows from it is emitted, and those behind have to wait for that first.
#[test]
fn the_time_at_which_a_channel_wakes_up_counts_behind_the_marker() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    for channel in [0, 1] {
        inputs.update(channel, at(5));
        inputs.update(channel, Watermark::Idle);
    }
    inputs.marker();
    assert_eq!(inputs.update(1, at(9)), [], "nobody waits for what would follow");
    assert_eq!(inputs.marker(), [at(5)]);
    assert_eq!(inputs.marker_sent(), [at(9)]);
}

#[test]
fn a_channel_that_takes_its_word_back_in_front_of_the_marker_has_counted_all_along() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    inputs.update(1, Watermark::Idle);
    assert_eq!(inputs.update(1, at(5)), []);
    assert_eq!(inputs.update(0, at(30)), [at(5)]);
    assert_eq!(inputs.marker(), []);
    assert_eq!(inputs.update(1, at(7)), [at(7)]);
}

#[test]
fn all_idle_is_told_once_with_the_greatest_time_and_ends_with_the_first_word() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    inputs.update(0, at(5));
    inputs.update(1, at(3));
    inputs.update(0, Watermark::Idle);
    assert_eq!(inputs.update(1, Watermark::Idle), []);
    assert_eq!(inputs.marker(), [at(5), Watermark::Idle]);
    assert_eq!(inputs.marker(), []);
    assert_eq!(inputs.update(1, at(4)), []);
    assert_eq!(inputs.marker(), [at(5)], "time does not go back");
    assert_eq!(inputs.marker_sent(), []);
}

#[test]
fn where_an_earlier_execution_stood_is_said_again() {
    let mut inputs = InputWatermarks::new(2, EventTime(7));
    assert_eq!(inputs.update(0, at(7)), []);
    assert_eq!(inputs.update(1, at(7)), [at(7)]);
    assert_eq!(inputs.update(1, at(7)), []);
    let mut ended = InputWatermarks::new(1, EventTime::MAX);
    assert_eq!(ended.update(0, END), [END]);
}

#[test]
fn an_ended_channel_holds_nobody_up_and_the_end_comes_when_all_have_ended() {
    let mut inputs = InputWatermarks::new(2, EventTime::MIN);
    inputs.update(0, at(5));
    assert_eq!(inputs.update(1, END), [at(5)]);
    inputs.update(0, Watermark::Idle);
    assert_eq!(inputs.marker(), [Watermark::Idle], "idle is not ended");
    assert_eq!(inputs.update(0, END), [END]);
}

/// What is to be known of a channel where a marker passes.
#[derive(Clone, Copy)]
struct Known {
    /// What it has said of time, and how much of that counts.
    said: EventTime,
    time: EventTime,
    says_idle: bool,
    idle: bool,
    ended: bool,
}

/// Where time stands over channels of which this is known.
fn time_over(channels: &[Known]) -> EventTime {
    let counted = channels.iter().filter(|known| !known.idle && !known.ended).map(|known| known.time);
    match counted.min() {
        Some(least) => least,
        None if channels.iter().all(|known| known.ended) => EventTime::MAX,
        None => channels.iter().map(|known| known.time).max().unwrap_or(EventTime::MIN),
    }
}

/// Subtasks of one operator read the same channels, each in an order of its own. Where a marker passes they stand at one time:
/// the one that follows from what every channel said in front of it.
#[test]
fn the_order_between_channels_does_not_matter_where_a_marker_passes() {
    let mut word = 0x5eed_u64;
    let mut random = move |bound: u64| {
        word = crate::hash::mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
        word % bound
    };
    let silent = Known { said: EventTime::MIN, time: EventTime::MIN, says_idle: false, idle: false, ended: false };
    for _ in 0..2000 {
        let channels = 1 + random(3) as usize;
        let mut subtasks = [(); 3].map(|()| InputWatermarks::new(channels, EventTime::MIN));
        let mut known = vec![silent; channels];
        let mut expected = EventTime::MIN;
        for _ in 0..4 {
            let mut told: Vec<Vec<Watermark>> = vec![Vec::new(); channels];
            for (words, known) in told.iter_mut().zip(&mut known).filter(|(_, known)| !known.ended) {
                for _ in 0..random(5) {
                    known.says_idle = random(3) == 0;
                    let time = EventTime(random(30) as i64);
                    known.said = if known.says_idle { known.said } else { known.said.max(time) };
                    words.push(if known.says_idle { Watermark::Idle } else { Watermark::At(time) });
                }
                known.ended = random(4) == 0;
                words.extend(known.ended.then_some(END));
                if !known.idle || known.ended {
                    known.time = known.said;
                }
            }
            expected = expected.max(time_over(&known));
            known.iter_mut().for_each(|known| known.idle = known.says_idle);
            expected = expected.max(time_over(&known));
            for subtask in &mut subtasks {
                let mut next = vec![0; channels];
                while let open = (0..channels).filter(|c| next[*c] < told[*c].len()).collect::<Vec<_>>()
                    && !open.is_empty()
                {
                    let channel = open[random(open.len() as u64) as usize];
                    subtask.update(channel, told[channel][next[channel]]);
                    next[channel] += 1;
                }
                subtask.marker();
                assert_eq!(subtask.combined(), expected, "after {told:?}");
            }
            known.iter_mut().filter(|known| !known.idle).for_each(|known| known.time = known.said);
            expected = expected.max(time_over(&known));
            for subtask in &mut subtasks {
                subtask.marker_sent();
                assert_eq!(subtask.combined(), expected, "behind the marker");
            }
        }
    }
}
