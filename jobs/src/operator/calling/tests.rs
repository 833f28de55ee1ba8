use std::sync::mpsc::{Sender, channel};
use std::task::Wake;

use tokio::sync::Semaphore;

use super::*;
use crate::prelude::{Record, Timestamp};
use crate::record::to_batch;

#[derive(Record, Debug, Clone, PartialEq)]
struct Numbered {
    number: i64,
    at: Timestamp,
}

struct Woken(Sender<()>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

fn rows(out: &mut Collector) -> usize {
    out.take().iter().map(|(_, batch)| batch.num_rows()).sum()
}

#[test]
fn a_call_that_takes_long_has_only_so_many_rows_behind_it() {
    for (at_once, most) in [(4, 8192), (1000, 16_000)] {
        let gate = Arc::new(Semaphore::new(0));
        let closed = gate.clone();
        let function: CallFunction<Numbered, Numbered> = Arc::new(move |row| {
            let gate = closed.clone();
            Box::pin(async move {
                if row.number == 0 {
                    let _pass = gate.acquire().await.map_err(|_| Error::internal("the gate is gone"))?;
                }
                Ok(vec![row])
            })
        });
        let mut calling = Calling::new("calls", Arc::new(Calls::unordered(at_once)), function, &[]).unwrap();
        let (sender, woken) = channel();
        calling.wake_by(&Waker::from(Arc::new(Woken(sender)))).unwrap();
        let (mut out, mut came, mut left) = (Collector::new(0), 0, 0);
        while calling.outstanding() != Outstanding::Full && came < 100_000 {
            let batch: Vec<Numbered> =
                (came..came + 500).map(|number| Numbered { number: number as i64, at: Timestamp::default() }).collect();
            calling.process(0, Batch::append(to_batch(&batch).unwrap()), &mut out).unwrap();
            came += batch.len();
            // All but the first.
            while left < came - 1 {
                woken.recv().unwrap();
                calling.answers(&mut out).unwrap();
                left += rows(&mut out);
            }
        }
        assert!((most..most + 500).contains(&came), "{came} rows were taken");
        gate.add_permits(1);
        while calling.outstanding() != Outstanding::None {
            woken.recv().unwrap();
            calling.answers(&mut out).unwrap();
            left += rows(&mut out);
        }
        assert_eq!(left, came);
    }
}
