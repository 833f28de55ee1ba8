//! Sessions: what users do in a visit to a site. A visit ends when the user has done nothing for 30 minutes.
//!
//! `sessions.sql` beside it says the same in SQL. What Rust adds is a result that SQL has no function for: the way through the site, page by page, cut to what
//! is worth keeping, and rows that came too late in a table of their own with all their columns.

use std::time::Duration;

use weir_jobs::prelude::*;

/// A user has looked at a page, or clicked on something in it.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Action {
    /// Who.
    pub user: String,
    /// Where.
    pub page: String,
    /// What.
    pub kind: Kind,
    /// When.
    #[record(event_time)]
    pub at: Timestamp,
}

/// What a user does.
#[derive(Record, Debug, Clone, Copy, PartialEq, Eq)]
#[record(rename_all = "snake_case")]
pub enum Kind {
    /// Looks at a page.
    View,
    /// Clicks on something.
    Click,
}

/// A visit.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct Visit {
    /// Who.
    pub user: String,
    /// When it began.
    pub began: Timestamp,
    /// When it was over: 30 minutes behind the last action.
    pub ended: Timestamp,
    /// Pages that were looked at.
    pub views: i64,
    /// Clicks.
    pub clicks: i64,
    /// The first pages, in order.
    pub path: Vec<String>,
    /// The last millisecond of the visit.
    #[record(event_time)]
    pub at: Timestamp,
}

/// A visit as SQL has it.
#[derive(Record, Debug, Clone, PartialEq)]
pub struct VisitBySql {
    user: String,
    began: Timestamp,
    ended: Timestamp,
    views: i64,
    clicks: i64,
}

/// Actions that came when their visit had been shown.
pub const LATE: SideOutput<Action> = SideOutput::new("late");

/// How much of the way through the site is kept.
const LONGEST_PATH: usize = 10;

/// What is known of a visit so far. A path is by time, whatever the order in which actions come.
#[derive(Record, Debug, Clone, Default, PartialEq)]
pub struct SoFar {
    views: i64,
    clicks: i64,
    path: Vec<(Timestamp, String)>,
}

#[derive(Clone)]
struct Summary;

impl Aggregate for Summary {
    type In = Action;
    type Accumulator = SoFar;
    type Out = SoFar;

    fn add(&self, visit: &mut SoFar, action: &Action) {
        match action.kind {
            Kind::Click => visit.clicks += 1,
            Kind::View => {
                visit.views += 1;
                visit.path.push((action.at, action.page.clone()));
                cut(&mut visit.path);
            }
        }
    }

    fn merge(&self, visit: &mut SoFar, other: SoFar) {
        visit.views += other.views;
        visit.clicks += other.clicks;
        visit.path.extend(other.path);
        cut(&mut visit.path);
    }

    fn result(&self, visit: &SoFar) -> SoFar {
        visit.clone()
    }
}

fn cut(path: &mut Vec<(Timestamp, String)>) {
    path.sort_by_key(|(at, _)| *at);
    path.truncate(LONGEST_PATH);
}

/// Tables in files, for a first try, and the visits as SQL has them.
fn declare(job: &mut Job, folder: &str) {
    job.create_table(files::<Action>(folder, "actions").out_of_order(Duration::from_secs(5)));
    job.create_table(files::<Action>(folder, "late_actions"));
    job.create_table(files::<Visit>(folder, "visits"));
    job.create_table(files::<VisitBySql>(folder, "visits_by_sql"));
}

fn files<R: Record>(folder: &str, name: &str) -> Table<R> {
    Table::new(name).with("connector", "filesystem").with("path", &format!("{folder}/{name}")).with("format", "json")
}

/// The job. It reads `actions`, and writes `visits` and `late_actions`. `--arg gap-minutes=…`: after how long a visit is over.
/// `--arg folder=…`: the tables are made here, over files in that folder; without it they are the catalog's.
/// `--arg sql=true`: `sessions.sql` runs beside it.
///
/// # Errors
/// If an argument is no number.
pub fn sessions(job: &mut Job) -> Result<()> {
    let folder = job.argument_or("folder", String::new())?;
    if !folder.is_empty() {
        declare(job, &folder);
    }
    let gap = Duration::from_secs(60 * job.argument_or::<u64>("gap-minutes", 30)?);
    let visits = job
        .table::<Action>("actions")
        .key_by(|action| action.user.clone())
        .window(Windows::sessions(gap))
        .late_to(LATE)
        .aggregate("visits_by_user", Summary, |user, window, visit| Visit {
            user: user.clone(),
            began: window.start,
            ended: window.end,
            views: visit.views,
            clicks: visit.clicks,
            path: visit.path.into_iter().map(|(_, page)| page).collect(),
            at: window.last(),
        });
    visits.side(&LATE).insert_into("late_actions");
    visits.insert_into("visits");
    if job.argument_or("sql", false)? {
        job.sql(include_str!("../sessions.sql"));
    }
    Ok(())
}

weir_jobs::export!(sessions);
