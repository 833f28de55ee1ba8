//! Actions, and the visits that they are.

#![allow(clippy::unwrap_used, reason = "tests, and functions that they share")]

use sessions::{Action, Kind, Visit, sessions};
use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_secs(60 * minute)
}

fn action(user: &str, page: &str, kind: Kind, at: i64) -> Action {
    Action { user: user.to_owned(), page: page.to_owned(), kind, at: minute(at) }
}

#[test]
fn a_visit_ends_when_nothing_has_been_done_for_30_minutes() {
    for parallelism in [1, 3] {
        let mut test = TestJob::new(sessions).unwrap();
        test.send(
            "actions",
            [
                action("ada", "home", Kind::View, 0),
                action("bob", "home", Kind::View, 5),
                action("ada", "shop", Kind::View, 20),
                action("ada", "shop", Kind::Click, 21),
                action("ada", "home", Kind::View, 60),
            ],
        )
        .unwrap();
        test.restart(parallelism).unwrap();
        // Out of order: it makes one visit of two.
        test.send("actions", [action("ada", "help", Kind::View, 40)]).unwrap();
        test.watermark(minute(40)).unwrap();
        let visits = test.take::<Visit>("visits").unwrap();
        assert_eq!(visits.iter().map(|visit| (visit.user.as_str(), visit.views)).collect::<Vec<_>>(), [("bob", 1)]);
        test.send("actions", [action("bob", "home", Kind::Click, 9)]).unwrap();
        assert_eq!(test.take::<Action>("late_actions").unwrap(), [action("bob", "home", Kind::Click, 9)]);
        test.restart(2).unwrap();
        test.end().unwrap();
        let expected = Visit {
            user: "ada".to_owned(),
            began: minute(0),
            ended: minute(90),
            views: 4,
            clicks: 1,
            path: ["home", "shop", "help", "home"].map(str::to_owned).to_vec(),
            at: minute(90) - std::time::Duration::from_millis(1),
        };
        assert_eq!(test.take::<Visit>("visits").unwrap(), [expected]);
    }
}
