//! Orders, and a service that answers, refuses, is busy, or is gone.

#![allow(clippy::unwrap_used, reason = "tests, and functions that they share")]

mod service;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Wake, Waker};

use enrich::{Order, Priced, Unpriced, enrich};
use service::Service;
use weir_core::plugin::{JobStep, OperatorRequest, Plugin};
use weir_core::{Collector, EventTime, HashRange, OpenContext, Outstanding};
use weir_jobs::prelude::*;
use weir_jobs::record::to_batch;
use weir_jobs::testing::TestJob;

fn order(id: i64, article: &str) -> Order {
    Order { id, article: article.to_owned(), pieces: 2, at: Timestamp::from_secs(id) }
}

fn job(service: &Service, retries: &str) -> TestJob {
    TestJob::with_arguments(enrich, &[("service", &service.url()), ("retries", retries)]).unwrap()
}

fn priced(test: &mut TestJob) -> Vec<(i64, String, i64)> {
    let rows = test.take::<Priced>("priced").unwrap();
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.id, row.name, row.cents)).collect();
    rows.sort();
    rows
}

fn unpriced(test: &mut TestJob) -> Vec<(i64, String, i64)> {
    let rows = test.take::<Unpriced>("unpriced").unwrap();
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.id, row.reason, row.attempts)).collect();
    rows.sort();
    rows
}

#[test]
fn orders_get_prices_or_a_reason_why_not() {
    let service = Service::start();
    let mut test = job(&service, "3");
    let orders = [order(1, "pen"), order(2, "unknown-thing"), order(3, "shaky-chair"), order(4, "busy-bee")];
    test.send("orders", orders).unwrap();
    test.settle().unwrap();
    assert_eq!(priced(&mut test), [(1, "the pen".to_owned(), 60), (3, "the shaky-chair".to_owned(), 220)]);
    let expected = [
        (2, "there is no such article".to_owned(), 1),
        (4, "the service answers 503 Service Unavailable".to_owned(), 4),
    ];
    assert_eq!(unpriced(&mut test), expected);
    assert_eq!(["pen", "unknown-thing", "shaky-chair", "busy-bee"].map(|article| service.asked(article)), [1, 1, 3, 4]);
}

#[test]
fn an_order_that_waits_for_its_price_survives_a_restart() {
    let service = Service::start();
    let mut test = job(&service, "0");
    test.send("orders", [order(1, "slow-boat"), order(2, "pen")]).unwrap();
    service.until_asked("slow-boat", 1);
    test.restart(2).unwrap();
    service.until_asked("slow-boat", 2);
    service.let_go();
    test.settle().unwrap();
    assert_eq!(priced(&mut test), [(1, "the slow-boat".to_owned(), 180), (2, "the pen".to_owned(), 60)]);
    test.restart(1).unwrap();
    test.settle().unwrap();
    assert!(priced(&mut test).is_empty() && unpriced(&mut test).is_empty());
}

#[test]
fn orders_wait_for_a_service_that_is_gone_and_comes_back() {
    let service = Service::start();
    let mut test = job(&service, "30");
    test.send("orders", [order(1, "slow-boat")]).unwrap();
    service.until_asked("slow-boat", 1);
    let address = service.address();
    drop(service);
    let service = Service::at(address);
    service.let_go();
    test.settle().unwrap();
    assert_eq!(priced(&mut test), [(1, "the slow-boat".to_owned(), 180)]);
}

/// The plugin's file, as cargo has built it beside this test.
fn file() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().unwrap();
    let names = [directory.join("libenrich.so"), directory.join("../libenrich.so")];
    names.into_iter().find(|path| path.exists()).unwrap()
}

fn is_loaded(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains(path.to_str().unwrap())
}

/// Whoever waits for answers hears of them.
struct Heard(Sender<()>);

impl Wake for Heard {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_file_answers_through_the_boundary_and_is_unloaded_with_calls_under_way() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("plugin.so");
    std::fs::copy(file(), &path).unwrap();
    for _ in 0..5 {
        let plugin = weir_plugin_abi::host::load(&path).unwrap();
        let steps = plugin.job(&[("service".to_owned(), service.url())].into()).unwrap().steps;
        let step = steps.into_iter().find_map(|step| match step {
            JobStep::Operator(step) if step.awaits_answers => Some(step),
            _ => None,
        });
        let step = step.unwrap();
        let request = OperatorRequest {
            operator: step.operator,
            config: step.config,
            inputs: step.inputs.iter().map(|input| input.columns.clone()).collect(),
            keys: vec![None],
            output: step.output,
            side_outputs: step.side_outputs.into_iter().map(|side| side.columns).collect(),
        };
        let mut operator = plugin.operator(&request).unwrap();
        let context =
            OpenContext { range: HashRange::ALL, watermark: EventTime::MIN, restored: false, has_expired: false };
        operator.open(&context).unwrap();
        let (heard, answered) = channel();
        operator.wake_by(&Waker::from(Arc::new(Heard(heard)))).unwrap();
        let mut out = Collector::new(0);
        assert_eq!(operator.outstanding(), Outstanding::None);
        let orders = to_batch(&[order(1, "pen"), order(2, "slow-boat")]).unwrap();
        operator.process(0, orders.into(), &mut out).unwrap();
        assert_eq!(operator.watermark(EventTime(7), &mut out).unwrap(), None);
        while out.take().is_empty() {
            assert_eq!(operator.outstanding(), Outstanding::Some);
            answered.recv().unwrap();
            assert_eq!(operator.answers(&mut out).unwrap(), None, "one row is still under way");
        }
        // It waits for ever.
        drop((operator, plugin));
        assert!(!is_loaded(&path), "nothing of it is held any more");
    }
}
