//! Orders and deliveries, over crashes and another version.

#![allow(clippy::unwrap_used, reason = "tests")]

use inventory::{Delivery, Level, Order, Product, Request, Shelf, Shipment, inventory};
use weir_jobs::prelude::*;
use weir_jobs::testing::TestJob;

fn order(id: i64, product: &str, pieces: i64) -> Order {
    Order { id, product: product.to_owned(), pieces }
}

fn delivery(product: &str, pieces: i64) -> Delivery {
    Delivery { product: product.to_owned(), pieces }
}

fn shipped(test: &mut TestJob) -> Vec<i64> {
    test.take::<Shipment>("shipments").unwrap().into_iter().map(|shipment| shipment.order).collect()
}

fn requested(test: &mut TestJob) -> Vec<(String, i64)> {
    let requests = test.take::<Request>("requests").unwrap();
    requests.into_iter().map(|request| (request.product, request.pieces)).collect()
}

#[test]
fn orders_wait_for_deliveries_in_their_order_and_what_is_low_is_requested_once() {
    for crashes in [false, true] {
        let mut test = TestJob::new(inventory).unwrap();
        let mut parallelism = 1;
        let mut crash = |test: &mut TestJob| {
            parallelism = parallelism % 3 + 1;
            if crashes {
                test.restart(parallelism).unwrap();
            }
        };
        test.send("deliveries", [delivery("lamp", 20)]).unwrap();
        crash(&mut test);
        test.send("orders", [order(1, "lamp", 5), order(2, "lamp", 16), order(3, "lamp", 1)]).unwrap();
        assert_eq!(shipped(&mut test), [1], "the third is behind the second");
        assert_eq!(requested(&mut test), [("lamp".to_owned(), 51)]);
        crash(&mut test);
        test.send("deliveries", [delivery("lamp", 2)]).unwrap();
        assert_eq!(shipped(&mut test), [2, 3]);
        let levels = test.take::<Level>("levels").unwrap();
        let last = levels.last().unwrap();
        assert_eq!((last.pieces, last.wanted, last.revision), (0, 0, 5));
    }
}

#[test]
fn an_order_of_nothing_is_refused() {
    let mut test = TestJob::new(inventory).unwrap();
    let error = test.send("orders", [order(7, "lamp", 0)]).unwrap_err();
    assert!(error.report().contains("order 7 is for 0 pieces"), "{}", error.report());
    assert!(TestJob::with_arguments(inventory, &[("least", "9"), ("full", "8")]).is_err());
}

/// The job as it was first: it counted pieces, and asked for nothing.
mod first {
    use super::*;

    #[derive(Record, Debug, Clone, Default)]
    pub struct Shelf {
        pieces: i32,
    }

    #[derive(State, Default)]
    pub struct Product {
        shelf: ValueState<Shelf>,
        waiting: ListState<Order>,
    }

    #[derive(Clone)]
    struct Stock;

    impl KeyedConnect for Stock {
        type Key = String;
        type Left = Delivery;
        type Right = Order;
        type State = Product;
        type Out = Shipment;

        fn left(&mut self, row: Delivery, state: &mut Product, _: &mut Context<'_, String, Shipment>) -> Result<()> {
            state.shelf.or_default().pieces += i32::try_from(row.pieces).unwrap();
            Ok(())
        }

        fn right(&mut self, row: Order, state: &mut Product, _: &mut Context<'_, String, Shipment>) -> Result<()> {
            state.waiting.push(row);
            Ok(())
        }
    }

    pub fn inventory(job: &mut Job) -> Result<()> {
        let deliveries = job.table::<Delivery>("deliveries").key_by(|row| row.product.clone());
        let orders = job.table::<Order>("orders").key_by(|row| row.product.clone());
        deliveries.connect(orders).process("stock", Stock).insert_into("shipments");
        Ok(())
    }
}

#[test]
fn it_goes_on_with_the_shelves_of_its_first_version() {
    let mut test = TestJob::new(first::inventory).unwrap();
    test.send("deliveries", [delivery("lamp", 40), delivery("desk", 3)]).unwrap();
    test.send("orders", [order(1, "lamp", 41)]).unwrap();
    let mut test = TestJob::restored(inventory, &test.snapshot().unwrap(), 2).unwrap();
    let kept: Product = test.state("stock", &"lamp".to_owned()).unwrap().unwrap();
    assert_eq!(kept.shelf.get(), Some(&Shelf { pieces: 40, requested: 0, revision: 0 }));
    test.send("deliveries", [delivery("lamp", 30)]).unwrap();
    assert_eq!(shipped(&mut test), [1]);
    assert!(requested(&mut test).is_empty());
    test.send("orders", [order(2, "desk", 1)]).unwrap();
    assert_eq!((shipped(&mut test), requested(&mut test)), (vec![2], vec![("desk".to_owned(), 48)]));
}
