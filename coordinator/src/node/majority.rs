//! Whether there is a leader, and what to say while there is none.

use std::time::Duration;

/// An election takes no longer.
const USUAL: Duration = Duration::from_secs(3);
/// Time between two reminders.
const AGAIN: Duration = Duration::from_secs(30);
/// Who has said nothing for so long does not take part.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// For how long there has been no leader.
#[derive(Debug, Default)]
pub(super) struct Majority {
    leaderless: Option<Leaderless>,
}

#[derive(Debug, Clone, Copy)]
struct Leaderless {
    since: Duration,
    told: Option<Duration>,
}

/// What to log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// There has been no leader for so long.
    Missing(Duration),
    /// There is one again, after so long.
    Back(Duration),
}

impl Majority {
    /// Time has passed.
    pub fn tick(&mut self, now: Duration, is_led: bool) -> Option<Told> {
        if is_led {
            let Leaderless { since, told } = self.leaderless.take()?;
            return told.map(|_| Told::Back(now.saturating_sub(since)));
        }
        let leaderless = self.leaderless.get_or_insert(Leaderless { since: now, told: None });
        let missing = now.saturating_sub(leaderless.since);
        let due = missing >= USUAL && leaderless.told.is_none_or(|told| now.saturating_sub(told) >= AGAIN);
        due.then(|| {
            leaderless.told = Some(now);
            Told::Missing(missing)
        })
    }
}

/// `it hears of 1 of 3 coordinators, and that is no majority`, both with itself.
pub(super) fn standing(heard: usize, voters: usize) -> String {
    let is_majority = heard > voters / 2;
    match is_majority {
        false => format!("{heard} of {voters} is no majority"),
        true => format!("{heard} of {voters} are there, and are electing a leader"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_election_is_not_worth_a_word_and_a_lost_majority_is() {
        let mut majority = Majority::default();
        let seconds = Duration::from_secs;
        assert_eq!(majority.tick(seconds(0), true), None);
        assert_eq!(majority.tick(seconds(100), false), None);
        assert_eq!(majority.tick(seconds(102), true), None);
        assert_eq!(majority.tick(seconds(200), false), None);
        assert_eq!(majority.tick(seconds(203), false), Some(Told::Missing(seconds(3))));
        assert_eq!(majority.tick(seconds(232), false), None);
        assert_eq!(majority.tick(seconds(233), false), Some(Told::Missing(seconds(33))));
        assert_eq!(majority.tick(seconds(240), true), Some(Told::Back(seconds(40))));
        assert_eq!(majority.tick(seconds(241), true), None);
    }

    #[test]
    fn half_is_no_majority() {
        assert_eq!(standing(1, 3), "1 of 3 is no majority");
        assert_eq!(standing(2, 4), "2 of 4 is no majority");
        assert_eq!(standing(2, 3), "2 of 3 are there, and are electing a leader");
    }
}
