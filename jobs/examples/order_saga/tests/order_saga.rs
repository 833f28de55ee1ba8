//! Orders, and services that do what they are asked, refuse it, or are silent.

#![allow(clippy::unwrap_used, reason = "tests, and functions that they share")]

use order_saga::{Ending, Order, Outcome, Reply, Request, Step, order_saga};
use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

/// The job and the clock, with a crash and another parallelism behind every step if that is wished.
struct Shop {
    test: TestJob,
    seconds: i64,
    crashes: bool,
}

impl Shop {
    fn new(crashes: bool) -> Self {
        Self { test: TestJob::new(order_saga).unwrap(), seconds: 0, crashes }
    }

    fn crash(&mut self) {
        if self.crashes {
            self.test.restart(1 + self.seconds as usize % 3).unwrap();
        }
    }

    fn order(&mut self, id: i64) {
        self.test.send("orders", [Order { id, article: "boat".to_owned(), cents: 99 }]).unwrap();
        self.crash();
    }

    fn reply(&mut self, order: i64, step: Step, undo: bool, done: bool) {
        self.test.send("replies", [Reply { order, step, undo, done }]).unwrap();
        self.crash();
    }

    fn wait(&mut self, seconds: i64) {
        self.seconds += seconds;
        self.test.clock(Timestamp::from_secs(self.seconds)).unwrap();
        self.crash();
    }

    /// What services have been asked for: step, whether to undo it, attempt.
    fn requests(&mut self) -> Vec<(Step, bool, i32)> {
        let requests = self.test.take::<Request>("requests").unwrap();
        requests.into_iter().map(|request| (request.step, request.undo, request.attempt)).collect()
    }

    fn endings(&mut self) -> Vec<Ending> {
        self.test.take::<Outcome>("outcomes").unwrap().into_iter().map(|outcome| outcome.result).collect()
    }
}

fn in_every_way(script: impl Fn(&mut Shop)) {
    [false, true].into_iter().for_each(|crashes| script(&mut Shop::new(crashes)));
}

#[test]
fn an_order_goes_through_its_steps() {
    in_every_way(|shop| {
        shop.order(1);
        assert_eq!(shop.requests(), [(Step::Reserve, false, 1)]);
        // Sent again, it is not begun again.
        shop.order(1);
        shop.reply(1, Step::Reserve, false, true);
        shop.reply(1, Step::Reserve, false, true);
        assert_eq!(shop.requests(), [(Step::Charge, false, 1)]);
        shop.reply(1, Step::Charge, false, true);
        shop.reply(1, Step::Send, false, true);
        assert_eq!(shop.requests(), [(Step::Send, false, 1)]);
        assert_eq!(shop.endings(), [Ending::Completed]);
        shop.order(1);
        shop.wait(3600);
        assert!(shop.requests().is_empty() && shop.endings().is_empty());
    });
}

#[test]
fn what_was_done_is_undone_when_a_step_is_refused() {
    in_every_way(|shop| {
        shop.order(1);
        shop.reply(1, Step::Reserve, false, true);
        shop.reply(1, Step::Charge, false, true);
        shop.requests();
        shop.reply(1, Step::Send, false, false);
        assert_eq!(shop.requests(), [(Step::Charge, true, 1)]);
        shop.reply(1, Step::Charge, true, true);
        assert_eq!(shop.requests(), [(Step::Reserve, true, 1)]);
        shop.reply(1, Step::Reserve, true, true);
        assert_eq!(shop.endings(), [Ending::Cancelled]);
    });
}

#[test]
fn a_silent_service_is_asked_again_and_then_given_up() {
    in_every_way(|shop| {
        shop.order(1);
        shop.reply(1, Step::Reserve, false, true);
        shop.requests();
        shop.wait(29);
        assert!(shop.requests().is_empty());
        shop.wait(1);
        shop.wait(30);
        assert_eq!(shop.requests(), [(Step::Charge, false, 2), (Step::Charge, false, 3)]);
        shop.wait(30);
        // It may have charged the card all the same.
        assert_eq!(shop.requests(), [(Step::Charge, true, 1)]);
        shop.reply(1, Step::Charge, false, true);
        assert!(shop.requests().is_empty(), "the answer comes too late");
        shop.wait(30);
        shop.reply(1, Step::Charge, true, true);
        shop.reply(1, Step::Reserve, true, true);
        assert_eq!(shop.requests(), [(Step::Charge, true, 2), (Step::Reserve, true, 1)]);
        assert_eq!(shop.endings(), [Ending::Cancelled]);
    });
}

#[test]
fn a_service_that_cannot_undo_needs_a_person() {
    in_every_way(|shop| {
        shop.order(1);
        (0..6).for_each(|_| shop.wait(30));
        assert_eq!(shop.requests().len(), 6);
        assert_eq!(shop.endings(), [Ending::Stuck]);
    });
}
